package sctp

import "encoding/binary"

// DATA, SACK and FORWARD TSN on the wire.

// Flags of DATA, RFC 9260 §3.3.1.
const (
	flagEnd       = 1
	flagBegin     = 2
	flagUnordered = 4
	flagImmediate = 8
)

const dataHeaderLen = chunkHeaderLen + 12

type dataChunk struct {
	flags   uint8
	tsn     uint32
	sid     uint16
	ssn     uint16
	ppid    uint32
	payload []byte // may be empty, which is an error of the sender
}

func parseData(c chunk) (d dataChunk, ok bool) {
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

// forwardChunk is a view of a FORWARD TSN, RFC 3758 §3.2.
type forwardChunk struct {
	cum     uint32
	streams []byte // pairs of stream id and SSN
}

type streamSSN struct{ sid, ssn uint16 }

func parseForward(c chunk) (f forwardChunk, ok bool) {
	if len(c.value) < 4 || len(c.value)&3 != 0 {
		return f, false
	}
	return forwardChunk{binary.BigEndian.Uint32(c.value), c.value[4:]}, true
}

func (f *forwardChunk) numStreams() int { return len(f.streams) / 4 }

func (f *forwardChunk) stream(i int) streamSSN {
	return streamSSN{binary.BigEndian.Uint16(f.streams[4*i:]), binary.BigEndian.Uint16(f.streams[4*i+2:])}
}

func appendForward(b []byte, cum uint32, streams []streamSSN) []byte {
	start := len(b)
	b = beginChunk(b, typeForwardTSN, 0)
	b = binary.BigEndian.AppendUint32(b, cum)
	for _, s := range streams {
		b = binary.BigEndian.AppendUint16(b, s.sid)
		b = binary.BigEndian.AppendUint16(b, s.ssn)
	}
	return endChunk(b, start)
}
