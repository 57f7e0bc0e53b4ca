package sctp

import "time"

// rtoEstimate is the retransmission timeout of RFC 9260 §6.3.1.
type rtoEstimate struct {
	srtt, rttvar, rto time.Duration
	min, max          time.Duration
	measured          bool
}

func newRTO(c *Config) rtoEstimate {
	return rtoEstimate{rto: min(max(c.RTOInitial, c.RTOMin), c.RTOMax), min: c.RTOMin, max: c.RTOMax}
}

// sample takes a round trip which was not retransmitted (Karn; C5).
func (e *rtoEstimate) sample(d time.Duration) {
	d = max(d, 0)
	if !e.measured { // C2
		e.measured, e.srtt, e.rttvar = true, d, d/2
	} else { // C3: RTO.Beta 1/4, RTO.Alpha 1/8
		e.rttvar += ((e.srtt - d).Abs() - e.rttvar) / 4
		e.srtt += (d - e.srtt) / 8
	}
	e.rto = min(max(e.srtt+4*e.rttvar, e.min), e.max) // C6, C7
}

// relax ends the backoff.
//
// Deviates: RFC 9260 §6.3.3 keeps it until the next measurement, which what is
// sent again never gives. Like TCP stacks, an acknowledgment of something new
// ends it: the path works.
func (e *rtoEstimate) relax() {
	if e.measured {
		e.rto = min(max(e.srtt+4*e.rttvar, e.min), e.max)
	}
}

// backoff doubles the timeout, §6.3.3 E2.
func (e *rtoEstimate) backoff() { e.rto = min(2*e.rto, e.max) }
