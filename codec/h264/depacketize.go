package h264

import (
	"encoding/binary"
	"errors"
)

// Errors of Depacketizer.Append: the packet gave nothing. Each is counted.
var (
	ErrMalformed   = errors.New("h264: malformed payload")
	ErrInterleaved = errors.New("h264: payload of the interleaved mode")
	ErrLost        = errors.New("h264: fragment without those before it")
	ErrTooLarge    = errors.New("h264: frame exceeds MaxFrame")
)

// Drops counts what a Depacketizer left out.
type Drops struct {
	Malformed   uint64 // packets
	Interleaved uint64 // packets: STAP-B, MTAP16, MTAP24, FU-B (RFC 6184 §6.4)
	TooLarge    uint64 // packets
	Lost        uint64 // fragments without those before them
	Units       uint64 // fragmented units given up, for whichever of these reasons
}

// Depacketizer puts the NAL units of one stream together (RFC 6184 §5.6 to
// §5.8). The zero value is ready to use.
type Depacketizer struct {
	AVCC  bool // units behind 4-byte lengths, instead of start codes 00 00 00 01
	Drops Drops

	open       bool // a fragmented unit is in the caller's buffer, without its end
	seq        uint16
	start, end int // of that unit in the buffer, with its prefix
}

const prefixLen = 4

// Append appends the units of the RTP payload with sequence number seq to dst,
// each behind its prefix, and returns the extended slice. Packets come in
// order; a number that does not follow tells of a loss, and the unit whose
// fragment is missing is taken out of the buffer again.
//
// While a frame's packets arrive, dst is what the call before returned. At the
// end of a frame call Finish, take the frame, and start anew with dst[:0] or
// another buffer. On an error the packet is left out, and what is returned is
// still to be used.
func (d *Depacketizer) Append(dst []byte, seq uint16, payload []byte) ([]byte, error) {
	if d.open && (seq != d.seq+1 || len(dst) != d.end) {
		dst = d.abandon(dst)
	}
	d.seq = seq
	if len(payload) == 0 || payload[0]&forbidden != 0 {
		return d.malformed(dst)
	}
	typ := payload[0] & typeMask
	if typ == typeFUA {
		return d.fragment(dst, payload)
	}
	if d.open {
		dst = d.abandon(dst) // RFC 6184 §5.8: fragments of a unit follow each other
	}
	switch {
	case plainUnit(payload[0]):
		if len(dst)+prefixLen+len(payload) > MaxFrame {
			return d.tooLarge(dst)
		}
		return append(d.prefix(dst, len(payload)), payload...), nil
	case typ == typeSTAPA:
		return d.aggregate(dst, payload[1:])
	case typ == typeSTAPB, typ == typeMTAP16, typ == typeMTAP24, typ == typeFUB:
		d.Drops.Interleaved++
		return dst, ErrInterleaved
	}
	return d.malformed(dst)
}

// Finish takes a unit whose end did not come out of dst, which is what Append
// returned last. Call it at the end of each frame.
func (d *Depacketizer) Finish(dst []byte) []byte {
	if d.open {
		dst = d.abandon(dst)
	}
	return dst
}

// prefix appends what stands in front of a unit of n bytes.
func (d *Depacketizer) prefix(dst []byte, n int) []byte {
	if d.AVCC {
		return append(dst, uint8(n>>24), uint8(n>>16), uint8(n>>8), uint8(n))
	}
	return append(dst, 0, 0, 0, 1)
}

// aggregate appends the units of a STAP-A, all or none (RFC 6184 §5.7.1).
func (d *Depacketizer) aggregate(dst, b []byte) ([]byte, error) {
	before := len(dst)
	for len(b) > 0 {
		if len(b) <= stapLength {
			return d.malformed(dst[:before])
		}
		n := int(binary.BigEndian.Uint16(b))
		b = b[stapLength:]
		if n == 0 || n > len(b) || !plainUnit(b[0]) {
			return d.malformed(dst[:before])
		}
		if len(dst)+prefixLen+n > MaxFrame {
			return d.tooLarge(dst[:before])
		}
		dst = append(d.prefix(dst, n), b[:n]...)
		b = b[n:]
	}
	if len(dst) == before {
		return d.malformed(dst)
	}
	return dst, nil
}

// fragment appends an FU-A (RFC 6184 §5.8).
func (d *Depacketizer) fragment(dst, b []byte) ([]byte, error) {
	if len(b) <= fuHeader || b[1]&(fuStart|fuEnd) == fuStart|fuEnd {
		return d.malformed(dst)
	}
	header := b[0]&nriMask | b[1]&typeMask
	if !plainUnit(header) {
		return d.malformed(dst)
	}
	switch {
	case b[1]&fuStart != 0:
		dst = d.Finish(dst)
		if len(dst)+prefixLen+len(b) > MaxFrame {
			return d.tooLarge(dst)
		}
		d.open, d.start = true, len(dst)
		dst = append(d.prefix(dst, 0), header)
	case !d.open:
		d.Drops.Lost++
		return dst, ErrLost
	case dst[d.start+prefixLen]&typeMask != header&typeMask:
		return d.malformed(dst)
	case len(dst)+len(b) > MaxFrame:
		return d.tooLarge(d.abandon(dst))
	}
	dst = append(dst, b[fuHeader:]...)
	d.end = len(dst)
	if b[1]&fuEnd != 0 {
		d.open = false
		if d.AVCC {
			binary.BigEndian.PutUint32(dst[d.start:], uint32(len(dst)-d.start-prefixLen))
		}
	}
	return dst, nil
}

// abandon takes the open unit out of the buffer, unless the caller has given
// another one.
func (d *Depacketizer) abandon(dst []byte) []byte {
	d.open = false
	d.Drops.Units++
	if len(dst) == d.end {
		return dst[:d.start]
	}
	return dst
}

func (d *Depacketizer) malformed(dst []byte) ([]byte, error) {
	d.Drops.Malformed++
	return d.Finish(dst), ErrMalformed
}

func (d *Depacketizer) tooLarge(dst []byte) ([]byte, error) {
	d.Drops.TooLarge++
	return dst, ErrTooLarge
}
