package rtcp

import "time"

// ntpEpoch is 1900-01-01 in Unix seconds (RFC 3550 §4).
const ntpEpoch = -2208988800

// NTPTime converts t to a 64-bit NTP timestamp: seconds since 1900 in 32.32
// fixed point. The seconds wrap in 2036.
func NTPTime(t time.Time) uint64 {
	sec := uint64(t.Unix() - ntpEpoch)
	// Rounded up, so that FromNTP, which cuts, gives t back.
	frac := (uint64(t.Nanosecond())<<32 + uint64(time.Second) - 1) / uint64(time.Second)
	return sec<<32 | frac
}

// FromNTP converts an NTP timestamp to the time nearest to near, which settles
// the wrap.
func FromNTP(ntp uint64, near time.Time) time.Time {
	diff := int32(uint32(ntp>>32) - uint32(near.Unix()-ntpEpoch))
	nsec := (ntp & (1<<32 - 1)) * uint64(time.Second) >> 32
	return time.Unix(near.Unix()+int64(diff), int64(nsec)).UTC()
}

// CompactNTP is the middle 32 bits of an NTP timestamp, in 1/65536 s: what a
// report block gives back as LastSR (RFC 3550 §6.4.1).
func CompactNTP(ntp uint64) uint32 { return uint32(ntp >> 16) }

// Delay converts a duration to the units of ReportBlock.Delay, 1/65536 s. It
// saturates at both ends.
func Delay(d time.Duration) uint32 {
	const most = time.Duration((1<<32 - 1) * uint64(time.Second) >> 16)
	if d <= 0 {
		return 0
	}
	if d >= most {
		return 1<<32 - 1
	}
	return uint32(uint64(d/time.Second)<<16 + uint64(d%time.Second)<<16/uint64(time.Second))
}

// DelayDuration converts from the units of ReportBlock.Delay.
func DelayDuration(d uint32) time.Duration {
	return time.Duration(uint64(d) * uint64(time.Second) >> 16)
}

// RoundTrip is the round-trip time that a report block received at now tells
// (RFC 3550 §6.4.1). It reports false if the block echoes no sender report, or
// claims a delay longer than the time gone since.
func RoundTrip(now time.Time, r ReportBlock) (time.Duration, bool) {
	if r.LastSR == 0 {
		return 0, false
	}
	d := int32(CompactNTP(NTPTime(now)) - r.LastSR - r.Delay)
	if d < 0 {
		return 0, false
	}
	return DelayDuration(uint32(d)), true
}
