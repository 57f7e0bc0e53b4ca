package srtp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/crypto"
)

// Packets of contexts with an MKI or Cryptex are protected one by one: an MKI
// stands between ciphertext and tag, and contributing sources between the
// parts that Cryptex leaves in the clear. With Cryptex alone and no
// contributing sources it costs one copy more when unprotecting.

// Overhead is by how many bytes Protect may lengthen an RTP packet: tag, MKI,
// and the empty extension block that Cryptex gives a packet with contributing
// sources and no extension.
func (c *Context) Overhead() int {
	n := c.profile.TagLen() + len(c.mki)
	if c.cryptex != CryptexOff {
		n += extHead
	}
	return n
}

// OverheadRTCP is by how many bytes ProtectRTCP lengthens an RTCP packet.
func (c *Context) OverheadRTCP() int { return c.profile.OverheadRTCP() + len(c.mki) }

func (c *Context) protectReshaped(dst, pkt []byte) (int, error) {
	header, err := headerLen(pkt)
	if err != nil {
		return 0, err
	}
	s := shapeOf(pkt)
	grown, encrypt := len(pkt), false
	var tag uint16
	if c.cryptex != CryptexOff && (s.ext || s.csrc > 0) {
		encrypt = true
		switch {
		case !s.ext:
			grown += extHead
			tag = oneByteEncrypted
		case s.tag == oneByte:
			tag = oneByteEncrypted
		case s.tag == twoByte:
			tag = twoByteEncrypted
		default:
			return 0, ErrExtension // RFC 9335 §5.1
		}
	}
	n := grown + c.rtp.tag
	if n+len(c.mki) > MaxPacket {
		return 0, ErrFormat
	}
	if len(dst) < n+len(c.mki) {
		return 0, ErrShort
	}
	index, err := c.nextIndex(ssrcOf(pkt), seqOf(pkt))
	if err != nil {
		return 0, err
	}
	ssrc := ssrcOf(pkt)
	if encrypt {
		s.gather(dst, pkt, tag)
		header = clearRT
	} else {
		copy(dst, pkt)
	}
	body := dst[header:grown]
	switch {
	case c.profile.aead():
		c.rtp.sealGCM(&c.gcm[0], dst, header, body, ssrc, index)
		crypto.SealBatch(c.gcm[:])
	default:
		c.rtp.sealCM(&c.cm[0], dst, header, body, ssrc, index)
		crypto.SealCMBatch(c.cm[:])
	}
	if encrypt {
		s.spread(dst)
		if !c.profile.aead() && s.csrc > 0 {
			// The tag is over the packet as it is sent.
			c.rtp.sealCM(&c.cm[0], dst, grown, nil, ssrc, index)
			crypto.SealCMBatch(c.cm[:])
		}
	}
	c.forget()
	return c.addMKI(dst, n, &c.rtp), nil
}

// protectJoined is protectReshaped for a packet whose header is in dst and
// whose payload is elsewhere, or behind the header.
func (c *Context) protectJoined(dst []byte, header int, payload []byte) (int, error) {
	n, err := headerLen(dst[:header])
	switch {
	case err != nil:
		return 0, err
	case n != header:
		return 0, ErrFormat
	case len(dst) < header+len(payload):
		return 0, ErrShort
	}
	copy(dst[header:], payload)
	return c.protectReshaped(dst, dst[:header+len(payload)])
}

func (c *Context) unprotectReshaped(dst, pkt []byte) (int, error) {
	keys, _, plain, err := c.sessionsOf(pkt, &c.rtp)
	if err != nil {
		return 0, err
	}
	header, err := c.checkRTP(dst, plain)
	if err != nil {
		return 0, err
	}
	s := shapeOf(plain)
	decrypt := c.cryptex != CryptexOff && s.encrypted()
	if c.cryptex == CryptexRequired && !decrypt && (s.ext || s.csrc > 0) {
		return 0, ErrExtension
	}
	ssrc := ssrcOf(plain)
	st := c.streams.find(ssrc)
	index, err := guess(st, seqOf(plain))
	if err != nil {
		return 0, err
	}
	n := len(plain) - keys.tag
	if !decrypt {
		if !c.openPlain(keys, dst[:n], plain, header, ssrc, index) {
			return 0, ErrAuth
		}
	} else if !c.openCryptex(keys, dst[:n], plain, s, ssrc, index) {
		return 0, ErrAuth
	}
	c.streams.accept(st, ssrc, index)
	return n, nil
}

// openPlain opens a packet whose header is in the clear into dst, as long as
// the result.
func (c *Context) openPlain(keys *session, dst, pkt []byte, header int, ssrc uint32, index uint64) bool {
	defer c.forget()
	copy(dst, pkt[:header])
	if c.profile.aead() {
		keys.openGCM(&c.gcm[0], dst, pkt, header, ssrc, index)
		crypto.OpenBatch(c.gcm[:])
		return c.gcm[0].OK
	}
	keys.openCM(&c.cm[0], dst, pkt, header, ssrc, index)
	crypto.OpenCMBatch(c.cm[:])
	return c.cm[0].OK
}

// openCryptex opens a packet whose extension and contributing sources are
// encrypted into dst, as long as the result. It works in scratch, where the
// packet may be already, so that dst gets nothing that is not authentic.
func (c *Context) openCryptex(keys *session, dst, pkt []byte, s shape, ssrc uint32, index uint64) bool {
	defer c.forget()
	n := len(dst)
	if !c.profile.aead() && s.csrc > 0 {
		// The tag is over the packet as it was sent.
		keys.openCM(&c.cm[0], dst, pkt, n, ssrc, index)
		c.cm[0].Dst = nil
		crypto.OpenCMBatch(c.cm[:])
		if !c.cm[0].OK {
			return false
		}
	}
	b := c.room(len(pkt))
	s.gather(b, pkt, s.tag)
	switch {
	case c.profile.aead():
		keys.openGCM(&c.gcm[0], b[:n], b, clearRT, ssrc, index)
		crypto.OpenBatch(c.gcm[:])
		if !c.gcm[0].OK {
			return false
		}
	case s.csrc > 0:
		// The keystream is its own inverse; the tag is thrown away.
		keys.sealCM(&c.cm[0], b, clearRT, b[clearRT:n], ssrc, index)
		crypto.SealCMBatch(c.cm[:])
	default:
		keys.openCM(&c.cm[0], b[:n], b, clearRT, ssrc, index)
		crypto.OpenCMBatch(c.cm[:])
		if !c.cm[0].OK {
			return false
		}
	}
	s.spread(b)
	tag := uint16(oneByte)
	if s.tag == twoByteEncrypted {
		tag = twoByte
	}
	binary.BigEndian.PutUint16(b[rtpFixed+s.csrc:], tag)
	copy(dst, b[:n])
	clear(b[:n])
	return true
}
