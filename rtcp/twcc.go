package rtcp

import (
	"encoding/binary"
	"time"
)

// TWCC is a parsed transport-wide feedback packet
// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
type TWCC struct {
	Sender, Media uint32
	Base          uint16        // first sequence number reported
	Count         uint16        // of numbers reported
	Reference     time.Duration // of the receiver's clock, 24 signed bits of 64 ms
	Feedback      uint8         // counts feedback packets

	chunks, deltas []byte
}

// ParseTWCC reads a transport-wide feedback packet. It reports false if p is
// none, if it has a reserved symbol, if its chunks or deltas are fewer than
// its count asks for, or if that is more than MaxFeedbackSpan.
func ParseTWCC(p Packet) (TWCC, bool) {
	sender, media, fci, ok := feedback(p, TypeRTPFB, FormatTWCC)
	if !ok || len(fci) < 8 || binary.BigEndian.Uint16(fci[2:]) > MaxFeedbackSpan {
		return TWCC{}, false
	}
	t := TWCC{
		Sender: sender, Media: media,
		Base:      binary.BigEndian.Uint16(fci),
		Count:     binary.BigEndian.Uint16(fci[2:]),
		Reference: time.Duration(int32(binary.BigEndian.Uint32(fci[4:]))>>8) * refUnit,
		Feedback:  fci[7],
	}
	left, need, n := int(t.Count), 0, 8
	for left > 0 {
		if len(fci) < n+chunkSz {
			return TWCC{}, false
		}
		symbols, bytes, ok := measure(binary.BigEndian.Uint16(fci[n:]), left)
		if !ok {
			return TWCC{}, false
		}
		left, need, n = left-symbols, need+bytes, n+chunkSz
	}
	if len(fci)-n < need {
		return TWCC{}, false
	}
	t.chunks, t.deltas = fci[8:n], fci[n:n+need]
	return t, true
}

// measure returns how many of the left symbols the chunk stands for and how
// many bytes their deltas take. It refuses reserved symbols and empty runs.
func measure(chunk uint16, left int) (symbols, bytes int, ok bool) {
	if chunk&vectorChunk == 0 {
		s := int(chunk >> 13)
		symbols = min(int(chunk&maxRun), left)
		return symbols, symbols * s, s != reserved && symbols > 0
	}
	symbols = min(vectorLen(chunk), left)
	for i := range symbols {
		s := vectorSymbol(chunk, i)
		if s == reserved {
			return 0, 0, false
		}
		bytes += int(s)
	}
	return symbols, bytes, true
}

func vectorLen(chunk uint16) int {
	if chunk&twoBits != 0 {
		return wide
	}
	return narrow
}

func vectorSymbol(chunk uint16, i int) uint8 {
	if chunk&twoBits != 0 {
		return uint8(chunk>>(12-2*i)) & 3
	}
	return uint8(chunk>>(13-i)) & 1
}

// Status is what feedback says about one packet.
type Status struct {
	Seq      uint16
	Received bool
	// At is the arrival on the receiver's clock, in units of 250 us; it
	// starts from TWCC.Reference and means nothing unless Received.
	At time.Duration
}

// Statuses iterates over the statuses of a feedback packet.
type Statuses struct {
	chunks, deltas []byte
	at             time.Duration
	seq            uint16
	left           int
	chunk          uint16
	i, n           int // symbols used and present in chunk
}

// Statuses returns an iterator over the Count statuses.
func (t TWCC) Statuses() Statuses {
	return Statuses{chunks: t.chunks, deltas: t.deltas, at: t.Reference, seq: t.Base, left: int(t.Count)}
}

// Next returns the next status. It reports false at the end.
func (s *Statuses) Next() (Status, bool) {
	if s.left == 0 {
		return Status{}, false
	}
	if s.i == s.n {
		s.chunk = binary.BigEndian.Uint16(s.chunks)
		s.chunks, s.i, s.n = s.chunks[chunkSz:], 0, int(s.chunk&maxRun)
		if s.chunk&vectorChunk != 0 {
			s.n = vectorLen(s.chunk)
		}
	}
	sym := uint8(s.chunk >> 13)
	if s.chunk&vectorChunk != 0 {
		sym = vectorSymbol(s.chunk, s.i)
	}
	st := Status{Seq: s.seq}
	switch sym {
	case smallDelta:
		st.Received = true
		s.at += time.Duration(s.deltas[0]) * deltaUnit
	case largeDelta:
		st.Received = true
		s.at += time.Duration(int16(binary.BigEndian.Uint16(s.deltas))) * deltaUnit
	}
	if st.Received {
		s.deltas, st.At = s.deltas[sym:], s.at
	}
	s.i++
	s.seq++
	s.left--
	return st, true
}
