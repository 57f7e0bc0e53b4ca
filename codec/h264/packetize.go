package h264

import (
	"bytes"
	"encoding/binary"
)

// Packetizer cuts frames into the payloads of packetisation mode 1: small
// units that follow each other go together (STAP-A), those which fit a payload
// alone, longer ones in fragments (FU-A) of equal size and one shorter at the
// end. The zero value is ready to use.
type Packetizer struct {
	AVCC       bool // frames hold units behind 4-byte lengths, instead of start codes
	MaxPayload int  // bytes; 0: DefaultPayload
	// Skipped counts what is left out of frames: units which RFC 6184 cannot
	// carry (with the forbidden bit, or of a type that is its own), and bytes
	// which are no unit (before the first start code, or a length beyond the
	// frame).
	Skipped uint64

	frame    []byte // what is behind the current unit
	unit     []byte // the current unit, nil at the end; of a fragmented one the rest
	fragment uint8  // first byte of the unit in fragments, 0: none
}

// Start begins a frame, which the Packetizer borrows until its last payload.
// What is left of the frame before is forgotten.
func (p *Packetizer) Start(frame []byte) {
	p.frame, p.fragment = frame, 0
	if !p.AVCC {
		var lead []byte
		if lead, p.frame = cutStartCode(frame); len(lead) > 0 {
			p.Skipped++
		}
	}
	p.advance()
}

// Done reports whether Next has given the last payload of the frame: the
// packet with it bears the marker bit (RFC 6184 §5.1).
func (p *Packetizer) Done() bool { return p.unit == nil }

// Next appends the next payload to dst. It reports false at the end of the
// frame.
func (p *Packetizer) Next(dst []byte) ([]byte, bool) {
	limit := p.MaxPayload
	if limit == 0 {
		limit = DefaultPayload
	}
	limit = min(max(limit, minPayload), maxPayload)
	switch {
	case p.unit == nil:
		return dst, false
	case p.fragment != 0 || len(p.unit) > limit:
		return p.nextFragment(dst, limit), true
	}
	first, size := p.unit, 1+stapLength+len(p.unit)
	p.advance()
	if p.unit == nil || size+stapLength+len(p.unit) > limit {
		return append(dst, first...), true
	}
	head := len(dst)
	dst = appendAggregated(append(dst, typeSTAPA|first[0]&nriMask), first)
	for p.unit != nil && size+stapLength+len(p.unit) <= limit {
		// RFC 6184 §5.7: NRI is the highest of all the units.
		dst[head] = max(dst[head]&nriMask, p.unit[0]&nriMask) | typeSTAPA
		dst = appendAggregated(dst, p.unit)
		size += stapLength + len(p.unit)
		p.advance()
	}
	return dst, true
}

func appendAggregated(dst, unit []byte) []byte {
	return append(append(dst, uint8(len(unit)>>8), uint8(len(unit))), unit...)
}

func (p *Packetizer) nextFragment(dst []byte, limit int) []byte {
	flags := uint8(0)
	if p.fragment == 0 {
		// RFC 6184 §5.8: the unit's first byte travels in the two of the
		// fragment's.
		p.fragment, p.unit, flags = p.unit[0], p.unit[1:], fuStart
	}
	n := min(len(p.unit), limit-fuHeader)
	if n == len(p.unit) {
		flags |= fuEnd
	}
	dst = append(dst, p.fragment&nriMask|typeFUA, p.fragment&typeMask|flags)
	dst = append(dst, p.unit[:n]...)
	p.unit = p.unit[n:]
	if flags&fuEnd != 0 {
		p.fragment = 0
		p.advance()
	}
	return dst
}

// advance moves to the next unit of the frame that can be sent.
func (p *Packetizer) advance() {
	for len(p.frame) > 0 {
		if p.AVCC {
			p.unit, p.frame = cutLength(p.frame)
		} else {
			p.unit, p.frame = cutStartCode(p.frame)
		}
		if len(p.unit) > 0 && plainUnit(p.unit[0]) {
			return
		}
		if len(p.unit) > 0 || p.AVCC {
			p.Skipped++
		}
	}
	p.unit, p.frame = nil, nil
}

var startCode = []byte{0, 0, 1}

// cutStartCode splits an Annex B stream at its first start code. Zeros at the
// end of a unit belong to the stream (ITU-T H.264 §B.1: trailing_zero_8bits).
func cutStartCode(b []byte) (unit, rest []byte) {
	unit = b
	if i := bytes.Index(b, startCode); i >= 0 {
		unit, rest = b[:i], b[i+len(startCode):]
	}
	for len(unit) > 0 && unit[len(unit)-1] == 0 {
		unit = unit[:len(unit)-1]
	}
	return unit, rest
}

// cutLength splits the first unit off a frame of lengths and units. One that
// runs beyond the frame ends it.
func cutLength(b []byte) (unit, rest []byte) {
	if len(b) < prefixLen {
		return nil, nil
	}
	n := uint64(binary.BigEndian.Uint32(b))
	b = b[prefixLen:]
	if n > uint64(len(b)) {
		return nil, nil
	}
	return b[:n:n], b[n:]
}
