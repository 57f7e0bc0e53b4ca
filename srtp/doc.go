// Package srtp protects and unprotects RTP and RTCP packets (RFC 3711) with
// AES-CM and HMAC-SHA1 or with AES-GCM (RFC 7714).
//
// A Context is one direction of one transport: keys, and for each source the
// rollover counter and the replay window. It has one owner and no lock. A Batch
// is scratch space of a shard: it takes packets of many contexts and hands them
// to package crypto together, each with the outcome it would have had alone.
//
// Replay protection cannot be turned off. A source has no state here until one
// of its packets authenticated. Errors are sentinel values.
//
// Cryptex (RFC 9335) and master key identifiers are options of a Context; its
// packets are then handled one by one, in a Batch too. WebRTC forbids MKIs
// (RFC 8827 §6.5). AppendState and RestoreState hand a Context over to another
// process.
//
// The package does no key negotiation, no key derivation rate other than zero,
// no null cipher and no unencrypted SRTCP.
package srtp
