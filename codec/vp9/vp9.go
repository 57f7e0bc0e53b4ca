// Package vp9 looks into VP9's RTP payloads (RFC 9628) as far as forwarding
// them needs: the payload descriptor, in flexible and non-flexible mode, and
// whether a packet starts a key frame.
//
// It decodes nothing, puts no frames together, and reads no more of the
// scalability structure than its length.
package vp9

import "encoding/binary"

// Bits of the first byte (RFC 9628 §4.2).
const (
	hasPictureID = 0x80 // I
	predicted    = 0x40 // P
	hasLayer     = 0x20 // L
	flexible     = 0x10 // F
	beginning    = 0x08 // B
	end          = 0x04 // E
	hasStructure = 0x02 // V
	notReference = 0x01 // Z

	longPictureID = 0x80 // M
	maxReferences = 3    // P_DIFF in flexible mode
)

// Descriptor is a parsed payload descriptor.
type Descriptor struct {
	Predicted    bool // from an earlier picture
	Flexible     bool
	Begin, End   bool  // of a frame
	Structure    bool  // a scalability structure is present
	NotReference bool  // Z: no upper spatial layer depends on this frame
	PictureID    int   // 0 to 32767; -1 if absent
	LongID       bool  // PictureID has 15 bits, else 7
	TID, SID     uint8 // temporal and spatial layer, 0 to 7; 0 if absent
	SwitchUp     bool  // U
	Dependent    bool  // D: on the spatial layer below
	TL0PicIdx    int   // 0 to 255; -1 if absent
	Len          int   // of the descriptor, in bytes
}

// Parse reads the payload descriptor at the start of an RTP payload. It
// reports false if the payload ends before the descriptor does, or names more
// than three references.
func Parse(b []byte) (Descriptor, bool) {
	if len(b) == 0 {
		return Descriptor{}, false
	}
	first, n := b[0], 1
	d := Descriptor{
		Predicted: first&predicted != 0, Flexible: first&flexible != 0,
		Begin: first&beginning != 0, End: first&end != 0,
		Structure: first&hasStructure != 0, NotReference: first&notReference != 0,
		PictureID: -1, TL0PicIdx: -1,
	}
	if first&hasPictureID != 0 {
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
	if first&hasLayer != 0 {
		if len(b) <= n {
			return Descriptor{}, false
		}
		l := b[n]
		d.TID, d.SwitchUp, d.SID, d.Dependent = l>>5, l&0x10 != 0, l>>1&7, l&1 != 0
		n++
		if !d.Flexible {
			if len(b) <= n {
				return Descriptor{}, false
			}
			d.TL0PicIdx = int(b[n])
			n++
		}
	}
	ok := true
	if d.Flexible && d.Predicted {
		n, ok = skipReferences(b, n)
	}
	if ok && d.Structure {
		n, ok = skipStructure(b, n)
	}
	if !ok {
		return Descriptor{}, false
	}
	d.Len = n
	return d, true
}

// skipReferences returns what follows the reference indices that start at n:
// up to three, of which all but the last have the N bit.
func skipReferences(b []byte, n int) (int, bool) {
	for range maxReferences {
		if len(b) <= n {
			return 0, false
		}
		n++
		if b[n-1]&1 == 0 {
			return n, true
		}
	}
	return 0, false
}

// skipStructure returns what follows the scalability structure that starts at
// n (RFC 9628 §4.2.1).
func skipStructure(b []byte, n int) (int, bool) {
	if len(b) <= n {
		return 0, false
	}
	head := b[n]
	n++
	if head&0x10 != 0 { // Y: width and height of each spatial layer
		n += 4 * (int(head>>5) + 1)
	}
	if head&0x08 != 0 { // G: a picture group
		if len(b) <= n {
			return 0, false
		}
		pictures := int(b[n])
		n++
		for range pictures {
			if len(b) <= n {
				return 0, false
			}
			n += 1 + int(b[n]>>2&3)
		}
	}
	return n, n <= len(b)
}

// IsKeyframe reports whether the RTP payload is the first of a key frame: the
// beginning of a frame of the lowest spatial layer that is predicted from
// nothing.
func IsKeyframe(payload []byte) bool {
	d, ok := Parse(payload)
	return ok && d.Begin && !d.Predicted && d.SID == 0 && !d.Dependent && len(payload) > d.Len
}
