package h264

import "encoding/binary"

// Types of NAL units (RFC 6184 §5.2, ITU-T H.264 table 7-1).
const (
	typeIDR    = 5
	typeSPS    = 7
	typeSTAPA  = 24
	typeSTAPB  = 25
	typeMTAP16 = 26
	typeMTAP24 = 27
	typeFUA    = 28
	typeFUB    = 29

	typeMask  = 0x1f
	nriMask   = 0x60
	forbidden = 0x80
	fuStart   = 0x80
	fuEnd     = 0x40

	fuHeader   = 2 // indicator and header (RFC 6184 §5.8)
	stapLength = 2 // in front of each unit of an aggregation (§5.7.1)
)

// plainUnit reports whether a NAL unit with this first byte travels as it is:
// not one of RFC 6184's own types, which structure packets, nor type 0, nor
// known to be damaged (§5.3: F).
func plainUnit(header byte) bool {
	typ := header & typeMask
	return header&forbidden == 0 && typ != 0 && typ < typeSTAPA
}

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
		return len(payload) > fuHeader && payload[1]&fuStart != 0 && isKey(payload[1])
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
	for len(b) > stapLength {
		n := int(binary.BigEndian.Uint16(b))
		b = b[stapLength:]
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
