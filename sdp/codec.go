package sdp

import (
	"strconv"
	"strings"
)

// Param returns a parameter of the codec's fmtp line, such as "apt".
func (c *Codec) Param(key string) (value string, ok bool) {
	for rest := c.Fmtp; rest != ""; {
		var p string
		p, rest, _ = strings.Cut(rest, ";")
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

// APT is the payload type that an RTX codec repairs (RFC 4588 §8.1).
func (c *Codec) APT() (uint8, bool) {
	if !strings.EqualFold(c.Name, "rtx") {
		return 0, false
	}
	v, _ := c.Param("apt")
	n, err := strconv.ParseUint(v, 10, 7)
	return uint8(n), err == nil
}

// HasFeedback reports whether an rtcp-fb line with this value is there.
func (c *Codec) HasFeedback(v string) bool {
	for _, f := range c.Feedback {
		if strings.EqualFold(f, v) {
			return true
		}
	}
	return false
}

// Matches reports whether two codecs mean the same payload format, as an
// answer must choose it: name, clock rate and channels, and the parameters
// that change the bitstream. RTX is matched by what it repairs, elsewhere.
func (c *Codec) Matches(o *Codec) bool {
	if !strings.EqualFold(c.Name, o.Name) || c.ClockRate != o.ClockRate || max(c.Channels, 1) != max(o.Channels, 1) {
		return false
	}
	switch strings.ToLower(c.Name) {
	case "h264":
		return c.sameH264(o)
	case "vp9":
		return c.same(o, "profile-id", "0") // RFC 9628 §7.1
	case "av1":
		return c.same(o, "profile", "0") && c.same(o, "tier", "0")
	}
	return true
}

func (c *Codec) same(o *Codec, key, missing string) bool {
	a, ok := c.Param(key)
	if !ok {
		a = missing
	}
	b, ok := o.Param(key)
	if !ok {
		b = missing
	}
	return a == b
}

// sameH264 compares packetization mode and profile (RFC 6184 §8.2.2). The
// level may differ: each side says what it can receive.
func (c *Codec) sameH264(o *Codec) bool {
	if !c.same(o, "packetization-mode", "0") {
		return false
	}
	a, okA := c.h264Profile()
	b, okB := o.h264Profile()
	return okA && okB && a == b
}

// h264Profile is a profile by the patterns of RFC 6184 table 5: profile_idc
// and constraint flags, of which some do not matter.
type h264Profile uint8

const (
	h264ConstrainedBaseline h264Profile = iota
	h264Baseline
	h264Main
	h264Extended
	h264ConstrainedHigh
	h264High
)

var h264Patterns = []struct {
	idc, mask, bits uint8
	p               h264Profile
}{
	{0x42, 0x4f, 0x40, h264ConstrainedBaseline}, // x1xx0000
	{0x4d, 0x8f, 0x80, h264ConstrainedBaseline}, // 1xxx0000
	{0x58, 0xcf, 0xc0, h264ConstrainedBaseline}, // 11xx0000
	{0x42, 0x4f, 0x00, h264Baseline},            // x0xx0000
	{0x58, 0xcf, 0x80, h264Baseline},            // 10xx0000
	{0x4d, 0xaf, 0x00, h264Main},                // 0x0x0000
	{0x58, 0xcf, 0x00, h264Extended},            // 00xx0000
	{0x64, 0xff, 0x00, h264High},                // 00000000
	{0x64, 0xff, 0x0c, h264ConstrainedHigh},     // 00001100
}

func (c *Codec) h264Profile() (h264Profile, bool) {
	id, ok := c.Param("profile-level-id")
	if !ok {
		return h264Baseline, true // RFC 6184 §8.1: profile 42, flags 00
	}
	n, err := strconv.ParseUint(id, 16, 24)
	if err != nil || len(id) != 6 {
		return 0, false
	}
	idc, iop := uint8(n>>16), uint8(n>>8)
	for _, p := range h264Patterns {
		if p.idc == idc && iop&p.mask == p.bits {
			return p.p, true
		}
	}
	return 0, false
}
