package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

// Key is the HMAC-SHA1 state of one password. It is scratch: one goroutine at
// a time. For short-term credentials the key is the password itself; for
// long-term ones it is MD5(username:realm:password) (RFC 8489 §9.1.1, §9.2.2).
type Key struct {
	mac    hash.Hash
	header [HeaderLen]byte
	sum    [integrityLen]byte
}

// NewKey makes a Key; it does not keep secret. This is the only part of
// message integrity which allocates.
func NewKey(secret []byte) *Key {
	k := &Key{mac: hmac.New(sha1.New, secret)}
	// The first Reset after a Sum caches both pads; do it now, so that no
	// later call allocates.
	k.mac.Sum(k.sum[:0])
	k.mac.Reset()
	return k
}

// compute gives the HMAC of head, the message up to its integrity attribute,
// with the length the header had when that attribute was the last one
// (RFC 8489 §14.5).
func (k *Key) compute(head []byte) []byte {
	copy(k.header[:], head)
	binary.BigEndian.PutUint16(k.header[2:], uint16(len(head)-HeaderLen+integrityAttrLen))
	k.mac.Reset()
	k.mac.Write(k.header[:])
	k.mac.Write(head[HeaderLen:])
	return k.mac.Sum(k.sum[:0])
}

func (k *Key) equal(head, tag []byte) bool { return hmac.Equal(k.compute(head), tag) }
