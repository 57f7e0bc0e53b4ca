package srtp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/crypto"
)

const (
	rtcpHeader = 8         // not encrypted: the first word and the sender, RFC 3711 §3.4
	encrypted  = 1 << 31   // E flag
	indexMask  = 1<<31 - 1 // SRTCP index
)

func rtcpSSRC(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[4:]) }

// ProtectRTCP encrypts and authenticates the compound pkt into dst, which is
// pkt or does not overlap it, and returns the length of the result: len(pkt)
// plus OverheadRTCP, which dst must have room for within its length.
//
// Errors: ErrShort, ErrFormat, ErrLimit, ErrClosed. dst is then untouched.
//
// Deviates: RFC 3711 §3.2.3 keeps an index for each source. Here the sources
// of a context share one, so that nothing is kept for each of them and the
// limit of the key is kept exactly; a receiver sees gaps, as after loss.
func (c *Context) ProtectRTCP(dst, pkt []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	if len(pkt) < rtcpHeader {
		return 0, ErrShort
	}
	n := len(pkt) + c.rtcp.tag + indexLen
	if pkt[0]&0xc0 != 0x80 || n+len(c.mki) > MaxPacket {
		return 0, ErrFormat
	}
	if len(dst) < n+len(c.mki) {
		return 0, ErrShort
	}
	if c.sentRTCP >= MaxRTCP {
		return 0, ErrLimit
	}
	index := c.sentRTCP
	c.sentRTCP++

	copy(dst, pkt[:rtcpHeader])
	ssrc, word := rtcpSSRC(pkt), encrypted|uint32(index)
	if c.profile.aead() {
		j := &c.gcm[0]
		c.rtcp.sealGCM(j, dst, rtcpHeader, pkt[rtcpHeader:], ssrc, index)
		j.AAD = c.rtcpAAD(dst, word)
		crypto.SealBatch(c.gcm[:])
		binary.BigEndian.PutUint32(dst[n-indexLen:], word)
	} else {
		j := &c.cm[0]
		c.rtcp.sealCM(j, dst, rtcpHeader, pkt[rtcpHeader:], ssrc, index)
		j.InPacket, j.Dst = true, dst[:n]
		binary.BigEndian.PutUint32(j.Trailer[:], word)
		crypto.SealCMBatch(c.cm[:])
	}
	c.forget()
	if len(c.mki) > 0 {
		n = c.addMKI(dst, n, &c.rtcp)
	}
	return n, nil
}

// UnprotectRTCP verifies and decrypts the SRTCP packet pkt into dst, which is
// pkt or does not overlap it, and returns the length of the result: len(pkt)
// less OverheadRTCP, which dst must have room for within its length.
// The replay window moves only if the packet is authentic.
//
// Errors: ErrShort, ErrFormat, ErrPlain, ErrAuth, ErrReplay, ErrMKI, ErrClosed.
// dst then holds no plaintext, and with dst == pkt the packet may be destroyed.
func (c *Context) UnprotectRTCP(dst, pkt []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	keys := &c.rtcp
	if len(c.mki) > 0 {
		var err error
		if _, keys, pkt, err = c.sessionsOf(pkt, &c.rtcp); err != nil {
			return 0, err
		}
	}
	n := len(pkt) - keys.tag - indexLen
	if n < rtcpHeader || len(dst) < n {
		return 0, ErrShort
	}
	if len(pkt) > MaxPacket || pkt[0]&0xc0 != 0x80 {
		return 0, ErrFormat
	}
	at := n // of the index: before the tag, or behind it (RFC 7714 §9.2)
	if c.profile.aead() {
		at = len(pkt) - indexLen
	}
	word := binary.BigEndian.Uint32(pkt[at:])
	if word&encrypted == 0 {
		return 0, ErrPlain // RFC 8827 §6.5: never unencrypted
	}
	index, ssrc := uint64(word&indexMask), rtcpSSRC(pkt)
	s := c.reports.find(ssrc)
	if s != nil && !s.fresh(index) {
		return 0, ErrReplay
	}

	dst = dst[:n]
	copy(dst, pkt[:rtcpHeader])
	var ok bool
	if c.profile.aead() {
		j := &c.gcm[0]
		keys.openGCM(j, dst, pkt[:at], rtcpHeader, ssrc, index)
		j.AAD = c.rtcpAAD(pkt, word)
		crypto.OpenBatch(c.gcm[:])
		ok = j.OK
	} else {
		j := &c.cm[0]
		keys.openCM(j, dst, pkt, rtcpHeader, ssrc, index)
		j.InPacket = true
		binary.BigEndian.PutUint32(j.Trailer[:], word)
		crypto.OpenCMBatch(c.cm[:])
		ok = j.OK
	}
	c.forget()
	if !ok {
		return 0, ErrAuth
	}
	c.reports.accept(s, ssrc, index)
	return n, nil
}

// rtcpAAD is the associated data of SRTCP: the first eight bytes and the word
// with the index (RFC 7714 §9.2).
func (c *Context) rtcpAAD(pkt []byte, word uint32) []byte {
	copy(c.aad[:], pkt[:rtcpHeader])
	binary.BigEndian.PutUint32(c.aad[rtcpHeader:], word)
	return c.aad[:]
}
