package srtp

import "encoding/binary"

// Cryptex says whether header extensions and contributing sources are
// encrypted with the payload (RFC 9335). It is negotiated by a=cryptex.
type Cryptex uint8

const (
	// CryptexOff leaves them in the clear; a received packet whose extension
	// is marked as encrypted is taken for one with an unknown extension.
	CryptexOff Cryptex = iota
	// CryptexOn encrypts them in every packet that has any, and takes
	// received packets either way.
	CryptexOn
	// CryptexRequired also refuses received packets that have any in the
	// clear, with ErrExtension.
	CryptexRequired
)

// What "defined by profile" is in the clear (RFC 8285 §4.1.2) and encrypted
// (RFC 9335 §5).
const (
	oneByte          = 0xbede
	twoByte          = 0x1000
	oneByteEncrypted = 0xc0de
	twoByteEncrypted = 0xc2de
)

// SetCryptex chooses the mode, CryptexOff at first. Packets to protect may
// then have header extensions of RFC 8285 alone, the two-byte form without
// appbits; others get ErrExtension.
func (c *Context) SetCryptex(mode Cryptex) {
	c.cryptex = mode
	c.reshape = mode != CryptexOff || len(c.mki) > 0
}

// shape is where the parts of an RTP packet are that Cryptex handles.
type shape struct {
	csrc int    // bytes of contributing sources
	ext  bool   // has an extension
	tag  uint16 // its "defined by profile"
}

func shapeOf(pkt []byte) shape {
	s := shape{csrc: 4 * int(pkt[0]&0x0f), ext: pkt[0]&0x10 != 0}
	if s.ext {
		s.tag = binary.BigEndian.Uint16(pkt[rtpFixed+s.csrc:])
	}
	return s
}

func (s shape) encrypted() bool {
	return s.ext && (s.tag == oneByteEncrypted || s.tag == twoByteEncrypted)
}

const (
	extHead = 4                  // not encrypted: RFC 9335 §6.1
	clearRT = rtpFixed + extHead // what stays in the clear, once together
)

// gather writes pkt to dst with the head of its extension before its
// contributing sources (RFC 9335 §6.2), so that the clear part and the
// encrypted one are each in one piece, and returns its length. A packet
// without an extension gets an empty one (RFC 9335 §5.1). dst is pkt or does
// not overlap it.
func (s shape) gather(dst, pkt []byte, tag uint16) int {
	var csrc [60]byte
	var words uint16
	body := rtpFixed + s.csrc
	copy(csrc[:s.csrc], pkt[rtpFixed:body])
	if s.ext {
		words = binary.BigEndian.Uint16(pkt[body+2:])
		body += extHead
	}
	n := clearRT + s.csrc + copy(dst[clearRT+s.csrc:], pkt[body:])
	copy(dst[:rtpFixed], pkt)
	dst[0] |= 0x10
	binary.BigEndian.PutUint16(dst[rtpFixed:], tag)
	binary.BigEndian.PutUint16(dst[rtpFixed+2:], words)
	copy(dst[clearRT:], csrc[:s.csrc])
	return n
}

// spread undoes the exchange of gather in place.
func (s shape) spread(pkt []byte) {
	var head [extHead]byte
	copy(head[:], pkt[rtpFixed:])
	copy(pkt[rtpFixed:], pkt[clearRT:clearRT+s.csrc])
	copy(pkt[rtpFixed+s.csrc:], head[:])
}
