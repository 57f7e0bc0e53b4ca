package dtls

import (
	"encoding/binary"

	aead "github.com/sluicertc/sluice/crypto"
)

// numberLen is how many bytes Open appends in DTLS 1.3: to a handshake message its
// record number, which Conn needs to acknowledge it, and to an ACK what it says of
// the last message after the handshake, which Conn cannot know who does not number
// the records: its message_seq plus one, or 0.
const numberLen = 8

// newRecords13 makes the record layer of one epoch, for one side. The handshake
// epoch has no update.
func newRecords13(s *suite13, epoch uint16, local, remote []byte) (*Records, error) {
	r := &Records{v13: true, maxSeal: maxFragment + 1, maxOpen: maxPayload13}
	r.seal, r.open = &r.keys[0], &r.keys[1]
	r.measure()
	if err := s.protect(r.seal, epoch, local); err != nil {
		return nil, err
	}
	return r, s.protect(r.open, epoch, remote)
}

// keyFor finds the key by the epoch's two bits (RFC 9147 §4.2.2); nil: none.
func (r *Records) keyFor(rec []byte) *protection {
	bits := uint16(rec[0] & unifiedEpoch)
	for _, p := range [...]*protection{r.open, r.ahead, r.prev} {
		if p != nil && p.epoch&unifiedEpoch == bits {
			return p
		}
	}
	// The keys of an update are made when the first record seems to need them:
	// most associations never do.
	if r.ahead == nil && r.open.epoch >= epochTraffic && (r.open.epoch+1)&unifiedEpoch == bits {
		if next, err := r.open.update(); err == nil { // else it is the last epoch there can be
			r.ahead = next
			return next
		}
	}
	return nil
}

func (r *Records) openJob13(job *aead.GCMJob, s *slot, dst, rec []byte) error {
	if !unified(rec) {
		if len(rec) < headerLen {
			return ErrRecord
		}
		return ErrEpoch
	}
	h, n, ok := unifiedLen(rec, r.ids.len())
	if !ok || n != len(rec) || n-h-tagLen > r.maxOpen {
		return ErrRecord
	}
	at := 1
	if rec[0]&unifiedCID != 0 {
		// A record without one is accepted: it is the peer's, as its key says,
		// and others in its datagram may have had one.
		if at += r.ids.len(); !r.ids.known(rec[1:at]) {
			return ErrRecord
		}
	}
	if s.key = r.keyFor(rec); s.key == nil {
		return ErrEpoch
	}
	// Room for a record number behind the shortest handshake message, too.
	inner := len(rec) - h - tagLen
	if dst != nil && len(dst) < inner {
		return ErrShortBuffer
	}
	// The header, its sequence number in the clear, is the additional data (RFC
	// 9147 §4): of a copy, so that a record is left as it was if dst is elsewhere.
	aad := s.room(h)
	copy(aad, rec)
	width := 1 + int(rec[0]&unifiedSeq16)/unifiedSeq16
	s.key.mask.apply(aad[at:at+width], rec[h:])
	low := uint64(aad[at])
	if width == 2 {
		low = uint64(binary.BigEndian.Uint16(aad[at:]))
	}
	s.seq = nearest(s.key.window.top, low, uint(8*width))
	if s.seq > maxSequence {
		return ErrRecord
	}
	if !s.key.window.fresh(s.seq) {
		return ErrReplay
	}
	job.Key = s.key.gcm
	job.Nonce = s.key.nonce(s.seq)
	job.AAD = aad
	job.Src = rec[h:]
	job.Dst, s.dst = destination(dst, rec, h, inner)
	job.OK = false
	return nil
}

// opened13 takes padding and content type off (RFC 8446 §5.4, RFC 9146 §4).
func (r *Records) opened13(s *slot, inner []byte) (plain []byte, contentType uint8, err error) {
	if s.key == r.ahead && r.ahead != nil {
		r.advance()
	}
	n := len(inner)
	for n > 0 && inner[n-1] == 0 {
		n--
	}
	switch {
	case n == 0:
		return inner[:0], contentNone, nil
	case n-1 > maxFragment:
		return inner[:0], contentOverflow, nil
	}
	contentType, plain = inner[n-1], inner[:n-1]
	number := recordNumber(s.key.epoch)<<48 | recordNumber(s.seq)
	if r.v13 && (contentType == ContentACK || contentType == ContentHandshake) {
		end := n - 1 + numberLen
		if s.dst != nil && len(s.dst) < end || cap(plain) < end {
			return nil, 0, ErrShortBuffer
		}
		if contentType == ContentACK {
			number = recordNumber(r.acknowledged(plain))
		}
		plain = plain[:end]
		binary.BigEndian.PutUint64(plain[n-1:], uint64(number))
	}
	return plain, contentType, nil
}

// advance makes the peer's next keys its current ones: a record was authentic
// with them. The ones before stay for what was overtaken (RFC 9147 §8).
func (r *Records) advance() {
	r.prev, r.open, r.ahead = r.open, r.ahead, nil
}

// acknowledged returns post if the peer has got that message. If it is a KeyUpdate
// the sealing key changes, not earlier (RFC 9147 §8).
func (r *Records) acknowledged(ack []byte) int {
	hit := false
	numbersOf(ack, func(n recordNumber) {
		seq := uint64(n) & maxSequence
		hit = hit || n.epoch() == r.postEpoch && seq >= r.postFrom && (n.epoch() != r.seal.epoch || seq < r.seal.next)
	})
	if !hit || r.post == 0 {
		return 0
	}
	if r.updating {
		if next, err := r.seal.update(); err == nil {
			r.seal, r.updating = next, false
		}
	}
	return r.post
}

func (r *Records) sealJob13(job *aead.GCMJob, s *slot, dst []byte, contentType uint8, msg []byte) {
	if contentType == ContentHandshake && !r.updating && len(msg) >= messageHeaderLen {
		// A message that is repeated counts from where it went out first.
		if post := int(binary.BigEndian.Uint16(msg[4:])) + 1; post > r.post {
			r.post, r.postEpoch, r.postFrom = post, s.key.epoch, s.seq
			r.updating = s.key.epoch >= epochTraffic && msg[0] == typeKeyUpdate
		}
	}
	putUnified(dst, r.ids.peer, s.key.epoch, s.seq, len(dst)-r.headroom)
	job.Nonce = s.key.nonce(s.seq)
	job.AAD = s.room(r.headroom)
	copy(job.AAD, dst)
	job.Src = dst[r.headroom : len(dst)-tagLen]
	job.Dst = dst[r.headroom:]
}
