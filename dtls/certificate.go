package dtls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate is our identity: a chain, leaf first, and the leaf's key.
// Immutable; any number of Conns may use one.
type Certificate struct {
	chain  [][]byte
	signer crypto.Signer
	kind   keyKind
	expiry time.Time
}

// ErrCertificate: a certificate or key that cannot be used: give an ECDSA P-256
// or P-384, Ed25519, or 2048 to 8192 bit RSA key and its certificate.
var ErrCertificate = errors.New("dtls: unusable certificate or key")

const (
	certValidity = 30 * 24 * time.Hour
	certBackdate = 24 * time.Hour // for peers whose clock is behind
)

// GenerateCertificate makes a self-signed ECDSA P-256 certificate for one call or
// a few (RFC 8827 §6.5): random name, valid from a day before now to 30 days
// after it.
func GenerateCertificate(now time.Time) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var id [24]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	id[0] = id[0]&0x7f | 0x40 // a positive serial of fixed length (RFC 5280 §4.1.2.2)
	template := x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(id[:16]),
		Subject:      pkix.Name{CommonName: hex.EncodeToString(id[16:])},
		NotBefore:    now.Add(-certBackdate),
		NotAfter:     now.Add(certValidity),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return NewCertificate([][]byte{der}, key)
}

// NewCertificate takes a chain in DER form, leaf first, as crypto/tls.Certificate
// holds it, and the leaf's key: ECDSA P-256 or P-384, Ed25519, or RSA. It refers
// to chain and signer and does not change them. It fails with ErrCertificate.
func NewCertificate(chain [][]byte, signer crypto.Signer) (*Certificate, error) {
	if len(chain) == 0 || len(chain) > maxCertificates || signer == nil {
		return nil, ErrCertificate
	}
	n := 3
	for _, der := range chain {
		n += 3 + len(der)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil || n > maxMessage {
		return nil, ErrCertificate
	}
	pub, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	kind := kindOf(leaf.PublicKey)
	if !ok || kind == kindNone || !pub.Equal(signer.Public()) {
		return nil, ErrCertificate
	}
	return &Certificate{chain: chain, signer: signer, kind: kind, expiry: leaf.NotAfter}, nil
}

// Chain returns the certificates in DER form, leaf first. Do not change them.
func (c *Certificate) Chain() [][]byte { return c.chain }

// Expires is when the leaf ceases to be valid. Peers of WebRTC do not look at it; who
// keeps a certificate for many calls should take a new one before.
func (c *Certificate) Expires() time.Time { return c.expiry }

// Fingerprint digests the leaf; alg is "sha-256", "sha-384" or "sha-512", other
// ones give ErrFingerprintSyntax.
func (c *Certificate) Fingerprint(alg string) (Fingerprint, error) {
	return FingerprintOf(alg, c.chain[0])
}

// peerLeaf parses a peer's leaf, whose key is all that matters: names, dates and
// issuers of WebRTC certificates mean nothing (RFC 8827 §6.5, RFC 8122 §6.2).
func peerLeaf(der []byte) (crypto.PublicKey, keyKind, error) {
	spki, ok := publicKeyInfo(der)
	if !ok {
		return nil, kindNone, fatal(AlertBadCertificate, ErrPeerCertificate)
	}
	pub, err := parseKey(spki)
	if err != nil {
		return nil, kindNone, fatal(AlertBadCertificate, ErrPeerCertificate)
	}
	kind := kindOf(pub)
	if kind == kindNone {
		return nil, kindNone, fatal(AlertUnsupportedCert, ErrPeerCertificate)
	}
	return pub, kind, nil
}

// publicKeyInfo cuts the SubjectPublicKeyInfo out of a certificate (RFC 5280 §4.1).
// x509.ParseCertificate would look at everything else, too, at a tenth of what a
// handshake costs.
func publicKeyInfo(der []byte) (spki []byte, ok bool) {
	in := cryptobyte.String(der)
	var cert, tbs, key cryptobyte.String
	version := asn1.Tag(0).ContextSpecific().Constructed()
	if !in.ReadASN1(&cert, asn1.SEQUENCE) || !in.Empty() || !cert.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!cert.SkipASN1(asn1.SEQUENCE) || !cert.SkipASN1(asn1.BIT_STRING) || !cert.Empty() ||
		!tbs.SkipOptionalASN1(version) || !tbs.SkipASN1(asn1.INTEGER) {
		return nil, false
	}
	for range 4 { // signature, issuer, validity, subject
		if !tbs.SkipASN1(asn1.SEQUENCE) {
			return nil, false
		}
	}
	ok = tbs.ReadASN1Element(&key, asn1.SEQUENCE)
	return key, ok
}

// p256Info is what precedes the 65 bytes of an uncompressed point of P-256 in a
// SubjectPublicKeyInfo (RFC 5480 §2).
const p256Info = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"

// parseKey parses a SubjectPublicKeyInfo, the usual kind quickly.
func parseKey(spki []byte) (crypto.PublicKey, error) {
	if point, ok := bytes.CutPrefix(spki, []byte(p256Info)); ok {
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	}
	return x509.ParsePKIXPublicKey(spki)
}
