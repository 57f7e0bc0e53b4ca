package rtp

import "encoding/binary"

const osnLen = 2 // original sequence number, RFC 4588 §4

// AppendRTX appends to dst a retransmission of v (RFC 4588 §4): v's header
// under the retransmission stream's own ssrc, payload type and sequence number,
// the original sequence number, and v's payload without its padding. dst does
// not overlap v.
func AppendRTX(dst []byte, v View, ssrc uint32, pt uint8, seq uint16) []byte {
	start := len(dst)
	dst = append(dst, v.Raw[:v.header]...)
	h := dst[start:]
	h[0] &^= paddingBit
	h[1] = h[1]&markerBit | pt&typeMask
	binary.BigEndian.PutUint16(h[2:], seq)
	binary.BigEndian.PutUint32(h[8:], ssrc)
	dst = binary.BigEndian.AppendUint16(dst, v.Seq)
	return append(dst, v.Payload()...)
}

// UnwrapRTX restores in place the packet that the retransmission pkt carries:
// it shifts the header over the original sequence number and writes that
// number, ssrc and pt into it. The result is pkt without its first two bytes.
// It reports false, pkt untouched, if pkt is no RTP packet or holds no original
// sequence number, as a padding probe does not.
func UnwrapRTX(pkt []byte, ssrc uint32, pt uint8) ([]byte, bool) {
	v, ok := Parse(pkt)
	if !ok || len(v.Payload()) < osnLen {
		return nil, false
	}
	n := v.Header()
	osn := binary.BigEndian.Uint16(pkt[n:])
	copy(pkt[osnLen:], pkt[:n])
	pkt = pkt[osnLen:]
	pkt[1] = pkt[1]&markerBit | pt&typeMask
	binary.BigEndian.PutUint16(pkt[2:], osn)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	return pkt, true
}
