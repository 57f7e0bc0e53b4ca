package sctp

import "encoding/binary"

// DATA, SACK and FORWARD TSN on the wire, and I-DATA and I-FORWARD-TSN of
// RFC 8260.

// Flags of DATA, RFC 9260 §3.3.1.
const (
	flagEnd       = 1
	flagBegin     = 2
	flagUnordered = 4
	flagImmediate = 8
)

const (
	dataHeaderLen  = chunkHeaderLen + 12
	idataHeaderLen = chunkHeaderLen + 16
)

type dataChunk struct {
	flags   uint8
	idata   bool // I-DATA: mid and fsn instead of ssn
	tsn     uint32
	sid     uint16
	ssn     uint16
	mid     uint32
	fsn     uint32 // 0 in the first fragment
	ppid    uint32 // I-DATA: in the first fragment
	payload []byte // may be empty, which is an error of the sender
}

// parseData reads DATA or, if its type says so, I-DATA.
func parseData(c chunk) (d dataChunk, ok bool) {
	if c.typ == typeIData {
		if len(c.value) < idataHeaderLen-chunkHeaderLen {
			return d, false
		}
		d = dataChunk{
			flags: c.flags, idata: true,
			tsn:     binary.BigEndian.Uint32(c.value),
			sid:     binary.BigEndian.Uint16(c.value[4:]),
			mid:     binary.BigEndian.Uint32(c.value[8:]),
			payload: c.value[16:],
		}
		if v := binary.BigEndian.Uint32(c.value[12:]); c.flags&flagBegin != 0 {
			d.ppid = v
		} else {
			d.fsn = v
		}
		return d, true
	}
	if len(c.value) < dataHeaderLen-chunkHeaderLen {
		return d, false
	}
	return dataChunk{
		flags:   c.flags,
		tsn:     binary.BigEndian.Uint32(c.value),
		sid:     binary.BigEndian.Uint16(c.value[4:]),
		ssn:     binary.BigEndian.Uint16(c.value[6:]),
		ppid:    binary.BigEndian.Uint32(c.value[8:]),
		payload: c.value[12:],
	}, true
}

func appendData(b []byte, d *dataChunk) []byte {
	start := len(b)
	if d.idata {
		b = beginChunk(b, typeIData, d.flags)
		b = binary.BigEndian.AppendUint32(b, d.tsn)
		b = binary.BigEndian.AppendUint32(b, uint32(d.sid)<<16)
		b = binary.BigEndian.AppendUint32(b, d.mid)
		v := d.fsn
		if d.flags&flagBegin != 0 {
			v = d.ppid
		}
		b = binary.BigEndian.AppendUint32(b, v)
		return endChunk(append(b, d.payload...), start)
	}
	b = beginChunk(b, typeData, d.flags)
	b = binary.BigEndian.AppendUint32(b, d.tsn)
	b = binary.BigEndian.AppendUint16(b, d.sid)
	b = binary.BigEndian.AppendUint16(b, d.ssn)
	b = binary.BigEndian.AppendUint32(b, d.ppid)
	return endChunk(append(b, d.payload...), start)
}

const sackFixedLen = 12

// sackChunk is a view of a SACK, RFC 9260 §3.3.4.
type sackChunk struct {
	cum    uint32
	window uint32
	gaps   []byte // pairs of 16-bit offsets from cum, inclusive
	dups   []byte // 32-bit TSNs
}

func parseSack(c chunk) (s sackChunk, ok bool) {
	if len(c.value) < sackFixedLen {
		return s, false
	}
	gaps := 4 * int(binary.BigEndian.Uint16(c.value[8:]))
	dups := 4 * int(binary.BigEndian.Uint16(c.value[10:]))
	if len(c.value) != sackFixedLen+gaps+dups {
		return s, false
	}
	return sackChunk{
		cum:    binary.BigEndian.Uint32(c.value),
		window: binary.BigEndian.Uint32(c.value[4:]),
		gaps:   c.value[sackFixedLen : sackFixedLen+gaps],
		dups:   c.value[sackFixedLen+gaps:],
	}, true
}

func (s *sackChunk) numGaps() int { return len(s.gaps) / 4 }

// gap returns the first and last TSN of block i.
func (s *sackChunk) gap(i int) (first, last uint32) {
	return s.cum + uint32(binary.BigEndian.Uint16(s.gaps[4*i:])), s.cum + uint32(binary.BigEndian.Uint16(s.gaps[4*i+2:]))
}

func appendSack(b []byte, cum, window uint32, gaps []tsnRange, dups []uint32) []byte {
	start := len(b)
	b = beginChunk(b, typeSack, 0)
	b = binary.BigEndian.AppendUint32(b, cum)
	b = binary.BigEndian.AppendUint32(b, window)
	b = binary.BigEndian.AppendUint16(b, uint16(len(gaps)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(dups)))
	for _, g := range gaps {
		b = binary.BigEndian.AppendUint16(b, uint16(g.first-cum))
		b = binary.BigEndian.AppendUint16(b, uint16(g.last-cum))
	}
	for _, d := range dups {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return endChunk(b, start)
}

// forwardChunk is a view of a FORWARD TSN, RFC 3758 §3.2, or of an
// I-FORWARD-TSN, RFC 8260 §2.3.1.
type forwardChunk struct {
	cum     uint32
	streams []byte
	entry   int // bytes of each of them
}

// skip is a stream of which messages are given up: those up to mid, which is
// an SSN in FORWARD TSN.
type skip struct {
	sid       uint16
	unordered bool // I-FORWARD-TSN only
	mid       uint32
}

func parseForward(c chunk) (f forwardChunk, ok bool) {
	f.entry = 4
	if c.typ == typeIForwardTSN {
		f.entry = 8
	}
	if len(c.value) < 4 || (len(c.value)-4)%f.entry != 0 {
		return f, false
	}
	f.cum, f.streams = binary.BigEndian.Uint32(c.value), c.value[4:]
	return f, true
}

func (f *forwardChunk) numStreams() int { return len(f.streams) / f.entry }

func (f *forwardChunk) stream(i int) skip {
	b := f.streams[f.entry*i:]
	k := skip{sid: binary.BigEndian.Uint16(b)}
	if f.entry == 4 {
		k.mid = uint32(binary.BigEndian.Uint16(b[2:]))
		return k
	}
	k.unordered, k.mid = b[3]&1 != 0, binary.BigEndian.Uint32(b[4:])
	return k
}

// appendForward appends a chunk of type t, which is one of the two.
func appendForward(b []byte, t chunkType, cum uint32, streams []skip) []byte {
	start := len(b)
	b = beginChunk(b, t, 0)
	b = binary.BigEndian.AppendUint32(b, cum)
	for _, k := range streams {
		b = binary.BigEndian.AppendUint16(b, k.sid)
		if t == typeForwardTSN {
			b = binary.BigEndian.AppendUint16(b, uint16(k.mid))
			continue
		}
		var u uint16
		if k.unordered {
			u = 1
		}
		b = binary.BigEndian.AppendUint16(b, u)
		b = binary.BigEndian.AppendUint32(b, k.mid)
	}
	return endChunk(b, start)
}
