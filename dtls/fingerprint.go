package dtls

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
)

// Fingerprint is the digest of a certificate's DER form (RFC 8122 §5).
type Fingerprint struct {
	Algorithm string // "sha-256", "sha-384" or "sha-512"
	Value     []byte // 32, 48 or 64 bytes
}

// ErrFingerprintSyntax: not a fingerprint, or of a hash which is too weak or
// unknown. Skip such lines where others are present.
var ErrFingerprintSyntax = errors.New("dtls: not a fingerprint of sha-256, sha-384 or sha-512")

// ParseFingerprint reads the value of an SDP a=fingerprint attribute,
// "sha-256 AB:CD:...", upper or lower case.
func ParseFingerprint(s string) (Fingerprint, error) {
	alg, digits, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok || len(digits) > 3*64 {
		return Fingerprint{}, ErrFingerprintSyntax
	}
	f := Fingerprint{Algorithm: strings.ToLower(alg)}
	digits = strings.TrimSpace(digits)
	n := fingerprintLen(f.Algorithm)
	if n == 0 || len(digits) != 3*n-1 {
		return Fingerprint{}, ErrFingerprintSyntax
	}
	f.Value = make([]byte, n)
	for i := range f.Value {
		if i > 0 && digits[3*i-1] != ':' {
			return Fingerprint{}, ErrFingerprintSyntax
		}
		if _, err := hex.Decode(f.Value[i:i+1], []byte(digits[3*i:3*i+2])); err != nil {
			return Fingerprint{}, ErrFingerprintSyntax
		}
	}
	return f, nil
}

// String returns the form ParseFingerprint reads, in upper case (RFC 8122 §5).
func (f Fingerprint) String() string {
	b := make([]byte, 0, len(f.Algorithm)+3*len(f.Value))
	b = append(b, f.Algorithm...)
	for i, v := range f.Value {
		sep := byte(':')
		if i == 0 {
			sep = ' '
		}
		const digits = "0123456789ABCDEF"
		b = append(b, sep, digits[v>>4], digits[v&15])
	}
	return string(b)
}

// fingerprintLen returns 0 for an algorithm that is not accepted. RFC 8122 §5
// knows weaker ones; RFC 8827 §6.5 demands sha-256 or better.
func fingerprintLen(alg string) int {
	switch alg {
	case "sha-256":
		return 32
	case "sha-384":
		return 48
	case "sha-512":
		return 64
	}
	return 0
}

// FingerprintOf digests a certificate. alg is as in Fingerprint.
func FingerprintOf(alg string, der []byte) (Fingerprint, error) {
	f := Fingerprint{Algorithm: strings.ToLower(alg)}
	switch f.Algorithm {
	case "sha-256":
		d := sumSHA256(der)
		f.Value = d[:]
	case "sha-384":
		d := sha512.Sum384(der)
		f.Value = d[:]
	case "sha-512":
		d := sha512.Sum512(der)
		f.Value = d[:]
	default:
		return Fingerprint{}, ErrFingerprintSyntax
	}
	return f, nil
}

// matches tells whether the certificate has this fingerprint.
func (f Fingerprint) matches(der []byte) bool {
	switch strings.ToLower(f.Algorithm) {
	case "sha-256":
		d := sumSHA256(der)
		return bytes.Equal(f.Value, d[:])
	case "sha-384":
		d := sha512.Sum384(der)
		return bytes.Equal(f.Value, d[:])
	case "sha-512":
		d := sha512.Sum512(der)
		return bytes.Equal(f.Value, d[:])
	}
	return false
}

// matchAny tells whether the certificate has one of the fingerprints (RFC 8122
// §5). Unusable ones match nothing.
func matchAny(fs []Fingerprint, der []byte) bool {
	for _, f := range fs {
		if f.matches(der) {
			return true
		}
	}
	return false
}
