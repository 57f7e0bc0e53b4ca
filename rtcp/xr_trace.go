package rtcp

import "encoding/binary"

// XRRange is what a block reports about: the packets of a source from Begin to
// before End, modulo 2^16, of which only those count whose sequence number is
// a multiple of 2^Thinning, 0 to 15 (RFC 3611 §4.1).
type XRRange struct {
	SSRC       uint32
	Begin, End uint16
	Thinning   uint8
}

const rangeLen = 8

func parseRange(b XRBlock) XRRange {
	return XRRange{
		SSRC:  binary.BigEndian.Uint32(b.Body),
		Begin: binary.BigEndian.Uint16(b.Body[4:]), End: binary.BigEndian.Uint16(b.Body[6:]),
		Thinning: b.Specific & 0x0f,
	}
}

func (r *XRRange) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, r.SSRC)
	b = binary.BigEndian.AppendUint16(b, r.Begin)
	return binary.BigEndian.AppendUint16(b, r.End)
}

// Seq is the sequence number of packet i of the range. 2^16 is a multiple of
// the step, so it needs no care at the wrap.
func (r *XRRange) Seq(i int) uint16 {
	step := uint16(1) << (r.Thinning & 15)
	return (r.Begin+step-1)&^(step-1) + uint16(i)*step
}

// Len is the number of packets the range reports about, 0 to 65535.
func (r *XRRange) Len() int {
	ahead, span := int(r.Seq(0)-r.Begin), int(r.End-r.Begin)
	if span <= ahead {
		return 0
	}
	return (span-ahead-1)>>(r.Thinning&15) + 1
}

// XRTrace is a parsed trace of bits, one for each packet of the range. A zero
// is a lost packet, or in an XRDuplicateRLE block one that came more than once
// (RFC 3611 §4.2).
type XRTrace struct {
	XRRange
	chunks []byte
}

// ParseXRTrace reads an XRLossRLE or XRDuplicateRLE block. It reports false if
// b is none, or is about more than MaxXRPackets packets.
func ParseXRTrace(b XRBlock) (XRTrace, bool) {
	if b.Type != XRLossRLE && b.Type != XRDuplicateRLE || len(b.Body) < rangeLen {
		return XRTrace{}, false
	}
	t := XRTrace{parseRange(b), b.Body[rangeLen:]}
	return t, t.Len() <= MaxXRPackets
}

// Bits returns an iterator over the packets of the trace.
func (t XRTrace) Bits() XRBits {
	return XRBits{chunks: t.chunks, seq: t.Seq(0), step: 1 << t.Thinning, left: t.Len()}
}

// XRBits iterates over the packets of a trace, at most MaxXRPackets.
type XRBits struct {
	chunks    []byte
	left      int // packets of the range
	n         int // packets of the current chunk
	vector    uint16
	seq, step uint16
	run       bool
}

// Next returns the next packet's sequence number and bit. It reports false at
// the end of the range, of the chunks, or at a terminating null chunk.
func (x *XRBits) Next() (seq uint16, one, ok bool) {
	for x.n == 0 {
		if x.left == 0 || len(x.chunks) < 2 {
			return 0, false, false
		}
		c := binary.BigEndian.Uint16(x.chunks)
		x.chunks = x.chunks[2:]
		switch {
		case c == 0: // RFC 3611 §4.1.3
			x.left = 0
		case c&xrVector != 0: // §4.1.2
			x.n, x.vector, x.run = xrVectorBits, c<<1, false
		default: // §4.1.1
			x.n, x.vector, x.run = int(c&xrMaxRun), c<<1, true
		}
	}
	if x.left == 0 {
		return 0, false, false
	}
	seq, one = x.seq, x.vector&0x8000 != 0
	if !x.run {
		x.vector <<= 1
	}
	x.seq, x.n, x.left = x.seq+x.step, x.n-1, x.left-1
	return seq, one, true
}

const (
	xrVector     = 0x8000 // else a run
	xrOnes       = 0x4000 // of a run
	xrMaxRun     = 0x3fff
	xrVectorBits = 15
)

// XRChunks appends to dst the chunks that encode the bits of a trace, for
// AppendXRTrace: runs where they are longer than a vector, vectors elsewhere.
func XRChunks(dst []uint16, trace []bool) []uint16 {
	for len(trace) > 0 {
		n := 1
		for n < len(trace) && n < xrMaxRun && trace[n] == trace[0] {
			n++
		}
		if n >= xrVectorBits || n == len(trace) {
			c := uint16(n)
			if trace[0] {
				c |= xrOnes
			}
			dst, trace = append(dst, c), trace[n:]
			continue
		}
		n = min(len(trace), xrVectorBits)
		c := uint16(xrVector)
		for i, one := range trace[:n] {
			if one {
				c |= xrOnes >> i
			}
		}
		dst, trace = append(dst, c), trace[n:]
	}
	return dst
}

// AppendXRTrace appends a trace of losses, or of duplicates, to the report at
// start, in chunks as XRChunks makes them.
func AppendXRTrace(b []byte, start int, duplicates bool, r XRRange, chunks []uint16) []byte {
	typ := uint8(XRLossRLE)
	if duplicates {
		typ = XRDuplicateRLE
	}
	chunks = chunks[:min(len(chunks), maxXRChunks)]
	b, ok := openBlock(b, start, typ, r.Thinning&0x0f, rangeLen/4+(len(chunks)+1)/2)
	if !ok {
		return b
	}
	b = r.append(b)
	for _, c := range chunks {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	if len(chunks)%2 != 0 {
		b = append(b, 0, 0) // RFC 3611 §4.1: an odd number ends with a null chunk
	}
	return b
}

// XRTimes is a parsed list of receipt times, one for each packet of the range,
// in units of the source's timestamps (RFC 3611 §4.3).
type XRTimes struct {
	XRRange
	b []byte
}

// ParseXRTimes reads an XRReceiptTimes block. It reports false if b is none, is
// about more than MaxXRPackets packets, or has another number of times.
func ParseXRTimes(b XRBlock) (XRTimes, bool) {
	if b.Type != XRReceiptTimes || len(b.Body) < rangeLen {
		return XRTimes{}, false
	}
	t := XRTimes{parseRange(b), b.Body[rangeLen:]}
	return t, t.Len() <= MaxXRPackets && len(t.b) == 4*t.Len()
}

// At returns the receipt time of packet Seq(i).
func (t XRTimes) At(i int) uint32 { return binary.BigEndian.Uint32(t.b[4*i:]) }

// AppendXRTimes appends receipt times to the report at start. They must be as
// many as the range says and at most MaxXRPackets, else nothing is appended.
func AppendXRTimes(b []byte, start int, r XRRange, times []uint32) []byte {
	if len(times) != r.Len() || len(times) > MaxXRPackets {
		return b
	}
	b, ok := openBlock(b, start, XRReceiptTimes, r.Thinning&0x0f, rangeLen/4+len(times))
	if !ok {
		return b
	}
	b = r.append(b)
	for _, t := range times {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return b
}
