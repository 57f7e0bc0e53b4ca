package rtp

import "encoding/binary"

const (
	fixedLen = 12 // RFC 3550 §5.1, without contributing sources

	versionBits  = 0x80 // version 2
	versionMask  = 0xc0
	paddingBit   = 0x20
	extensionBit = 0x10
	csrcMask     = 0x0f
	markerBit    = 0x80
	typeMask     = 0x7f
)

// View is a parsed packet: the packet's own bytes and what its header says.
// Its fields are read freely and written only through the setters, which keep
// Raw in step.
type View struct {
	Raw         []byte
	Timestamp   uint32 // in units of the payload's clock
	SSRC        uint32
	Seq         uint16
	PayloadType uint8 // 0 to 127
	Marker      bool

	HasExtension     bool
	ExtensionProfile uint16 // "defined by profile" of RFC 3550 §5.3.1
	CSRCCount        uint8  // 0 to 15

	padding uint8
	header  uint16
}

// Parse reads the header of the packet b (RFC 3550 §5.1), which the View
// borrows. It reports false if b is not a whole RTP packet: another version,
// contributing sources or an extension that end beyond it, padding of zero or
// of more bytes than there are behind the header, or more than MaxPacket bytes.
func Parse(b []byte) (v View, ok bool) {
	ok = v.Parse(b)
	return v, ok
}

// Parse is the function Parse, in place: a View is large enough for its copy to
// cost more than the parsing. Where it reports false, v is as it was.
func (v *View) Parse(b []byte) bool {
	if len(b) < fixedLen || len(b) > MaxPacket || b[0]&versionMask != versionBits {
		return false
	}
	n := fixedLen + 4*int(b[0]&csrcMask)
	profile := uint16(0)
	if b[0]&extensionBit != 0 {
		if len(b) < n+4 {
			return false
		}
		profile = binary.BigEndian.Uint16(b[n:])
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if len(b) < n {
		return false
	}
	padding := uint8(0)
	if b[0]&paddingBit != 0 {
		// RFC 3550 §5.1: the count includes itself, so it is not zero.
		padding = b[len(b)-1]
		if padding == 0 || int(padding) > len(b)-n {
			return false
		}
	}
	v.Raw = b
	v.Timestamp = binary.BigEndian.Uint32(b[4:])
	v.SSRC = binary.BigEndian.Uint32(b[8:])
	v.Seq = binary.BigEndian.Uint16(b[2:])
	v.PayloadType, v.Marker = b[1]&typeMask, b[1]&markerBit != 0
	v.HasExtension, v.ExtensionProfile = b[0]&extensionBit != 0, profile
	v.CSRCCount = b[0] & csrcMask
	v.padding, v.header = padding, uint16(n)
	return true
}

// Header returns the length of the header in bytes: contributing sources and
// extension included.
func (v *View) Header() int { return int(v.header) }

// Payload returns the payload without padding. It is empty in a packet of
// padding alone, such as a bandwidth probe.
func (v *View) Payload() []byte {
	end := len(v.Raw) - int(v.padding)
	return v.Raw[v.header:end:end]
}

// Padding returns the number of padding bytes, 0 to 255, the count included.
func (v *View) Padding() int { return int(v.padding) }

// Body returns the payload and the padding behind it.
func (v *View) Body() []byte { return v.Raw[v.header:] }

// SetPadding replaces the padding with n bytes of it, the count included
// (RFC 3550 §5.1); 0: none. Raw grows within its capacity; where that, or
// MaxPacket, is too small, SetPadding reports false and changes nothing.
func (v *View) SetPadding(n uint8) bool {
	end := len(v.Raw) - int(v.padding)
	size := end + int(n)
	if size > cap(v.Raw) || size > MaxPacket {
		return false
	}
	v.Raw, v.padding = v.Raw[:size], n
	v.Raw[0] &^= paddingBit
	if n > 0 {
		v.Raw[0] |= paddingBit
		clear(v.Raw[end:])
		v.Raw[size-1] = n
	}
	return true
}

// CSRC returns contributing source i, where i < CSRCCount.
func (v *View) CSRC(i int) uint32 {
	if uint(i) >= uint(v.CSRCCount) {
		panic("rtp: CSRC index out of range")
	}
	return binary.BigEndian.Uint32(v.Raw[fixedLen+4*i:])
}

// SetSeq writes the sequence number into the packet.
func (v *View) SetSeq(seq uint16) {
	v.Seq = seq
	binary.BigEndian.PutUint16(v.Raw[2:], seq)
}

// SetTimestamp writes the timestamp into the packet.
func (v *View) SetTimestamp(ts uint32) {
	v.Timestamp = ts
	binary.BigEndian.PutUint32(v.Raw[4:], ts)
}

// SetSSRC writes the synchronisation source into the packet.
func (v *View) SetSSRC(ssrc uint32) {
	v.SSRC = ssrc
	binary.BigEndian.PutUint32(v.Raw[8:], ssrc)
}

// SetPayloadType writes the payload type, of which it takes the low 7 bits,
// into the packet.
func (v *View) SetPayloadType(pt uint8) {
	v.PayloadType = pt & typeMask
	v.Raw[1] = v.Raw[1]&markerBit | v.PayloadType
}

// SetMarker writes the marker bit into the packet.
func (v *View) SetMarker(m bool) {
	v.Marker = m
	v.Raw[1] &^= markerBit
	if m {
		v.Raw[1] |= markerBit
	}
}
