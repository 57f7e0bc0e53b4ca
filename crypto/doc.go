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
// and with no plaintext in Dst. Tags are compared in constant time.
//
// # Levels
//
// On amd64 the work is done in assembly, of a level that is chosen once, by
// what the processor has; [Level] names it:
//
//	generic  the standard library, one packet after the other
//	aesni    AES-NI and PCLMULQDQ on 128 bits, encoded as AVX
//	vaes     VAES and VPCLMULQDQ on 256 bits, with AVX2
//	avx512   the same on 512 bits, with AVX-512 F, BW, VL and DQ, and BMI2
//
// The environment variable SLUICE_CRYPTO forces one that the processor has. A
// processor with AES-NI and without AVX gets generic: the standard library
// serves it well. So do builds with the tag purego, and payloads of more than
// 4096 bytes or, for GCM, with more than 64 bytes of AAD.
//
// SHA-1 is chosen apart, since there is any mixture of the two; [HashLevel]
// names the choice and SLUICE_SHA1 forces it:
//
//	stdlib    the standard library, one packet after the other
//	avx2      eight packets at once in AVX2; one and two by the standard library
//	sha       the SHA instructions, one to four packets interleaved
//	sha+avx2  the SHA instructions for up to three packets, AVX2 for more:
//	          Intel's choice, whose SHA instructions are half as fast as AMD's
//	avx512    sixteen packets at once in AVX-512; up to three by the SHA
//	          instructions, where they are
//
// The packets of a batch may be of any lengths. Up to 64 are sorted by length,
// so that those hashed side by side end at about the same time.
//
// # Keys
//
// Clear zeroes a key and all that was computed from it; the kernels leave
// neither round keys nor hash states on the stack. What the standard library
// keeps on the stack at level generic, and what the processor's registers hold,
// is out of reach.
//
// The package does no key derivation, chooses no nonce and counts no packets:
// srtp and dtls do, each by its own RFC. It offers no stream, no hash and no
// cipher for other purposes.
package crypto

//go:generate sh -c "cd _asm && for f in aesgcm aesctr sha1; do GOWORK=off go run . -out ../${DOLLAR}{f}_amd64.s || exit 1; done"
