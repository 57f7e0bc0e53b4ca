// Package opus looks into Opus packets (RFC 6716) as far as forwarding and
// recording them needs: how long they play.
//
// It decodes nothing.
package opus

import "time"

// MaxDuration is the longest a packet may play (RFC 6716 §3.2.5).
const MaxDuration = 120 * time.Millisecond

// Duration returns how long the packet plays, 2.5 to 120 ms. It reports false
// if the packet is empty, or its number of frames is missing, zero, or more
// than MaxDuration allows.
func Duration(packet []byte) (time.Duration, bool) {
	if len(packet) == 0 {
		return 0, false
	}
	frames := 1
	switch packet[0] & 3 { // RFC 6716 §3.1: the code of the TOC byte
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, false
		}
		frames = int(packet[1] & 0x3f)
	}
	d := time.Duration(frames) * frame(packet[0]>>3)
	return d, d > 0 && d <= MaxDuration
}

// frame is how long one frame of a configuration plays (RFC 6716, table 2).
func frame(config byte) time.Duration {
	switch {
	case config >= 16: // CELT: 2.5, 5, 10, 20
		return 2500 * time.Microsecond << (config & 3)
	case config >= 12: // hybrid: 10, 20
		return 10 * time.Millisecond << (config & 1)
	case config&3 == 3: // SILK: 10, 20, 40, 60
		return 60 * time.Millisecond
	default:
		return 10 * time.Millisecond << (config & 3)
	}
}
