package dtls

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"slices"
)

// Group is a named group (RFC 8446 §4.2.7; draft-ietf-tls-ecdhe-mlkem for the
// hybrid).
type Group uint16

// The groups spoken. X25519MLKEM768 resists quantum computers; DTLS 1.3 only.
const (
	GroupP256           Group = 23
	GroupP384           Group = 24
	GroupX25519         Group = 29
	GroupX25519MLKEM768 Group = 0x11ec
)

// groups are in the default order of preference: what is recorded today should
// stay secret when there are quantum computers; then X25519 is the cheapest.
var groups = [...]Group{GroupX25519MLKEM768, GroupX25519, GroupP256, GroupP384}

// curve returns nil for a group that is not an elliptic curve of ours.
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

// groupFor picks the first of ours that is offered, 0 if there is none.
func groupFor(ours, offered []Group) Group {
	for _, g := range ours {
		if slices.Contains(offered, g) {
			return g
		}
	}
	return 0
}

// classical are the groups of DTLS 1.2 among gs.
func classical(gs []Group) []Group {
	if !slices.ContainsFunc(gs, func(g Group) bool { return g.curve() == nil }) {
		return gs
	}
	return slices.DeleteFunc(slices.Clone(gs), func(g Group) bool { return g.curve() == nil })
}

// agree computes the shared secret with the peer's public value. crypto/ecdh
// refuses points off the curve and an all-zero X25519 result (RFC 8422 §5.11,
// RFC 8446 §7.4.2).
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
	case GroupX25519MLKEM768:
		return "X25519MLKEM768"
	}
	return "none"
}

// keyShare is a KeyShareEntry (RFC 8446 §4.2.8). In a HelloRetryRequest public is
// nil.
type keyShare struct {
	group  Group
	public []byte
}

// offer is the client's half of a key agreement: the private keys behind the
// shares it sent. A hybrid and X25519 share one key of X25519, as
// draft-ietf-tls-hybrid-design §3.2 allows.
type offer struct {
	ecdh  map[Group]*ecdh.PrivateKey // GroupX25519MLKEM768: its X25519 half
	mlkem *mlkem.DecapsulationKey768
}

// newOffer makes key shares for gs, in order.
func newOffer(gs []Group, from keySource) (*offer, []keyShare, error) {
	o := &offer{ecdh: map[Group]*ecdh.PrivateKey{}}
	var shares []keyShare
	for _, g := range gs {
		curve := g
		if g == GroupX25519MLKEM768 {
			curve = GroupX25519
		}
		key := o.ecdh[curve]
		if key == nil {
			var err error
			if key, err = from.share(curve); err != nil {
				return nil, nil, err
			}
			o.ecdh[curve] = key
		}
		public := key.PublicKey().Bytes()
		if g == GroupX25519MLKEM768 {
			dk, err := from.mlkem()
			if err != nil {
				return nil, nil, err
			}
			o.mlkem = dk
			public = append(dk.EncapsulationKey().Bytes(), public...)
		}
		shares = append(shares, keyShare{g, public})
	}
	return o, shares, nil
}

// agree computes the secret with the server's share.
func (o *offer) agree(s keyShare) ([]byte, error) {
	if s.group != GroupX25519MLKEM768 {
		return agree(s.group, o.ecdh[s.group], s.public)
	}
	if len(s.public) != mlkem.CiphertextSize768+x25519Len {
		return nil, fatal(AlertIllegalParameter, ErrParameter)
	}
	secret, err := o.mlkem.Decapsulate(s.public[:mlkem.CiphertextSize768])
	if err != nil {
		return nil, fatal(AlertIllegalParameter, ErrParameter)
	}
	tail, err := agree(GroupX25519, o.ecdh[GroupX25519], s.public[mlkem.CiphertextSize768:])
	return append(secret, tail...), err
}

const x25519Len = 32

// answerShare is the server's half: its share and the secret, from the client's.
func answerShare(client keyShare, from keySource) (server keyShare, secret []byte, err error) {
	g, public := client.group, client.public
	var head, sealed []byte
	if g == GroupX25519MLKEM768 {
		if len(public) != mlkem.EncapsulationKeySize768+x25519Len {
			return keyShare{}, nil, fatal(AlertIllegalParameter, ErrParameter)
		}
		ek, err := mlkem.NewEncapsulationKey768(public[:mlkem.EncapsulationKeySize768])
		if err != nil { // the modulus check of FIPS 203 §7.2
			return keyShare{}, nil, fatal(AlertIllegalParameter, ErrParameter)
		}
		head, sealed = ek.Encapsulate()
		g, public = GroupX25519, public[mlkem.EncapsulationKeySize768:]
	}
	own, err := from.share(g)
	if err != nil {
		return keyShare{}, nil, err
	}
	if secret, err = agree(g, own, public); err != nil {
		return keyShare{}, nil, err
	}
	return keyShare{client.group, append(sealed, own.PublicKey().Bytes()...)}, append(head, secret...), nil
}
