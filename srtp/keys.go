package srtp

import (
	"bytes"
	"slices"
)

// keySet is one master key of a context that has several: its identifier, its
// session keys, and how many packets it has protected (RFC 3711 §9.2 counts
// for each key). Indexes, rollover counters and replay windows are the
// context's: a new key does not reset them (RFC 3711 §3.3.1).
type keySet struct {
	mki       []byte
	rtp, rtcp session
	sent      uint64
}

func (k *keySet) clear() {
	k.rtp.clear()
	k.rtcp.clear()
	*k = keySet{}
}

// SetMKI gives the key of NewContext an identifier, of 1 to MaxMKI bytes, which
// every packet carries from then on (RFC 3711 §3.1). It is to be called before
// the first packet, and once. WebRTC forbids MKIs (RFC 8827 §6.5). The error
// is ErrKeys.
func (c *Context) SetMKI(mki []byte) error {
	if c.closed || len(mki) == 0 || len(mki) > MaxMKI || len(c.mki) > 0 {
		return ErrKeys
	}
	c.mki, c.reshape = bytes.Clone(mki), true
	return nil
}

// AddKey adds another master key to a context that has an MKI. Packets that
// carry its identifier, which is as long as the first's, are unprotected with
// it; UseKey makes it the one to protect with. The errors are ErrKeyLen and
// ErrKeys: the identifier does not fit, or there are MaxKeys already.
func (c *Context) AddKey(mki, masterKey, masterSalt []byte) error {
	if c.closed || len(c.mki) == 0 || len(mki) != len(c.mki) || c.keyAt(mki) != noKey || 1+len(c.others) >= MaxKeys {
		return ErrKeys
	}
	k := keySet{mki: bytes.Clone(mki)}
	var err error
	if k.rtp, k.rtcp, err = newSessions(c.profile, masterKey, masterSalt); err != nil {
		return err
	}
	c.others = append(c.others, k)
	return nil
}

// UseKey protects with the key of this identifier from now on. The error is
// ErrKeys.
func (c *Context) UseKey(mki []byte) error {
	switch i := c.keyAt(mki); i {
	case noKey:
		return ErrKeys
	case keyInUse:
	default:
		k := &c.others[i]
		k.mki, c.mki = c.mki, k.mki
		k.rtp, c.rtp = c.rtp, k.rtp
		k.rtcp, c.rtcp = c.rtcp, k.rtcp
		k.sent, c.sent = c.sent, k.sent
	}
	return nil
}

// RemoveKey zeroes a key that is not in use and forgets it. The error is
// ErrKeys.
func (c *Context) RemoveKey(mki []byte) error {
	i := c.keyAt(mki)
	if i < 0 {
		return ErrKeys
	}
	c.others[i].clear()
	c.others = slices.Delete(c.others, i, i+1)
	return nil
}

const (
	keyInUse = -1
	noKey    = -2
)

// keyAt returns the index in others of the key of this identifier, keyInUse or
// noKey. Identifiers are no secret.
func (c *Context) keyAt(mki []byte) int {
	if len(mki) == 0 {
		return noKey
	}
	if bytes.Equal(mki, c.mki) {
		return keyInUse
	}
	for i := range c.others {
		if bytes.Equal(mki, c.others[i].mki) {
			return i
		}
	}
	return noKey
}

// sessionsOf returns the session keys that a received packet names, and the
// packet without the name, in scratch where that stands before the tag. s is
// the session in use, of RTP or of RTCP.
func (c *Context) sessionsOf(pkt []byte, s *session) (rtp, rtcp *session, plain []byte, err error) {
	n := len(c.mki)
	if n == 0 {
		return &c.rtp, &c.rtcp, pkt, nil
	}
	at := len(pkt) - n // RFC 7714 §8, §9: behind everything
	if !c.profile.aead() {
		at -= s.tag // RFC 3711 §3.1, §3.4: before the tag
	}
	if at < 0 {
		return nil, nil, nil, ErrShort
	}
	i := c.keyAt(pkt[at : at+n])
	switch i {
	case noKey:
		return nil, nil, nil, ErrMKI
	case keyInUse:
		rtp, rtcp = &c.rtp, &c.rtcp
	default:
		rtp, rtcp = &c.others[i].rtp, &c.others[i].rtcp
	}
	if c.profile.aead() {
		return rtp, rtcp, pkt[:at], nil
	}
	b := c.room(len(pkt) - n)
	copy(b, pkt[:at])
	copy(b[at:], pkt[at+n:])
	return rtp, rtcp, b, nil
}

// addMKI writes the identifier of the key in use into the packet in dst, of n
// bytes, and returns the new length.
func (c *Context) addMKI(dst []byte, n int, s *session) int {
	at := n
	if !c.profile.aead() {
		at -= s.tag
	}
	copy(dst[at+len(c.mki):n+len(c.mki)], dst[at:n])
	copy(dst[at:], c.mki)
	return n + len(c.mki)
}

// room returns n bytes of the context's scratch space.
func (c *Context) room(n int) []byte {
	if n > len(c.scratch) {
		clear(c.scratch) // it may have held plaintext
		c.scratch = make([]byte, max(n, 2048))
	}
	return c.scratch[:n]
}
