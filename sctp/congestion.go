package sctp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// congestion is the window of RFC 9260 §7.2, in bytes of user data: slow start
// with HyStart++ (RFC 9406), CUBIC (RFC 9438) or NewReno, and proportional rate
// reduction in recovery (RFC 6937).
type congestion struct {
	mtu      int
	segment  int // what the window grows by where a TCP's grows by a packet
	newReno  bool
	flows    int // as how many the window grows and shrinks
	cwnd     int
	ssthresh int
	partial  int // partial_bytes_acked
	slow     hystart
	cubic    cubic

	// One reduction per window of data: guarded until exit is acknowledged.
	guarded    bool
	exit       uint32
	recovering bool // after a loss, not after a timeout

	// Of the recovery: what was in flight, has been delivered and sent.
	from, delivered, out int

	// The most that was in flight in this round trip and the one before.
	peak, before int
	round        uint32
	lastSend     mono.Time
}

// start begins anew; next is the TSN of the next chunk. The threshold is as
// high as may be (§7.2.1).
//
// Deviates: RFC 9260 §7.2.1 starts with min(4*MTU, max(2*MTU, 4404)); ten
// packets are RFC 6928's, as in every TCP and QUIC stack of today.
func (c *congestion) start(next uint32) {
	*c = congestion{
		mtu: c.mtu, newReno: c.newReno, flows: c.flows, segment: max(c.mtu, nominalSegment),
		cwnd: 10 * c.mtu, ssthresh: 1 << 30, round: next,
	}
}

// resize notes that packets have another length from now on.
func (c *congestion) resize(mtu int) { c.mtu, c.segment = mtu, max(mtu, nominalSegment) }

// inSlowStart is RFC 9260 §7.2.1's condition, but for a window which has just
// been reduced to its threshold (RFC 5681 §3.1 allows either).
func (c *congestion) inSlowStart() bool { return c.cwnd < c.ssthresh }

// limited reports whether the window, and not the application, has bounded
// what was sent: only then may it grow (§7.2.1, RFC 9438 §5.8). Pacing spreads
// slow start over the round trip, so that half of the window counts there.
func (c *congestion) limited() bool {
	peak := max(c.peak, c.before)
	if c.inSlowStart() {
		return c.cwnd < 2*peak
	}
	return c.cwnd < peak+2*c.mtu
}

// sent notes n bytes put in flight, which is then flight.
func (c *congestion) sent(n, flight int) {
	c.peak = max(c.peak, flight)
	if c.recovering {
		c.out += n
	}
}

// acked takes n bytes newly delivered up to cum; end is the TSN of the next
// chunk, flight what is in flight now, lossless that the SACK advanced the
// cumulative TSN and found no loss.
//
// Deviates: §7.2.1 and §7.2.2 grow only as the cumulative TSN advances. What a
// gap block reports has been delivered no less, and growth stops with a loss.
func (c *congestion) acked(now mono.Time, n int, cum, end uint32, srtt time.Duration) {
	if !tsnLess(cum, c.round) {
		c.round, c.before, c.peak = end, c.peak, 0
		c.slow.newRound(c)
	}
	switch {
	case c.recovering || n == 0:
	case !c.limited():
		c.cubic.pause(now)
	case c.inSlowStart():
		c.slow.grow(c, n)
	case c.newReno:
		// §7.2.2, by the nominal segment.
		if c.partial += n; c.partial >= c.cwnd {
			c.partial -= c.cwnd
			c.cwnd += c.flows * c.segment
		}
	default:
		c.cubic.grow(c, now, n, srtt)
	}
}

// lost notes a loss; last is the highest TSN outstanding, flight what was in
// flight before it was found, queued that the round trip tells of a queue. It
// reports false for the losses of a window for which the reduction was made
// already.
func (c *congestion) lost(last uint32, flight int, queued bool) bool {
	if c.guarded {
		return false
	}
	c.guarded, c.recovering, c.exit = true, true, last
	c.reduce(queued)
	c.from, c.delivered, c.out = max(flight, 1), 0, 0
	return true
}

// reduce sets the threshold: to half (§7.2.3), or to CUBIC's share (RFC 9438
// §4.6).
func (c *congestion) reduce(queued bool) {
	n, m := c.cwnd/2, c.cwnd-c.cwnd/(2*c.flows)
	if !c.newReno {
		m = c.cubic.reduce(c.cwnd, c.flows)
	}
	// RFC 9438 §4.6: the first slow start may have doubled beyond the path, and
	// CUBIC's share of that is too much. There is a queue then.
	if c.slow.done || !queued {
		n = m
	}
	c.ssthresh, c.partial = max(n, 4*c.mtu), 0
	c.slow.end()
}

// recover sets the window for the next packets of a recovery, RFC 6937 §3.1
// with the slow start reduction bound: n bytes were delivered, flight are in
// flight, and lossless says that the cumulative TSN advanced and nothing more
// was found lost.
func (c *congestion) recover(n, flight int, lossless bool) {
	if !c.recovering {
		return
	}
	c.delivered += n
	var may int
	if flight > c.ssthresh {
		may = (c.delivered*c.ssthresh+c.from-1)/c.from - c.out
	} else {
		may = max(c.delivered-c.out, n)
		if lossless {
			may += c.mtu
		}
		may = min(may, c.ssthresh-flight)
	}
	if c.out == 0 {
		may = max(may, c.mtu) // the first retransmission goes at once
	}
	c.cwnd = flight + max(may, 0)
}

// advanced tells the cumulative TSN acknowledged. It reports the end of a
// recovery.
func (c *congestion) advanced(cum uint32) bool {
	if !c.guarded || tsnLess(cum, c.exit) {
		return false
	}
	was := c.recovering
	if c.guarded = false; was {
		c.recovering, c.cwnd = false, c.ssthresh
	}
	return was
}

// timeout is T3-rtx, §7.2.3; last is the highest TSN outstanding. A second one
// before it is acknowledged leaves the threshold as it is (RFC 5681 §3.1).
func (c *congestion) timeout(last uint32) {
	if !c.guarded || c.recovering {
		if c.recovering {
			c.cwnd = max(c.cwnd, c.ssthresh)
		} else {
			c.reduce(false)
		}
	}
	c.guarded, c.recovering, c.exit = true, false, last
	c.cwnd, c.partial = c.mtu, 0
	c.peak, c.before = 0, 0
}

// sending decays the window after idle time, once per RTO (§7.2.1), and
// remembers when data was last sent.
//
// Deviates: §7.2.1 goes down to 4 packets. Less than what a new association
// begins with makes no sense (RFC 6928 §2), and sending is paced.
func (c *congestion) sending(now mono.Time, flight int, rto time.Duration) {
	if flight == 0 && c.lastSend != 0 {
		floor := 10 * c.mtu
		for idle := now.Sub(c.lastSend); idle >= rto && c.cwnd > floor; idle -= rto {
			c.cwnd = max(c.cwnd/2, floor)
		}
	}
	c.lastSend = now
}
