package rtp

import "encoding/binary"

// Header describes the header of a packet to build.
type Header struct {
	Marker      bool
	Padding     bool // sets the P bit: the caller ends the packet with AppendPadding
	PayloadType uint8
	Seq         uint16
	Timestamp   uint32
	SSRC        uint32
	CSRC        []uint32  // at most MaxCSRC
	Extensions  []ExtPair // id 0 and data over MaxExtensionData are left out
}

// Append appends the header to b (RFC 3550 §5.1). Extensions go in one-byte
// form if all of them fit it, else in two-byte form (RFC 8285 §4.1.2). Elements
// past 64 KiB in all are left out.
func (h *Header) Append(b []byte) []byte {
	csrc := h.CSRC[:min(len(h.CSRC), MaxCSRC)]
	first, second := uint8(versionBits|len(csrc)), h.PayloadType&typeMask
	if h.Padding {
		first |= paddingBit
	}
	if h.Marker {
		second |= markerBit
	}
	start := len(b)
	b = appendFixed(b, first, second, h.Seq, h.Timestamp, h.SSRC)
	for _, s := range csrc {
		b = binary.BigEndian.AppendUint32(b, s)
	}

	some, two := false, false
	for i := range h.Extensions {
		if p := &h.Extensions[i]; p.usable() {
			some, two = true, two || needsTwoBytes(p.ID, len(p.Data))
		}
	}
	if !some {
		return b
	}
	b[start] |= extensionBit
	profile := uint16(ProfileOneByte)
	if two {
		profile = ProfileTwoByte
	}
	b = append(b, uint8(profile>>8), uint8(profile), 0, 0)
	body := len(b)
	for i := range h.Extensions {
		if p := &h.Extensions[i]; p.usable() && len(b)-body+len(p.Data) < MaxPacket {
			b = appendElement(b, p.ID, p.Data, two)
		}
	}
	return closeExtension(b, body)
}

// AppendPadding appends n bytes of padding, 1 to 255, the last of which is n
// (RFC 3550 §5.1).
func AppendPadding(b []byte, n uint8) []byte {
	for i := uint8(1); i < n; i++ {
		b = append(b, 0)
	}
	return append(b, n)
}

func appendFixed(b []byte, first, second uint8, seq uint16, ts, ssrc uint32) []byte {
	var h [fixedLen]byte
	h[0], h[1] = first, second
	binary.BigEndian.PutUint16(h[2:], seq)
	binary.BigEndian.PutUint32(h[4:], ts)
	binary.BigEndian.PutUint32(h[8:], ssrc)
	return append(b, h[:]...)
}
