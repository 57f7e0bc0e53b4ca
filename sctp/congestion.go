package sctp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// slowStartLimit is L of RFC 9260 §7.2.1, which MAY be larger than 1: a
// receiver which acknowledges by the burst acknowledges many packets at once.
const slowStartLimit = 8

// congestion is the window of RFC 9260 §7.2, in bytes of user data.
type congestion struct {
	mtu        int
	cwnd       int
	ssthresh   int
	partial    int // partial_bytes_acked
	recovering bool
	exit       uint32 // recovery ends when this TSN is acknowledged
	lastSend   mono.Time
}

// start begins anew with the peer's window as threshold.
//
// Deviates: RFC 9260 §7.2.1 starts with min(4*MTU, max(2*MTU, 4404)); ten
// packets are RFC 6928's, as in every TCP and QUIC stack of today.
func (c *congestion) start(window int) {
	*c = congestion{mtu: c.mtu, cwnd: 10 * c.mtu, ssthresh: max(window, 10*c.mtu)}
}

// acked grows the window when the cumulative TSN advanced; flight is what was
// outstanding before.
func (c *congestion) acked(n, flight int) {
	if c.recovering || flight+c.mtu <= c.cwnd { // not fully used
		return
	}
	if c.cwnd <= c.ssthresh {
		c.cwnd += min(n, slowStartLimit*c.mtu)
		return
	}
	if c.partial += n; c.partial >= c.cwnd { // §7.2.2
		c.partial -= c.cwnd
		c.cwnd += c.mtu
	}
}

// lost enters fast recovery, §7.2.4; last is the highest TSN outstanding.
func (c *congestion) lost(last uint32) {
	c.recovering, c.exit = true, last
	c.ssthresh = max(c.cwnd/2, 4*c.mtu) // §7.2.3
	c.cwnd, c.partial = c.ssthresh, 0
}

// advanced tells the cumulative TSN acknowledged.
func (c *congestion) advanced(cum uint32) {
	if c.recovering && tsnLessEq(c.exit, cum) {
		c.recovering = false
	}
}

// timeout is T3-rtx, §7.2.3.
func (c *congestion) timeout() {
	c.ssthresh = max(c.cwnd/2, 4*c.mtu)
	c.cwnd, c.partial, c.recovering = c.mtu, 0, false
}

// sending decays the window after idle time, once per RTO (§7.2.1), and
// remembers when data was last sent.
func (c *congestion) sending(now mono.Time, flight int, rto time.Duration) {
	if flight == 0 && c.lastSend != 0 {
		floor := 4 * c.mtu
		for idle := now.Sub(c.lastSend); idle >= rto && c.cwnd > floor; idle -= rto {
			c.cwnd = max(c.cwnd/2, floor)
		}
	}
	c.lastSend = now
}
