package dtls

import (
	"crypto/ecdh"
	"io"
	"slices"
)

// Group is a named group (RFC 8422 §5.1.1).
type Group uint16

// The groups spoken.
const (
	GroupP256   Group = 23
	GroupP384   Group = 24
	GroupX25519 Group = 29
)

// groups are in order of preference: X25519 is the cheapest.
var groups = [...]Group{GroupX25519, GroupP256, GroupP384}

// curve returns nil for a group that is not ours.
func (g Group) curve() ecdh.Curve {
	switch g {
	case GroupX25519:
		return ecdh.X25519()
	case GroupP256:
		return ecdh.P256()
	case GroupP384:
		return ecdh.P384()
	}
	return nil
}

// groupFor picks our most preferred of the groups offered, 0 if there is none.
func groupFor(offered []Group) Group {
	for _, g := range groups {
		if slices.Contains(offered, g) {
			return g
		}
	}
	return 0
}

// newShare makes an ephemeral key pair.
func newShare(g Group, rand io.Reader) (*ecdh.PrivateKey, error) {
	k, err := g.curve().GenerateKey(rand)
	if err != nil {
		return nil, fatal(AlertInternalError, ErrInternal)
	}
	return k, nil
}

// agree computes the shared secret with the peer's public value. crypto/ecdh
// refuses points off the curve and an all-zero X25519 result (RFC 8422 §5.11).
func agree(g Group, own *ecdh.PrivateKey, peer []byte) ([]byte, error) {
	pub, err := g.curve().NewPublicKey(peer)
	if err != nil {
		return nil, fatal(AlertIllegalParameter, ErrParameter)
	}
	secret, err := own.ECDH(pub)
	if err != nil {
		return nil, fatal(AlertIllegalParameter, ErrParameter)
	}
	return secret, nil
}

// String returns the name in the TLS registry.
func (g Group) String() string {
	switch g {
	case GroupP256:
		return "P-256"
	case GroupP384:
		return "P-384"
	case GroupX25519:
		return "X25519"
	}
	return "none"
}
