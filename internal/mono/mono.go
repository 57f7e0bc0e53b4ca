// Package mono is the clock as a number: nanoseconds since an arbitrary
// instant, monotonic, never zero. Protocol cores receive it as an argument
// and never read it, so that tests run them on virtual time.
package mono

import "time"

// Time is an instant, in nanoseconds since an arbitrary origin shared by the
// whole process. Zero means "none".
type Time int64

// origin lies in the past, so that Now is never zero and never negative.
var origin = time.Now().Add(-time.Hour)

// Now reads the process's monotonic clock.
func Now() Time { return Time(time.Since(origin)) }

// FromWall converts a reading of the standard library's clock that carries a
// monotonic part, or that is close to now.
func FromWall(t time.Time) Time { return Time(t.Sub(origin)) }

// Wall converts back to the standard library's clock, monotonic part included.
func (t Time) Wall() time.Time { return origin.Add(time.Duration(t)) }

// Add returns t+d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Before reports whether t is earlier than u.
func (t Time) Before(u Time) bool { return t < u }

// After reports whether t is later than u.
func (t Time) After(u Time) bool { return t > u }

// Earliest returns the earlier of two deadlines, where zero means "none".
func Earliest(a, b Time) Time {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
