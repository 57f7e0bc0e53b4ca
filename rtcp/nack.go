package rtcp

import (
	"encoding/binary"
	"math/bits"
)

// NACKPair names up to 17 lost packets: Seq, and Seq+1+i for each bit i of
// Bits (RFC 4585 §6.2.1).
type NACKPair struct {
	Seq  uint16
	Bits uint16
}

// NACKPairs appends to dst the pairs that name seqs, which are in sending
// order: ascending, modulo 2^16. Repetitions are merged; a number out of order
// starts a pair of its own.
func NACKPairs(dst []NACKPair, seqs []uint16) []NACKPair {
	first := len(dst)
	for _, seq := range seqs {
		if len(dst) > first {
			last := &dst[len(dst)-1]
			switch d := seq - last.Seq; {
			case d == 0:
				continue
			case d <= 16:
				last.Bits |= 1 << (d - 1)
				continue
			}
		}
		dst = append(dst, NACKPair{Seq: seq})
	}
	return dst
}

// NACK is a parsed generic NACK.
type NACK struct {
	Sender, Media uint32
	fci           []byte
}

// ParseNACK reads a generic NACK. It reports false if p is none or has no
// whole pair.
func ParseNACK(p Packet) (NACK, bool) {
	sender, media, fci, ok := feedback(p, TypeRTPFB, FormatNACK)
	if !ok || len(fci) == 0 { // whole words, hence whole pairs
		return NACK{}, false
	}
	return NACK{sender, media, fci}, true
}

// Len returns the number of pairs, at least 1.
func (n NACK) Len() int { return len(n.fci) / 4 }

// At returns pair i.
func (n NACK) At(i int) NACKPair {
	b := n.fci[4*i : 4*i+4]
	return NACKPair{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
}

// Lost returns an iterator over the sequence numbers the NACK names, in its
// order: at most 17 for each pair.
func (n NACK) Lost() Lost { return Lost{fci: n.fci} }

// Lost iterates over lost sequence numbers.
type Lost struct {
	fci  []byte
	pair NACKPair // Bits: what is left of the current pair
}

// Next returns the next sequence number. It reports false at the end.
func (l *Lost) Next() (uint16, bool) {
	if l.pair.Bits != 0 {
		i := bits.TrailingZeros16(l.pair.Bits)
		l.pair.Bits &= l.pair.Bits - 1
		return l.pair.Seq + 1 + uint16(i), true
	}
	if len(l.fci) < 4 {
		return 0, false
	}
	l.pair = NACKPair{binary.BigEndian.Uint16(l.fci), binary.BigEndian.Uint16(l.fci[2:])}
	l.fci = l.fci[4:]
	return l.pair.Seq, true
}

// AppendNACK appends a generic NACK with up to MaxList pairs.
func AppendNACK(b []byte, sender, media uint32, pairs []NACKPair) []byte {
	start := len(b)
	b = openFeedback(b, TypeRTPFB, FormatNACK, sender, media)
	for _, p := range pairs[:min(len(pairs), MaxList)] {
		b = binary.BigEndian.AppendUint16(b, p.Seq)
		b = binary.BigEndian.AppendUint16(b, p.Bits)
	}
	return closePacket(b, start)
}
