package dtls

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"io"
)

// EphemeralKey is a private key for one handshake, made before there is one; see
// Config.EphemeralKey. It belongs to one goroutine at a time.
type EphemeralKey struct {
	group Group
	ecdh  *ecdh.PrivateKey
	mlkem *mlkem.DecapsulationKey768
}

// GenerateEphemeralKey makes a key of a group. For X25519MLKEM768, which needs one of
// X25519 besides, it is the half of ML-KEM, of use to clients only. It fails with
// ErrParameter for a group that is not spoken, and when rand does, which nil makes
// crypto/rand.Reader.
func GenerateEphemeralKey(g Group, rand io.Reader) (*EphemeralKey, error) {
	k := &EphemeralKey{group: g}
	var err error
	switch {
	case g == GroupX25519MLKEM768:
		k.mlkem, err = keySource{}.mlkem()
	case g.curve() != nil:
		k.ecdh, err = keySource{rand: rand}.share(g)
	default:
		err = ErrParameter
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// take empties k, so that no key serves twice; nil if it is empty or of another group.
func (k *EphemeralKey) take(g Group) *EphemeralKey {
	if k == nil || k.group != g {
		return nil
	}
	taken := *k
	*k = EphemeralKey{}
	return &taken
}

// keySource is where ephemeral keys come from: made before, or now.
type keySource struct {
	rand io.Reader
	made func(Group) *EphemeralKey // nil: none are
}

func (c *Conn) keys() keySource { return keySource{c.cfg.Rand, c.cfg.EphemeralKey} }

func (s keySource) before(g Group) *EphemeralKey {
	if s.made == nil {
		return nil
	}
	return s.made(g).take(g)
}

// share is a key pair of an elliptic curve.
func (s keySource) share(g Group) (*ecdh.PrivateKey, error) {
	if k := s.before(g); k != nil {
		return k.ecdh, nil
	}
	k, err := g.curve().GenerateKey(s.rand)
	if err != nil {
		return nil, fatal(AlertInternalError, ErrInternal)
	}
	return k, nil
}

// mlkem is one of ML-KEM-768.
func (s keySource) mlkem() (*mlkem.DecapsulationKey768, error) {
	if k := s.before(GroupX25519MLKEM768); k != nil {
		return k.mlkem, nil
	}
	k, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, fatal(AlertInternalError, ErrInternal)
	}
	return k, nil
}
