// Package crypto seals and opens whole packets, many at a time and under many
// keys: AES-GCM, and AES counter mode with HMAC-SHA1. A fan-out is one packet
// under N keys, so a batch mixes keys freely; the order of its jobs carries no
// meaning and no job sees another's bytes.
//
// Every job states its buffers exactly. Dst and the bytes it stands for in Src
// either start at the same address or do not overlap at all. Nothing here
// allocates after the keys are made.
//
// A length that contradicts the contract is a programming error and panics. A
// packet that does not authenticate is not: its job comes back with OK false
// and with no plaintext in Dst.
//
// The package does no key derivation, chooses no nonce and counts no packets:
// srtp and dtls do, each by its own RFC. It offers no stream, no hash and no
// cipher for other purposes.
package crypto

//go:generate sh -c "cd _asm && for f in aesgcm aesctr sha1; do GOWORK=off go run . -out ../${DOLLAR}{f}_amd64.s || exit 1; done"
