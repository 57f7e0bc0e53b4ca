package ice

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// consent keeps the peer's consent to receive fresh (RFC 7675 §5.1) on the
// selected pair. A lite agent asks nothing; the peer's checks are its sign.
type consent struct {
	next mono.Time // of the next request
}

// consentTick is the grid of consent checks: those of many agents share a
// wake-up, which costs more than the checks.
const consentTick = time.Second

func (a *Agent) startConsent(now mono.Time) {
	a.consent.next = now
	if now.Sub(a.selected.answered) < time.Second {
		a.consent.next = a.nextConsent(now)
	}
}

// nextConsent is any of the instants of the grid which are the interval times 0.8
// to 1.2 from now (RFC 7675 §5.1): two at least, as the interval is 5 s at least.
func (a *Agent) nextConsent(now mono.Time) mono.Time {
	const tick = mono.Time(consentTick)
	i := a.cfg.ConsentInterval
	first, last := (now.Add(i*8/10)+tick-1)/tick, now.Add(i*12/10)/tick
	return (first + mono.Time(a.random64()%uint64(last-first+1))) * tick
}

// consentUntil tells when consent ends if nothing more is heard.
func (a *Agent) consentUntil() mono.Time {
	if a.cfg.Lite {
		return a.selected.heard.Add(a.cfg.ConsentExpiry)
	}
	return a.selected.answered.Add(a.cfg.ConsentExpiry)
}

func (a *Agent) stepConsent(now mono.Time) {
	if a.selected == nil {
		return
	}
	if now >= a.consentUntil() {
		a.consentLost(now)
		return
	}
	if a.cfg.Lite || now < a.consent.next {
		return
	}
	// RFC 7675 §5.1: each request is a transaction of its own. Unanswered, it
	// is retransmitted twice like any other (RFC 8489 §6.2.1): sent once, at a
	// loss of 20 % one call in six would end within ten minutes.
	if x := a.begin(now, txConsent, a.selected, a.selected.path()); x != nil {
		a.send(now, x)
	}
	a.consent.next = a.nextConsent(now)
}

// consentGiven ends the transactions older than the one answered (RFC 7675
// §5.1).
func (a *Agent) consentGiven(x *transaction) {
	a.dropTransactions(func(y *transaction) bool {
		return y.kind == txConsent && y.pair == x.pair && y.sent <= x.sent
	})
}

// consentLost stops all sending on the selected pair (RFC 7675 §5.1, §5.2).
// During a restart the new checks may still succeed; else it is the end.
func (a *Agent) consentLost(now mono.Time) {
	if a.selected == nil {
		return
	}
	if a.selected.gen == a.gen {
		a.fail()
		return
	}
	old := a.selected
	a.selected = nil
	a.prevUntil = now
	a.dropTransactions(func(x *transaction) bool { return x.pair == old })
}

func (a *Agent) consentTimeout(t *earliest) {
	if a.selected == nil {
		return
	}
	t.add(a.consentUntil())
	if !a.cfg.Lite {
		t.add(a.consent.next)
	}
}
