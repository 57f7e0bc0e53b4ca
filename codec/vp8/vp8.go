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
func Parse(b []byte) (d Descriptor, ok bool) {
	ok = d.Parse(b)
	return d, ok
}

// Parse is the function Parse, in place: a Descriptor is large enough for its
// copy to cost more than the parsing. Where it reports false, d means nothing.
func (d *Descriptor) Parse(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	head := b[0]
	d.Start, d.NonReference, d.Partition = head&start != 0, head&nonReference != 0, head&partition
	if head&extended == 0 {
		d.PictureID, d.LongID, d.TL0PicIdx, d.TID, d.LayerSync, d.KeyIndex = -1, false, -1, -1, false, -1
		d.Len = 1
		return true
	}
	if len(b) < 2 {
		return false
	}
	flags, n := b[1], 2
	id, tl0, tid, key := -1, -1, -1, -1
	long, sync := false, false
	if flags&hasPictureID != 0 {
		switch {
		case len(b) > n && b[n]&longPictureID == 0:
			id = int(b[n])
			n++
		case len(b) > n+1:
			id, long = int(binary.BigEndian.Uint16(b[n:])&0x7fff), true
			n += 2
		default:
			return false
		}
	}
	if flags&hasTL0 != 0 {
		if len(b) <= n {
			return false
		}
		tl0 = int(b[n])
		n++
	}
	if flags&(hasTID|hasKeyIndex) != 0 {
		if len(b) <= n {
			return false
		}
		if flags&hasTID != 0 {
			tid, sync = int(b[n]>>6), b[n]&0x20 != 0
		}
		if flags&hasKeyIndex != 0 {
			key = int(b[n] & 0x1f)
		}
		n++
	}
	d.PictureID, d.LongID, d.TL0PicIdx, d.TID, d.LayerSync, d.KeyIndex = id, long, tl0, tid, sync, key
	d.Len = n
	return true
}

// IsKeyframe reports whether the RTP payload is the first of a key frame: the
// start of its first partition, whose frame tag has the P bit clear
// (RFC 7741 §4.3).
func IsKeyframe(payload []byte) bool {
	var d Descriptor
	return d.Parse(payload) && d.Start && d.Partition == 0 && len(payload) > d.Len && payload[d.Len]&1 == 0
}
