package dtls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"io"
	"slices"
)

// SignatureScheme is a scheme of RFC 8446 §4.2.3, or a pair of hash and
// algorithm of RFC 5246 §7.4.1.4.1, which share their numbers.
type SignatureScheme uint16

// The schemes spoken. In DTLS 1.2 those of ECDSA name a hash and no curve.
const (
	ECDSAWithP256AndSHA256 SignatureScheme = 0x0403
	ECDSAWithP384AndSHA384 SignatureScheme = 0x0503
	Ed25519                SignatureScheme = 0x0807
	PSSWithSHA256          SignatureScheme = 0x0804
	PSSWithSHA384          SignatureScheme = 0x0805
	PSSWithSHA512          SignatureScheme = 0x0806
	PKCS1WithSHA256        SignatureScheme = 0x0401
	PKCS1WithSHA384        SignatureScheme = 0x0501
	PKCS1WithSHA512        SignatureScheme = 0x0601
)

// keyKind is what a cipher suite demands of the server's key. Ed25519 counts as
// ECDSA (RFC 8422 §2).
type keyKind uint8

const (
	kindNone keyKind = iota
	kindECDSA
	kindRSA
)

// scheme is what a SignatureScheme means. Immutable.
type scheme struct {
	id   SignatureScheme
	kind keyKind
	hash crypto.Hash // 0: Ed25519, which hashes by itself
	pss  bool
}

// schemes are in order of preference; the order is also what we offer.
var schemes = [...]scheme{
	{ECDSAWithP256AndSHA256, kindECDSA, crypto.SHA256, false},
	{ECDSAWithP384AndSHA384, kindECDSA, crypto.SHA384, false},
	{Ed25519, kindECDSA, 0, false},
	{PSSWithSHA256, kindRSA, crypto.SHA256, true},
	{PSSWithSHA384, kindRSA, crypto.SHA384, true},
	{PSSWithSHA512, kindRSA, crypto.SHA512, true},
	{PKCS1WithSHA256, kindRSA, crypto.SHA256, false},
	{PKCS1WithSHA384, kindRSA, crypto.SHA384, false},
	{PKCS1WithSHA512, kindRSA, crypto.SHA512, false},
}

// allSchemes are those, in order. They are not to be changed.
var allSchemes = func() []SignatureScheme {
	ids := make([]SignatureScheme, len(schemes))
	for i := range schemes {
		ids[i] = schemes[i].id
	}
	return ids
}()

// kindOf classifies a public key; kindNone when it is not supported.
func kindOf(pub crypto.PublicKey) keyKind {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if n := k.Params().BitSize; n == 256 || n == 384 {
			return kindECDSA
		}
	case ed25519.PublicKey:
		return kindECDSA
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= minRSABits && n <= maxRSABits {
			return kindRSA
		}
	}
	return kindNone
}

// curveOf is the curve of an ECDSA key, 0 for other kinds.
func curveOf(pub crypto.PublicKey) Group {
	if k, ok := pub.(*ecdsa.PublicKey); ok {
		if k.Params().BitSize == 384 {
			return GroupP384
		}
		return GroupP256
	}
	return 0
}

// schemeByID returns nil for a scheme that is not ours.
func schemeByID(id SignatureScheme) *scheme {
	for i := range schemes {
		if schemes[i].id == id {
			return &schemes[i]
		}
	}
	return nil
}

// suits tells whether a key can make signatures of scheme s.
func (s *scheme) suits(pub crypto.PublicKey) bool {
	_, ed := pub.(ed25519.PublicKey)
	return kindOf(pub) == s.kind && ed == (s.hash == 0)
}

// suits13 is suits in DTLS 1.3, where the schemes of ECDSA name a curve as well
// and PKCS #1 is gone (RFC 8446 §4.2.3, §4.4.3).
func (s *scheme) suits13(pub crypto.PublicKey) bool {
	if k, ok := pub.(*ecdsa.PublicKey); ok {
		return s.kind == kindECDSA && s.hash != 0 && k.Params().BitSize == 8*s.hash.Size()
	}
	return s.suits(pub) && (s.kind != kindRSA || s.pss)
}

// schemeFor13 picks the first of ours for our key that the peer takes.
func schemeFor13(ours []SignatureScheme, pub crypto.PublicKey, accepted []SignatureScheme) *scheme {
	for _, id := range ours {
		if s := schemeByID(id); s.suits13(pub) && slices.Contains(accepted, id) {
			return s
		}
	}
	return nil
}

// schemeFor picks the first of ours for our key that the peer takes. The hash as
// wide as the curve goes first (RFC 8422 §5.10 leaves the choice).
func schemeFor(ours []SignatureScheme, pub crypto.PublicKey, accepted []SignatureScheme) *scheme {
	var found *scheme
	for _, id := range ours {
		s := schemeByID(id)
		if !s.suits(pub) || !slices.Contains(accepted, id) {
			continue
		}
		if k, ok := pub.(*ecdsa.PublicKey); ok && k.Params().BitSize == 8*s.hash.Size() {
			return s
		}
		if found == nil {
			found = s
		}
	}
	return found
}

// digest hashes a message as the scheme says, into room, which escapes.
func (s *scheme) digest(room *[sha512.Size]byte, msg []byte) []byte {
	switch s.hash {
	case 0:
		return msg
	case crypto.SHA256:
		d := sumSHA256(msg)
		return room[:copy(room[:], d[:])]
	case crypto.SHA384:
		d := sha512.Sum384(msg)
		return room[:copy(room[:], d[:])]
	}
	*room = sha512.Sum512(msg)
	return room[:]
}

// sign signs msg with our key. room is scratch.
func (s *scheme) sign(rand io.Reader, key crypto.Signer, room *[sha512.Size]byte, msg []byte) (signed, error) {
	var opts crypto.SignerOpts = s.hash
	if s.pss { // RFC 8446 §4.2.3: the salt is as long as the digest
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	sig, err := key.Sign(rand, s.digest(room, msg), opts)
	if err != nil {
		return signed{}, fatal(AlertInternalError, ErrInternal)
	}
	return signed{scheme: s.id, signature: sig}, nil
}

// checkSigned checks the peer's signature of msg; see signed.verify.
func (c *Conn) checkSigned(m *signed, msg []byte) error {
	if !slices.Contains(c.cfg.SignatureSchemes, m.scheme) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	return m.verify(c.hs.peerKey, &c.hs.hashed, msg)
}

// verify checks the peer's signature of msg. The scheme must be one we offered,
// and fit the key (RFC 5246 §7.4.3, §7.4.8). room is scratch.
func (m *signed) verify(pub crypto.PublicKey, room *[sha512.Size]byte, msg []byte) error {
	s := schemeByID(m.scheme)
	if s == nil || !s.suits(pub) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	ok := false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, s.digest(room, msg), m.signature)
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, msg, m.signature)
	case *rsa.PublicKey:
		if s.pss {
			o := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			ok = rsa.VerifyPSS(k, s.hash, s.digest(room, msg), m.signature, &o) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(k, s.hash, s.digest(room, msg), m.signature) == nil
		}
	}
	if !ok {
		return fatal(AlertDecryptError, ErrSignature)
	}
	return nil
}
