package dtls

import (
	"crypto/sha512"
	"slices"
)

// Cipher suites (RFC 5289 §3.2, RFC 7905 §2), all with ephemeral ECDH.
const (
	ECDHE_ECDSA_AES128_GCM_SHA256 uint16 = 0xc02b
	ECDHE_ECDSA_AES256_GCM_SHA384 uint16 = 0xc02c
	ECDHE_RSA_AES128_GCM_SHA256   uint16 = 0xc02f
	ECDHE_RSA_AES256_GCM_SHA384   uint16 = 0xc030

	ECDHE_RSA_CHACHA20_POLY1305_SHA256   uint16 = 0xcca8
	ECDHE_ECDSA_CHACHA20_POLY1305_SHA256 uint16 = 0xcca9
)

// scsvRenegotiation stands for an empty renegotiation_info (RFC 5746 §3.3).
const scsvRenegotiation uint16 = 0x00ff

// scsvFallback tells that a client offers less than it can because a try with more
// has failed (RFC 7507 §2).
const scsvFallback uint16 = 0x5600

// suite12 is what a cipher suite of DTLS 1.2 means. Immutable.
type suite12 struct {
	id      uint16
	kind    keyKind // of the server's certificate
	keyLen  int     // bytes
	ivLen   int     // bytes
	chacha  bool    // ChaCha20-Poly1305, else AES-GCM
	hashLen int     // of the PRF's hash: 32 is SHA-256, 48 SHA-384
}

// suites12 are in order of preference: AES-128 is the cheaper and strong enough.
var suites12 = [...]suite12{
	{ECDHE_ECDSA_AES128_GCM_SHA256, kindECDSA, 16, ivLen12, false, sha256Len},
	{ECDHE_RSA_AES128_GCM_SHA256, kindRSA, 16, ivLen12, false, sha256Len},
	{ECDHE_ECDSA_AES256_GCM_SHA384, kindECDSA, 32, ivLen12, false, sha512.Size384},
	{ECDHE_RSA_AES256_GCM_SHA384, kindRSA, 32, ivLen12, false, sha512.Size384},
	{ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, kindECDSA, 32, ivLen, true, sha256Len},
	{ECDHE_RSA_CHACHA20_POLY1305_SHA256, kindRSA, 32, ivLen, true, sha256Len},
}

// suiteByID returns nil for a suite that is not ours.
func suiteByID(id uint16) *suite12 {
	for i := range suites12 {
		if suites12[i].id == id {
			return &suites12[i]
		}
	}
	return nil
}

// suiteFor picks the first of ours for the server's kind of key that is offered, nil
// if there is none.
func suiteFor(ours []uint16, kind keyKind, offered []uint16) *suite12 {
	for _, id := range ours {
		if s := suiteByID(id); s != nil && s.kind == kind && slices.Contains(offered, id) {
			return s
		}
	}
	return nil
}
