package ice

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Pacing (RFC 8445 §6.1.4.2, §14.2): one new transaction each Ta. A slot which
// nobody used may be used later: Agent.balance is the instant at which the
// slots taken and the slots passed are even, and each kind of transaction may
// run ahead of it by so many slots. Whatever is sent takes a slot, so that over
// time there is one transaction each Ta, whoever asks for them.
//
// Deviates: RFC 8445 §14.2 takes the first slots one by one too. Two agents on
// one machine, or a server and its client, would wait for Ta several times to
// send what is less than a page of HTML; what the interval protects, the NAT's
// table and the path, a burst of so few leaves unharmed.

// ahead reports when a transaction that may run depth slots ahead may begin.
func (a *Agent) ahead(depth int) mono.Time {
	return a.balance.Add(-a.cfg.Ta * time.Duration(depth-1))
}

// take uses a slot.
func (a *Agent) take(now mono.Time) {
	a.balance = max(a.balance, now).Add(a.cfg.Ta)
}

// depth is how far ahead the check of a triggered pair may run. The peer's
// authentic request, or answer, has just told that it listens there; it must
// not wait for guesses.
func (pr *pair) depth() int {
	if pr.state == PairSucceeded {
		return burstValid
	}
	return burstTriggered
}

// pace starts what may begin at now: triggered checks, then requests to STUN
// servers, then ordinary checks.
func (a *Agent) pace(now mono.Time) {
	if a.state == StateFailed {
		return
	}
	checks := a.checks()
	for i := 0; checks && i < len(a.triggered); {
		pr := a.triggered[i]
		if now < a.ahead(pr.depth()) {
			i++
			continue
		}
		a.triggered = slices.Delete(a.triggered, i, i+1)
		a.check(now, pr)
		a.take(now)
	}
	for now >= a.ahead(burstNew) {
		if !a.nextAsk(now) {
			if !checks {
				return
			}
			pr := a.nextPair()
			if pr == nil {
				return
			}
			a.check(now, pr)
		}
		a.take(now)
	}
}

// checks reports whether we may send checks at all.
func (a *Agent) checks() bool { return a.gen.remoteKey != nil && !a.cfg.Lite }

func (a *Agent) paceTimeout(t *earliest) {
	if a.checks() {
		for _, pr := range a.triggered {
			t.add(max(a.ahead(pr.depth()), 1))
		}
	}
	if a.hasAsks() || a.checks() && (a.highest(PairWaiting) != nil || a.thawable() != nil) {
		t.add(max(a.ahead(burstNew), 1))
	}
}
