package rtcp

import "encoding/binary"

// SDES item kinds (RFC 3550 §6.5, RFC 8852 §4.1).
const (
	ItemCNAME = 1
	ItemMID   = 15
	ItemRID   = 12
	ItemRRID  = 13
)

// Item is one item of a source description.
type Item struct {
	SSRC uint32
	Kind uint8
	Text []byte // 0 to 255 bytes, part of the packet
}

// SDES iterates over the items of a source description, chunk by chunk.
type SDES struct {
	b       []byte
	chunks  int
	ssrc    uint32
	inChunk bool
}

// ParseSDES starts to read a source description. It reports false if p is
// none.
func ParseSDES(p Packet) (SDES, bool) {
	if p.Type != TypeSDES {
		return SDES{}, false
	}
	return SDES{b: p.Body, chunks: int(p.Count)}, true
}

// Next returns the next item. It reports false at the end, and for good at an
// item that runs beyond the packet.
func (s *SDES) Next() (Item, bool) {
	for {
		if !s.inChunk {
			if s.chunks == 0 || len(s.b) < 8 { // a chunk is an SSRC and at least one word
				return s.stop()
			}
			s.ssrc = binary.BigEndian.Uint32(s.b)
			s.b, s.chunks, s.inChunk = s.b[4:], s.chunks-1, true
		}
		if len(s.b) == 0 {
			return s.stop()
		}
		if s.b[0] == 0 {
			// RFC 3550 §6.5: one or more zeros, up to the next word. The
			// body is whole words, so its length tells how far that is.
			s.b, s.inChunk = s.b[1+(len(s.b)-1)%4:], false
			continue
		}
		if len(s.b) < 2 || len(s.b) < 2+int(s.b[1]) {
			return s.stop()
		}
		n := 2 + int(s.b[1])
		it := Item{SSRC: s.ssrc, Kind: s.b[0], Text: s.b[2:n:n]}
		s.b = s.b[n:]
		return it, true
	}
}

func (s *SDES) stop() (Item, bool) {
	*s = SDES{}
	return Item{}, false
}

// AppendSDES appends a source description of one chunk: the CNAME of ssrc, at
// most MaxText bytes of it.
func AppendSDES(b []byte, ssrc uint32, cname string) []byte {
	start := len(b)
	cname = cname[:min(len(cname), MaxText)]
	b = open(b, TypeSDES, 1)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, ItemCNAME, uint8(len(cname)))
	b = append(b, cname...)
	b = append(b, 0)
	return closePacket(align(b, start), start)
}

// align pads the packet at start with zeros to whole words.
func align(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
