package sctp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// The state cookie, RFC 9260 §5.1.3: everything needed to make the
// association when it comes back, opaque to the peer and authenticated with a
// key which never leaves this association.

const (
	cookieBodyLen = 8 + 7*4 + 2*2 + 1
	cookieLen     = cookieBodyLen + sha256.Size
)

type cookie struct {
	at                mono.Time
	localTag, peerTag uint32
	localTSN, peerTSN uint32
	window            uint32
	localTie, peerTie uint32 // tags of the association existing then, 0: none
	out, in           uint16 // what the peer's INIT offered and accepts
	forwardTSN        bool
	reconfig          bool
	interleave        bool
	zeroChecksum      bool
	pad               bool
	trip              time.Duration // from INIT ACK to COOKIE ECHO; not on the wire
}

func (k *cookie) append(b []byte, key *[32]byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(k.at))
	for _, v := range [...]uint32{k.localTag, k.peerTag, k.localTSN, k.peerTSN, k.window, k.localTie, k.peerTie} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = binary.BigEndian.AppendUint16(b, k.out)
	b = binary.BigEndian.AppendUint16(b, k.in)
	var flags byte
	if k.forwardTSN {
		flags |= 1
	}
	if k.reconfig {
		flags |= 2
	}
	if k.interleave {
		flags |= 4
	}
	if k.zeroChecksum {
		flags |= 8
	}
	if k.pad {
		flags |= 16
	}
	b = append(b, flags)
	mac := hmac.New(sha256.New, key[:])
	mac.Write(b[start:])
	return mac.Sum(b)
}

// parseCookie fails unless b is exactly what append made with the same key.
func parseCookie(b []byte, key *[32]byte) (k cookie, ok bool) {
	if len(b) != cookieLen {
		return k, false
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(b[:cookieBodyLen])
	var sum [sha256.Size]byte
	if !hmac.Equal(mac.Sum(sum[:0]), b[cookieBodyLen:]) {
		return k, false
	}
	k.at = mono.Time(binary.BigEndian.Uint64(b))
	for i, p := range [...]*uint32{&k.localTag, &k.peerTag, &k.localTSN, &k.peerTSN, &k.window, &k.localTie, &k.peerTie} {
		*p = binary.BigEndian.Uint32(b[8+4*i:])
	}
	k.out = binary.BigEndian.Uint16(b[36:])
	k.in = binary.BigEndian.Uint16(b[38:])
	k.forwardTSN, k.reconfig = b[40]&1 != 0, b[40]&2 != 0
	k.interleave, k.zeroChecksum, k.pad = b[40]&4 != 0, b[40]&8 != 0, b[40]&16 != 0
	return k, true
}

// staleness is by how much the cookie has outlived its life; 0: it has not.
func (k *cookie) staleness(now mono.Time, life time.Duration) time.Duration {
	return max(now.Sub(k.at)-life, 0)
}
