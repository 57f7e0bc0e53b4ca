package sctp

import (
	"math"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// RFC 9438 §4.
const (
	cubicC    = 0.4 // segments per cubic second
	cubicBeta = 0.7
	// cubicAlpha makes the estimate of Reno's window grow as fast, on
	// average, although it falls by less (§4.3).
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is the state of congestion avoidance, in bytes and seconds.
type cubic struct {
	max   float64   // W_max
	prior float64   // cwnd before the last reduction
	beta  float64   // what it left of it
	alpha float64   // by how many segments a round trip Reno's window grows
	epoch mono.Time // when this growth began; 0: it has not
	k     float64   // when it reaches max again
	from  float64   // the window at its origin
	reno  float64   // W_est
	part  float64   // of a byte, not yet in cwnd
	last  mono.Time // of the last growth
}

// reduce returns the window after a loss, §4.6, and remembers the one before,
// §4.7.
//
// Deviates: of flows more than one, in whose place this is (Config.Flows), one is
// reduced, and all grow: as n flows would together, each with an nth of the window.
func (q *cubic) reduce(cwnd, flows int) int {
	w, n := float64(cwnd), float64(flows)
	q.beta, q.alpha = cubicBeta, cubicAlpha
	if flows > 1 {
		q.beta = (n - 1 + cubicBeta) / n
		q.alpha = 3 * n * n * (1 - q.beta) / (1 + q.beta)
	}
	q.prior = w
	if w < q.max { // fast convergence
		q.max = w * (1 + q.beta) / 2
	} else {
		q.max = w
	}
	q.epoch, q.part = 0, 0
	return int(w * q.beta)
}

// pause keeps the time in which the application had too little to send from
// counting, §5.8.
func (q *cubic) pause(now mono.Time) {
	if q.epoch != 0 && q.last != 0 {
		q.epoch += now - q.last
		q.last = now
	}
}

// grow takes n bytes acknowledged, §4.2 to §4.5.
func (q *cubic) grow(c *congestion, now mono.Time, n int, srtt time.Duration) {
	w, seg := float64(c.cwnd), float64(c.segment*c.flows)
	if q.epoch == 0 {
		q.epoch, q.reno = now, w
		if w < q.max {
			q.k, q.from = math.Cbrt((q.max-w)/seg/cubicC), q.max
		} else {
			q.k, q.from = 0, w
		}
	}
	q.last = now
	grow := q.alpha / float64(c.flows)
	if q.reno >= q.prior {
		grow = 1
	}
	q.reno += grow * float64(n) * seg / w
	at := func(d time.Duration) float64 {
		t := (now.Sub(q.epoch) + d).Seconds() - q.k
		return q.from + cubicC*seg*t*t*t
	}
	if at(0) < q.reno { // §4.3, the Reno-friendly region
		c.cwnd = max(c.cwnd, int(q.reno))
		return
	}
	target := min(max(at(srtt), w), 1.5*w)
	q.part += (target - w) / w * float64(n)
	whole := int(q.part)
	q.part -= float64(whole)
	c.cwnd += whole
}
