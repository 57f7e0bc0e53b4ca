package rtp

import (
	"encoding/binary"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// URIs under which header extensions are negotiated (RFC 8285 §6).
const (
	URIAbsSendTime   = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
	URIAbsCapture    = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
	URITransportCC   = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	URIPlayoutDelay  = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
	URIContentType   = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
	URIVideoTiming   = "http://www.webrtc.org/experiments/rtp-hdrext/video-timing"
	URIColorSpace    = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
	URIVideoLayers   = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
	URIDependency    = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
	URIMID           = "urn:ietf:params:rtp-hdrext:sdes:mid"                    // RFC 9143 §16.2
	URIRID           = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"          // RFC 8852 §4.3
	URIRepairedRID   = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" // RFC 8852 §4.4
	URIAudioLevel    = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"            // RFC 6464
	URICSRCLevel     = "urn:ietf:params:rtp-hdrext:csrc-audio-level"            // RFC 6465
	URIOrientation   = "urn:3gpp:video-orientation"                             // 3GPP TS 26.114 §7.4.5
	URITransmitShift = "urn:ietf:params:rtp-hdrext:toffset"                     // RFC 5450
)

// AbsSendTime is the 24-bit time of the abs-send-time element: seconds in
// 6.18 fixed point, so that it wraps every 64 s.
func AbsSendTime(at mono.Time) uint32 {
	sec, frac := int64(at)/int64(time.Second), int64(at)%int64(time.Second)
	return uint32(sec<<18+frac<<18/int64(time.Second)) & 0xffffff
}

// PutAbsSendTime writes t into the 3 bytes of an abs-send-time element.
func PutAbsSendTime(b []byte, t uint32) {
	_ = b[2]
	b[0], b[1], b[2] = uint8(t>>16), uint8(t>>8), uint8(t)
}

// ParseAbsSendTime reads an abs-send-time element of exactly 3 bytes.
func ParseAbsSendTime(b []byte) (t uint32, ok bool) {
	if len(b) != 3 {
		return 0, false
	}
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), true
}

// PutTransportSeq writes the transport-wide sequence number into the 2 bytes
// of a transport-cc element.
func PutTransportSeq(b []byte, seq uint16) { binary.BigEndian.PutUint16(b, seq) }

// ParseTransportSeq reads a transport-cc element: 2 bytes, or 4 in the second
// version, whose feedback request it leaves alone.
func ParseTransportSeq(b []byte) (seq uint16, ok bool) {
	if len(b) != 2 && len(b) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

// PutAudioLevel writes the 1 byte of an audio-level element (RFC 6464 §3):
// level in -dBov, 0 loudest to 127 silent, and whether it is voice.
func PutAudioLevel(b []byte, level uint8, voice bool) {
	b[0] = level & 0x7f
	if voice {
		b[0] |= 0x80
	}
}

// ParseAudioLevel reads an audio-level element, whose data is 1 byte and
// possibly a byte of padding in the two-byte form (RFC 6464 §3).
func ParseAudioLevel(b []byte) (level uint8, voice, ok bool) {
	if len(b) != 1 && len(b) != 2 {
		return 0, false, false
	}
	return b[0] & 0x7f, b[0]&0x80 != 0, true
}

// Orientation is the 1 byte of a video-orientation element
// (3GPP TS 26.114 §7.4.5).
type Orientation uint8

// Degrees is the clockwise rotation to apply before display: 0, 90, 180, 270.
func (o Orientation) Degrees() int { return int(o&3) * 90 }

// Flipped reports a horizontal flip, to be applied before the rotation.
func (o Orientation) Flipped() bool { return o&4 != 0 }

// BackCamera reports that the picture is of the camera that faces away.
func (o Orientation) BackCamera() bool { return o&8 != 0 }

// MaxID is the longest mid or rid in bytes that ValidID takes: what the
// one-byte form can carry.
const MaxID = 16

// ValidID reports whether b is an acceptable mid or rid element: 1 to MaxID
// bytes, each a letter, a digit, '-' or '_'.
//
// Deviates: RFC 8852 §3.1 allows only letters and digits in an rid, an mid is
// any token of RFC 8866 §9. This is what implementations generate.
func ValidID(b []byte) bool {
	if len(b) == 0 || len(b) > MaxID {
		return false
	}
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
