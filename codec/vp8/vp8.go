// Package vp8 looks into VP8's RTP payloads (RFC 7741) as far as forwarding
// them needs: the payload descriptor, and whether a packet starts a key frame.
//
// It decodes nothing, and puts no frames together.
package vp8

import "encoding/binary"

// Bits of the payload descriptor (RFC 7741 §4.2).
const (
	extended     = 0x80 // X
	nonReference = 0x20 // N
	start        = 0x10 // S
	partition    = 0x07 // PID

	hasPictureID = 0x80 // I
	hasTL0       = 0x40 // L
	hasTID       = 0x20 // T
	hasKeyIndex  = 0x10 // K

	longPictureID = 0x80 // M
)

// Descriptor is a parsed payload descriptor.
type Descriptor struct {
	Start        bool  // of a partition
	NonReference bool  // no other frame depends on this one
	Partition    uint8 // 0 to 7
	PictureID    int   // 0 to 32767; -1 if absent
	LongID       bool  // PictureID has 15 bits, else 7
	TL0PicIdx    int   // 0 to 255; -1 if absent
	TID          int   // temporal layer, 0 to 3; -1 if absent
	LayerSync    bool  // Y: depends on the base layer only
	KeyIndex     int   // 0 to 31; -1 if absent
	Len          int   // of the descriptor, in bytes
}

// Parse reads the payload descriptor at the start of an RTP payload. It
// reports false if the payload ends before the descriptor does.
func Parse(b []byte) (Descriptor, bool) {
	d := Descriptor{PictureID: -1, TL0PicIdx: -1, TID: -1, KeyIndex: -1, Len: 1}
	if len(b) == 0 {
		return Descriptor{}, false
	}
	d.Start, d.NonReference, d.Partition = b[0]&start != 0, b[0]&nonReference != 0, b[0]&partition
	if b[0]&extended == 0 {
		return d, true
	}
	if len(b) < 2 {
		return Descriptor{}, false
	}
	flags, n := b[1], 2
	if flags&hasPictureID != 0 {
		switch {
		case len(b) > n && b[n]&longPictureID == 0:
			d.PictureID = int(b[n])
			n++
		case len(b) > n+1:
			d.PictureID, d.LongID = int(binary.BigEndian.Uint16(b[n:])&0x7fff), true
			n += 2
		default:
			return Descriptor{}, false
		}
	}
	if flags&hasTL0 != 0 {
		if len(b) <= n {
			return Descriptor{}, false
		}
		d.TL0PicIdx = int(b[n])
		n++
	}
	if flags&(hasTID|hasKeyIndex) != 0 {
		if len(b) <= n {
			return Descriptor{}, false
		}
		if flags&hasTID != 0 {
			d.TID, d.LayerSync = int(b[n]>>6), b[n]&0x20 != 0
		}
		if flags&hasKeyIndex != 0 {
			d.KeyIndex = int(b[n] & 0x1f)
		}
		n++
	}
	d.Len = n
	return d, true
}

// IsKeyframe reports whether the RTP payload is the first of a key frame: the
// start of its first partition, whose frame tag has the P bit clear
// (RFC 7741 §4.3).
func IsKeyframe(payload []byte) bool {
	d, ok := Parse(payload)
	return ok && d.Start && d.Partition == 0 && len(payload) > d.Len && payload[d.Len]&1 == 0
}
