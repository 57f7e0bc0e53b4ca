// Package h264 looks into H.264's RTP payloads (RFC 6184) as far as forwarding
// them needs: whether a packet starts a key frame.
//
// It decodes nothing, puts no NAL units together, and knows the packets of
// packetisation modes 0 and 1 only, those WebRTC uses.
package h264

import "encoding/binary"

// Types of NAL units (RFC 6184 §5.2, ITU-T H.264 table 7-1).
const (
	typeIDR   = 5
	typeSPS   = 7
	typeSTAPA = 24
	typeFUA   = 28

	typeMask  = 0x1f
	forbidden = 0x80
	fuStart   = 0x80
)

// IsKeyframe reports whether a decoder can start at the RTP payload: it holds
// or starts a slice of an IDR picture, or a sequence parameter set, which is
// sent ahead of one.
func IsKeyframe(payload []byte) bool {
	if len(payload) == 0 || payload[0]&forbidden != 0 {
		return false
	}
	switch typ := payload[0] & typeMask; typ {
	case typeSTAPA:
		return anyKey(payload[1:])
	case typeFUA:
		return len(payload) > 2 && payload[1]&fuStart != 0 && isKey(payload[1])
	default:
		return isKey(typ)
	}
}

func isKey(header byte) bool {
	typ := header & typeMask
	return typ == typeIDR || typ == typeSPS
}

// anyKey looks through the units of an aggregation packet, each behind its
// 16-bit length (RFC 6184 §5.7.1), up to one that runs beyond the end.
func anyKey(b []byte) bool {
	for len(b) > 2 {
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if n == 0 || n > len(b) {
			return false
		}
		if b[0]&forbidden == 0 && isKey(b[0]) {
			return true
		}
		b = b[n:]
	}
	return false
}
