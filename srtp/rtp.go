package srtp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/crypto"
)

const rtpFixed = 12 // RFC 3550 §5.1

// headerLen is the length of the RTP header at the start of b, with its
// contributing sources and extension: the part that is not encrypted
// (RFC 3711 §3.1). Padding is encrypted and is not looked at.
func headerLen(b []byte) (int, error) {
	if len(b) < rtpFixed {
		return 0, ErrShort
	}
	if len(b) > MaxPacket || b[0]&0xc0 != 0x80 {
		return 0, ErrFormat
	}
	n := rtpFixed + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return 0, ErrFormat
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if len(b) < n {
		return 0, ErrFormat
	}
	return n, nil
}

// commonHeader is the length of a header of a common kind, with no contributing
// sources and an extension or none; 0 is for all others. It may be longer than b.
func commonHeader(b []byte) int {
	if len(b) < rtpFixed+extHead {
		return 0
	}
	switch b[0] & 0xdf { // padding is as well
	case 0x80:
		return rtpFixed
	case 0x90:
		return rtpFixed + extHead + 4*int(binary.BigEndian.Uint16(b[rtpFixed+2:]))
	}
	return 0
}

func seqOf(pkt []byte) uint16  { return binary.BigEndian.Uint16(pkt[2:]) }
func ssrcOf(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[8:]) }

// Protect encrypts and authenticates the RTP packet pkt into dst, which is pkt
// or does not overlap it, and returns the length of the result: len(pkt) plus
// Context.Overhead, which dst must have room for within its length. The index
// follows from the sequence number; packets may come out of order, around the
// wrap as well.
//
// Errors: ErrShort, ErrFormat, ErrLimit, ErrReuse, ErrExtension, ErrClosed. dst
// is then untouched.
func (c *Context) Protect(dst, pkt []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	if c.reshape {
		return c.protectReshaped(dst, pkt)
	}
	header, err := headerLen(pkt)
	if err != nil {
		return 0, err
	}
	n := len(pkt) + c.rtp.tag
	if len(dst) < n {
		return 0, ErrShort
	}
	if n > MaxPacket {
		return 0, ErrFormat
	}
	index, err := c.nextIndex(ssrcOf(pkt), seqOf(pkt))
	if err != nil {
		return 0, err
	}
	copyHeader(dst, pkt, header)
	if c.rtp.gcm != nil {
		c.rtp.sealGCM(&c.gcm[0], dst, header, pkt[header:], ssrcOf(pkt), index)
		crypto.SealBatch(c.gcm[:])
	} else {
		c.rtp.sealCM(&c.cm[0], dst, header, pkt[header:], ssrcOf(pkt), index)
		crypto.SealCMBatch(c.cm[:])
	}
	c.forget()
	return n, nil
}

// Unprotect verifies and decrypts the SRTP packet pkt into dst, which is pkt or
// does not overlap it, and returns the length of the result: len(pkt) less
// Profile.Overhead and the MKI, which dst must have room for within its length. The
// rollover counter and the replay window move only if the packet is authentic
// (RFC 3711 §3.3).
//
// Errors: ErrShort, ErrFormat, ErrAuth, ErrReplay, ErrLimit, ErrMKI,
// ErrExtension, ErrClosed. dst then holds no plaintext, and with dst == pkt the packet may be destroyed.
func (c *Context) Unprotect(dst, pkt []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	if c.reshape {
		return c.unprotectReshaped(dst, pkt)
	}
	header, err := c.checkRTP(dst, pkt)
	if err != nil {
		return 0, err
	}
	s, ssrc := c.streams.find(ssrcOf(pkt)), ssrcOf(pkt)
	index, err := guess(s, seqOf(pkt))
	if err != nil {
		return 0, err
	}
	n := len(pkt) - c.rtp.tag
	dst = dst[:n]
	copyHeader(dst, pkt, header)
	var ok bool
	if c.rtp.gcm != nil {
		c.rtp.openGCM(&c.gcm[0], dst, pkt, header, ssrc, index)
		crypto.OpenBatch(c.gcm[:])
		ok = c.gcm[0].OK
	} else {
		c.rtp.openCM(&c.cm[0], dst, pkt, header, ssrc, index)
		crypto.OpenCMBatch(c.cm[:])
		ok = c.cm[0].OK
	}
	c.forget()
	if !ok {
		return 0, ErrAuth
	}
	c.streams.accept(s, ssrc, index)
	return n, nil
}

// checkRTP returns the header's length of a packet that can be unprotected
// into dst.
func (c *Context) checkRTP(dst, pkt []byte) (int, error) {
	header, err := headerLen(pkt)
	if err != nil {
		return 0, err
	}
	n := len(pkt) - c.rtp.tag
	if n < header || len(dst) < n {
		return 0, ErrShort
	}
	return header, nil
}

// nextIndex assigns the packet with this source and sequence number its index,
// and makes it the source's.
func (c *Context) nextIndex(ssrc uint32, seq uint16) (uint64, error) {
	if s := c.streams.last; s != nil && s.ssrc == ssrc && uint16(s.ahead) == seq && s.ahead < MaxRTP && c.sent < MaxRTP {
		// Next in order, which nearly every packet is.
		s.window.next()
		c.sent++
		return s.ahead - 1, nil
	}
	if c.sent >= MaxRTP {
		return 0, ErrLimit
	}
	s := c.streams.find(ssrc)
	if s == nil {
		if c.streams.n >= MaxSent {
			return 0, ErrLimit
		}
		s = c.streams.add(ssrc)
	}
	index := estimate(s.ahead, seq)
	if index >= MaxRTP {
		return 0, ErrLimit
	}
	if s.fresh(index) {
		s.accept(index)
	} else if c.profile.aead() && !c.repeats {
		return 0, ErrReuse
	}
	c.sent++
	return index, nil
}

// guess is the index to try for a received packet of stream s, or nil if its
// source is not known.
func guess(s *stream, seq uint16) (uint64, error) {
	if s == nil {
		return estimate(0, seq), nil
	}
	index := estimate(s.ahead, seq)
	if index >= MaxRTP {
		return 0, ErrLimit
	}
	if !s.fresh(index) {
		return 0, ErrReplay
	}
	return index, nil
}

// accept notes that a packet of the source was authentic. s is its stream, or
// nil if it had none.
func (t *table) accept(s *stream, ssrc uint32, index uint64) {
	if s == nil {
		if t.n >= MaxReceived {
			t.evict()
		}
		s = t.add(ssrc)
	}
	s.accept(index)
	s.top = s.ahead
	t.touch(s)
}

// copyHeader copies a header that is not where it belongs already.
func copyHeader(dst, pkt []byte, n int) {
	if &dst[0] != &pkt[0] {
		copy(dst, pkt[:n])
	}
}

// forget drops the references to the caller's buffers.
func (c *Context) forget() {
	if c.rtp.gcm != nil {
		c.gcm[0].Dst, c.gcm[0].Src, c.gcm[0].AAD = nil, nil, nil
	} else {
		c.cm[0].Dst, c.cm[0].Src = nil, nil
	}
}
