package sctp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// pacer spreads a window over the round trip. Credit grows with time, at the
// rate of the window; a burst ends when it is used up, and the next begins when
// there is enough for a run of packets again, or with a SACK.
type pacer struct {
	credit int // bytes; negative: ahead of the rate
	at     mono.Time
	part   float64
	resume mono.Time // when to go on, if something waits
}

// paceRate in bytes per second is a little faster than the window needs, so
// that pacing is not what limits it. A window which doubles each round trip
// needs 1.39 times its own rate (x in x*exp(x) = 1.39 is the logarithm of 2);
// more would only fill the queue before anybody could notice.
func (a *Association) paceRate() float64 {
	gain := 1.2
	if a.cc.inSlowStart() {
		gain = 1.5
	}
	return gain * float64(a.cc.cwnd) / max(a.rto.srtt, minPause).Seconds()
}

// paceDepth is the most that may go at once.
func (a *Association) paceDepth(rate float64) int {
	return min(max(int(rate*paceSpan.Seconds()), 10*a.cc.mtu), maxBurst)
}

// mayBurst reports whether pacing lets another packet go now. If not, it says
// when to try again.
func (a *Association) mayBurst(now mono.Time) bool {
	p := &a.tx.pace
	a.refill(now)
	if p.credit > 0 {
		p.resume = 0
		return true
	}
	if p.resume == 0 {
		rate := a.paceRate()
		run := min(max(int(rate*paceSpan.Seconds()), 2*a.cc.mtu), runPackets*a.cc.mtu)
		wait := time.Duration(float64(run-p.credit) / rate * float64(time.Second))
		p.resume = now.Add(max(wait, minPause))
	}
	return false
}

// refill brings the credit up to date.
func (a *Association) refill(now mono.Time) {
	p := &a.tx.pace
	if p.at == now {
		return
	}
	rate := a.paceRate()
	depth := a.paceDepth(rate)
	if p.at == 0 || now.Sub(p.at) > time.Second {
		p.credit, p.part = depth, 0
	} else {
		p.part += rate * now.Sub(p.at).Seconds()
		whole := min(int(p.part), 2*maxBurst)
		p.part -= float64(int(p.part))
		p.credit = min(p.credit+whole, depth)
	}
	p.at = now
}

// spent notes n bytes sent. What goes along with a SACK does not ask for credit:
// it may not run into a debt that keeps what comes later from going.
func (a *Association) spent(now mono.Time, n int) {
	a.refill(now)
	a.tx.pace.credit = max(a.tx.pace.credit-n, -runPackets*a.cc.mtu)
}
