package rtcp

import (
	"encoding/binary"
	"errors"
)

// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const (
	TypeSR    = 200
	TypeRR    = 201
	TypeSDES  = 202
	TypeBYE   = 203
	TypeAPP   = 204
	TypeRTPFB = 205
	TypePSFB  = 206
	TypeXR    = 207
)

// Feedback message types: the count field of TypeRTPFB and TypePSFB.
const (
	FormatNACK = 1  // RTPFB, RFC 4585 §6.2.1
	FormatTWCC = 15 // RTPFB, transport-wide congestion control
	FormatPLI  = 1  // PSFB, RFC 4585 §6.3.1
	FormatFIR  = 4  // PSFB, RFC 5104 §4.3.1
	FormatREMB = 15 // PSFB, application layer feedback
)

const (
	headerLen   = 4
	versionBits = 0x80
	versionMask = 0xc0
	paddingBit  = 0x20
	countMask   = 0x1f
)

// Errors of Next.
var (
	ErrShort   = errors.New("rtcp: packet ends before its length")
	ErrVersion = errors.New("rtcp: version is not 2")
	ErrPadding = errors.New("rtcp: invalid padding")
)

// Packet is one packet of a compound.
type Packet struct {
	Type  uint8
	Count uint8  // 5 bits: number of blocks, or feedback message type
	Body  []byte // what follows the first four bytes, without padding
}

// IsRTCP reports whether b, on a port shared with RTP, is RTCP: its second
// byte is 192 to 223 (RFC 5761 §4).
func IsRTCP(b []byte) bool { return len(b) >= 2 && b[1]&0xe0 == 192 }

// Next splits the first packet off the compound b (RFC 3550 §6.1). At the end,
// when b is empty, it returns a zero Packet, whose Type is 0. After an error
// nothing of b can be read.
func Next(b []byte) (p Packet, rest []byte, err error) {
	if len(b) == 0 {
		return Packet{}, nil, nil
	}
	if len(b) < headerLen {
		return Packet{}, nil, ErrShort
	}
	if b[0]&versionMask != versionBits {
		return Packet{}, nil, ErrVersion
	}
	n := headerLen + 4*int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < n {
		return Packet{}, nil, ErrShort
	}
	end := n
	if b[0]&paddingBit != 0 {
		// RFC 3550 §6.4.1: a multiple of four, the count included.
		pad := 0
		if n > headerLen {
			pad = int(b[n-1])
		}
		if pad == 0 || pad%4 != 0 || pad > n-headerLen {
			return Packet{}, nil, ErrPadding
		}
		end -= pad
	}
	return Packet{Type: b[1], Count: b[0] & countMask, Body: b[headerLen:end:end]}, b[n:], nil
}

// Valid reports whether b is one or more whole packets and nothing else, of
// which none but the last is padded (RFC 3550 §A.2). It accepts reduced-size
// packets (RFC 5506): Compound tells them apart.
func Valid(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		padded := b[0]&paddingBit != 0
		_, rest, err := Next(b)
		if err != nil || (padded && len(rest) > 0) {
			return false
		}
		b = rest
	}
	return true
}

// Compound reports whether b, for which Valid holds, obeys the full rules of
// RFC 3550 §6.1: a report first, and a CNAME. A reduced-size packet does not.
func Compound(b []byte) bool {
	p, rest, err := Next(b)
	if err != nil || (p.Type != TypeSR && p.Type != TypeRR) {
		return false
	}
	for len(rest) > 0 {
		if p, rest, err = Next(rest); err != nil {
			return false
		}
		if p.Type != TypeSDES {
			continue
		}
		items, _ := ParseSDES(p)
		for it, ok := items.Next(); ok; it, ok = items.Next() {
			if it.Kind == ItemCNAME {
				return true
			}
		}
	}
	return false
}

// open appends the first four bytes of a packet whose length closePacket fills
// in.
func open(b []byte, typ, count uint8) []byte {
	return append(b, versionBits|count&countMask, typ, 0, 0)
}

// closePacket writes the length of the packet that starts at start.
func closePacket(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start+2:], uint16((len(b)-start)/4-1))
	return b
}

// AppendPadding pads the packet at b[start:], the last of a compound, with n
// bytes, a multiple of four from 4 to 252 (RFC 3550 §6.4.1). Other n change
// nothing.
func AppendPadding(b []byte, start int, n uint8) []byte {
	if n == 0 || n%4 != 0 {
		return b
	}
	b[start] |= paddingBit
	for i := uint8(1); i < n; i++ {
		b = append(b, 0)
	}
	return closePacket(append(b, n), start)
}
