package rtcp

import "encoding/binary"

// SSRCs is a list of sources.
type SSRCs struct{ b []byte }

// Len returns the number of sources.
func (s SSRCs) Len() int { return len(s.b) / 4 }

// At returns source i.
func (s SSRCs) At(i int) uint32 { return binary.BigEndian.Uint32(s.b[4*i:]) }

// Bye is a parsed goodbye: the sources that leave and why.
type Bye struct {
	SSRCs  SSRCs
	Reason []byte // part of the packet; nil if none was given
}

// ParseBYE reads a goodbye (RFC 3550 §6.6). It reports false if p is none, or
// if its sources or its reason run beyond it.
func ParseBYE(p Packet) (Bye, bool) {
	n := 4 * int(p.Count)
	if p.Type != TypeBYE || len(p.Body) < n {
		return Bye{}, false
	}
	bye := Bye{SSRCs: SSRCs{p.Body[:n]}}
	if rest := p.Body[n:]; len(rest) > 0 {
		end := 1 + int(rest[0])
		if len(rest) < end {
			return Bye{}, false
		}
		bye.Reason = rest[1:end:end]
	}
	return bye, true
}

// AppendBYE appends a goodbye of up to MaxBlocks sources with a reason of up to
// MaxText bytes, or none if it is empty.
func AppendBYE(b []byte, reason string, ssrcs ...uint32) []byte {
	start, ssrcs := len(b), ssrcs[:min(len(ssrcs), MaxBlocks)]
	b = open(b, TypeBYE, uint8(len(ssrcs)))
	for _, s := range ssrcs {
		b = binary.BigEndian.AppendUint32(b, s)
	}
	if reason != "" {
		reason = reason[:min(len(reason), MaxText)]
		b = append(b, uint8(len(reason)))
		b = append(b, reason...)
	}
	return closePacket(align(b, start), start)
}
