package sctp

import "time"

// RFC 9406 §4.3. There is no limit L to the growth per SACK: sending is paced.
const (
	hystartMin     = 4 * time.Millisecond
	hystartMax     = 16 * time.Millisecond
	hystartDivisor = 8
	hystartSamples = 8
	hystartSacks   = 4 // which bring the samples
	cssDivisor     = 4
	cssRounds      = 5
)

// hystart finds the end of slow start by the delay which a growing queue adds,
// before the queue overflows: HyStart++, RFC 9406.
//
// Deviates: §4.2 looks at the least round trip of a whole round, which includes
// what was sent before the queue began to grow, so that it hears of it a round
// later. Here it is the least of some consecutive samples. What that takes for
// a queue in error, conservative slow start finds out (§4.2 again).
type hystart struct {
	done     bool // slow start has ended once: later ones have a threshold
	css      bool // conservative slow start
	rounds   int  // of it
	baseline time.Duration

	last, least time.Duration // least round trips of the last round and this; 0: none
	group       time.Duration // least of the group of samples now
	chunks      int           // in the group
	sacks       int
	part        int
}

// hystartThreshold is by how much a round trip must exceed the least one to
// tell of a queue.
func hystartThreshold(least time.Duration) time.Duration {
	return min(max(least/hystartDivisor, hystartMin), hystartMax)
}

// end is the first loss.
func (h *hystart) end() { h.done, h.css = true, false }

func (h *hystart) newRound(c *congestion) {
	if h.done {
		return
	}
	h.last, h.least = h.least, 0
	h.group, h.chunks, h.sacks = 0, 0, 0
	if h.css {
		if h.rounds++; h.rounds >= cssRounds {
			c.ssthresh = min(c.ssthresh, c.cwnd)
			h.end()
		}
	}
}

// sample takes a round trip which n chunks had, at least.
func (h *hystart) sample(d time.Duration, n int) {
	if h.done || n == 0 {
		return
	}
	d = max(d, 1)
	if h.least == 0 || d < h.least {
		h.least = d
	}
	if h.group == 0 || d < h.group {
		h.group = d
	}
	h.sacks++
	if h.chunks += n; h.chunks < hystartSamples || h.sacks < hystartSacks {
		return
	}
	group := h.group
	h.group, h.chunks, h.sacks = 0, 0, 0
	switch {
	case h.css:
		if group < h.baseline { // a false alarm
			h.css = false
		}
	case h.last != 0:
		if group >= h.last+hystartThreshold(h.last) {
			h.css, h.baseline, h.rounds, h.part = true, group, 0, 0
		}
	}
}

// grow opens the window for n bytes acknowledged.
func (h *hystart) grow(c *congestion, n int) {
	if h.css {
		h.part += n
		n, h.part = h.part/cssDivisor, h.part%cssDivisor
	}
	c.cwnd += n
}
