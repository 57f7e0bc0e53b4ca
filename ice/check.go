package ice

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// check sends a connectivity check for pr (RFC 8445 §7.2.4).
func (a *Agent) check(now mono.Time, pr *pair) {
	a.supersede(now, pr)
	x := a.begin(now, txCheck, pr, pr.path())
	if x == nil {
		return
	}
	x.nominate = pr.nominating && a.role == Controlling
	x.rto = a.checkRTO()
	if pr.state != PairSucceeded {
		pr.state = PairInProgress
	}
	a.send(now, x)
}

// checkRTO is RFC 8445 §14.3's formula.
func (a *Agent) checkRTO() time.Duration {
	n := 0
	for _, pr := range a.pairs {
		if pr.state == PairWaiting || pr.state == PairInProgress {
			n++
		}
	}
	return max(a.cfg.RTO, time.Duration(n)*a.cfg.Ta)
}

// handleResponse takes a success or error response.
func (a *Agent) handleResponse(now, arrived mono.Time, m stun.Message, p Path) error {
	x := a.findTransaction(m.TransactionID())
	if x == nil {
		a.drops.UnknownTransaction++
		return ErrUnknownTransaction
	}
	if x.kind == txServer {
		return a.handleServer(m, p, x)
	}
	// RFC 8445 §7.2.2: short-term credentials, so success and error alike are
	// signed. One that is not must not end the transaction.
	if !m.CheckIntegrity(x.gen.remoteKey) {
		a.drops.Unauthenticated++
		return ErrUnauthenticated
	}
	pr := x.pair
	// RFC 8445 §7.2.5.2.1: addresses must be symmetric.
	if p.Remote != x.path.Remote || p.Local.IsValid() && a.baseFor(p.Local, p.Remote) != pr.base {
		a.drops.Asymmetric++
		if x.kind == txCheck && pr != a.selected {
			a.end(x)
			pr.state, pr.nominating = PairFailed, false
			a.step(now)
		}
		return ErrAsymmetric
	}
	a.end(x)
	pr.heard = now
	pr.counters.responsesReceived++
	if m.Class() == stun.Error {
		a.handleError(now, m, x)
		return nil
	}
	mapped, ok := m.XORMappedAddress()
	if !ok {
		// RFC 8445 §7.3.1.2 demands it; an answer without proves nothing.
		a.drops.Malformed++
		a.checkFailed(pr)
		return nil
	}
	a.measure(arrived, x)
	pr.answered, pr.carry.proved = now, true
	a.validate(pr.remote, p)
	if x.carry && x.gen == a.gen {
		defer a.receiveCarried(m, p) // after the event that the pair is usable
	}
	if x.kind == txConsent {
		a.consentGiven(x)
		return nil
	}
	if usable(mapped) {
		// RFC 8445 §7.2.5.3.1: a new address of ours is peer-reflexive. It
		// needs no signalling: the peer learned it from our check.
		a.addLocal(Candidate{Type: TypePeerReflexive, Addr: mapped, Related: pr.base.addr,
			Priority: x.priority, Foundation: a.foundation(TypePeerReflexive, pr.base.addr.Addr(), mapped.Addr())}, false)
	}
	a.succeeded(now, pr, x.nominate)
	return nil
}

// succeeded makes pr valid (RFC 8445 §7.2.5.3).
func (a *Agent) succeeded(now mono.Time, pr *pair, nominate bool) {
	if pr.gen != a.gen {
		return // its check began before a restart
	}
	a.valid(now, pr)
	a.unfreeze(pr)
	switch {
	case nominate && a.role == Controlling:
		pr.nominating = false
		a.selectPair(now, pr) // RFC 8445 §7.2.5.3.4
	case pr.nominateOnSuccess && a.role == Controlled:
		pr.nominateOnSuccess = false
		a.nominatedByPeer(now, pr)
	}
}

// valid puts pr on the valid list.
func (a *Agent) valid(now mono.Time, pr *pair) {
	pr.state = PairSucceeded
	if pr.validAt != 0 {
		return
	}
	pr.validAt = now
	if a.selected == nil {
		pr.usable = true
		a.emit(Event{Kind: EventUsable, Path: pr.path()})
	}
}

// handleError takes an authentic error response.
func (a *Agent) handleError(now mono.Time, m stun.Message, x *transaction) {
	code, _, _ := m.ErrorCode()
	switch {
	case code == stun.CodeRoleConflict:
		// RFC 8445 §7.2.5.1: switch, unless the peer's own check has made us
		// switch since; then check again.
		if x.role == a.role && !a.cfg.Lite {
			a.switchRole()
			a.tiebreaker = a.random64()
		}
		if x.kind == txCheck && x.pair.gen == a.gen {
			a.trigger(x.pair)
		}
	case x.kind == txConsent && code == stun.CodeForbidden:
		a.consentLost(now) // RFC 7675 §5.2
	case x.kind == txCheck:
		a.checkFailed(x.pair) // RFC 8445 §7.2.5.2.4
	}
}

func (a *Agent) switchRole() {
	a.setRole(a.role ^ 1)
	a.emit(Event{Kind: EventRole, Role: a.role})
}

// measure takes a round trip, unless a retransmission makes it ambiguous. It
// is never zero, which would say that there is none: the clock that stamps
// packets may differ from ours by more than loopback takes.
func (a *Agent) measure(arrived mono.Time, x *transaction) {
	if x.attempts == 1 && x.left != 0 {
		c := &x.pair.counters
		c.rtt = max(arrived.Sub(x.left), minRTT)
		c.totalRTT += c.rtt
		c.rttSamples++
	}
}
