package ice

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// silence is how long the selected pair may be silent before the state is
// disconnected. Where only one side sends requests, signs of life are half as
// frequent, and one lost request must not be told as a disconnection.
func (a *Agent) silence() time.Duration {
	if a.cfg.Lite || a.remoteLite {
		return a.cfg.DisconnectedTimeout + a.cfg.ConsentInterval*12/10
	}
	return a.cfg.DisconnectedTimeout
}

// pending reports whether a check is still to be made or answered.
func (a *Agent) pending() bool {
	return len(a.triggered) > 0 ||
		slices.ContainsFunc(a.pairs, func(pr *pair) bool { return pr.state < PairSucceeded || pr.nominating })
}

// updateState follows RTCIceTransportState's definitions.
func (a *Agent) updateState(now mono.Time) {
	if a.state == StateFailed || a.state == StateClosed {
		return
	}
	if a.expired(now) {
		a.fail()
		return
	}
	s := a.current(now)
	// Nobody should miss the one for the other.
	if s > StateChecking && a.state == StateNew {
		a.setState(StateChecking)
	}
	if s == StateCompleted && a.state == StateChecking {
		a.setState(StateConnected)
	}
	a.setState(s)
}

func (a *Agent) setState(s State) {
	if s != a.state {
		a.state = s
		a.emit(Event{Kind: EventState, State: s})
	}
}

// expired reports whether the search is over and in vain. RFC 8863 §4: not
// before the timer ran out, since a check of the peer's may still arrive. What
// the peer adds, a candidate or a pair, begins it anew; a check that nobody
// answers does not prolong it.
//
// Deviates: RFC 8838 §8.1 waits for end-of-candidates too; a peer which never
// sends it would keep the agent for ever.
func (a *Agent) expired(now mono.Time) bool {
	return a.selected == nil && a.startedAt != 0 && now >= a.hopeAt.Add(a.cfg.FailedTimeout)
}

// reached is the pair heard last of those which work, before one is nominated:
// data may flow on each (RFC 8445 §12.1), and a peer that nominates late is
// connected all the same. Nil: none, one is selected, or we are lite and know of
// one direction only until the peer nominates.
func (a *Agent) reached() (last *pair) {
	if a.selected != nil || a.cfg.Lite {
		return nil
	}
	for _, pr := range a.pairs {
		if pr.usable && (last == nil || pr.heard > last.heard) {
			last = pr
		}
	}
	return last
}

func (a *Agent) current(now mono.Time) State {
	if s := a.selected; s != nil {
		switch {
		case now.Sub(s.heard) >= a.silence() && s.gen != a.gen:
			return StateChecking // W3C: a restart leaves disconnected
		case now.Sub(s.heard) >= a.silence():
			return StateDisconnected
		case s.gen == a.gen && a.endOfRemote && a.gather.done && (a.state == StateCompleted || !a.pending()):
			return StateCompleted // a check of a pair which the peer tries later changes nothing
		}
		return StateConnected
	}
	if pr := a.reached(); pr != nil {
		if now.Sub(pr.heard) >= a.silence() {
			return StateDisconnected
		}
		return StateConnected
	}
	if a.state != StateNew || a.startedAt != 0 && (len(a.remotes) > 0 || a.endOfRemote) {
		return StateChecking
	}
	return StateNew
}

// fail ends everything but the possibility of a Restart.
func (a *Agent) fail() {
	a.selected = nil
	a.clearChecks()
	for _, r := range a.remotes {
		r.validated = false
	}
	a.out, a.outHead, a.prev = a.out[:0], 0, nil
	a.setState(StateFailed)
}

func (a *Agent) stateTimeout(t *earliest) {
	switch s := a.selected; {
	case s != nil && a.state != StateDisconnected && a.state != StateChecking:
		t.add(s.heard.Add(a.silence()))
	case s == nil && a.startedAt != 0:
		t.add(a.hopeAt.Add(a.cfg.FailedTimeout))
		if pr := a.reached(); pr != nil && a.state != StateDisconnected {
			t.add(pr.heard.Add(a.silence()))
		}
	}
}
