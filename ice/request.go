package ice

import (
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// incoming is an authenticated check of the peer's.
type incoming struct {
	path         Path
	priority     uint32
	useCandidate bool
	hasty        bool // USE-CANDIDATE in the first check of its path
	told         bool // EventValidated was emitted when it arrived
}

// earlyCheck waits for the remote credentials.
type earlyCheck struct {
	check incoming
	path  Path
	ufrag string
}

// handleRequest answers a Binding request of size bytes and acts on it (RFC
// 8445 §7.3).
func (a *Agent) handleRequest(now mono.Time, m stun.Message, p Path, size int) error {
	// Deviates: RFC 8489 §9.1.3 answers 400 or 401 here. What nobody signed
	// gets nothing: no reflection, no state.
	g, err := a.authenticate(now, m)
	if err != nil {
		a.drops.Unauthenticated++
		return err
	}
	if a.state == StateFailed {
		a.drops.AfterFailure++
		return ErrFailed
	}
	id := m.TransactionID()
	if a.replays == nil {
		a.replays = new(replayRing)
	}
	known, from := a.replays.look(id, p.Remote)
	if known && from != p.Remote {
		// RFC 8445 does not sign addresses: a captured check must not be able
		// to point us elsewhere.
		a.drops.Replayed++
		return ErrReplay
	}
	o := outgoing{kind: outSuccess, path: p, id: id, key: g.localKey}
	// RFC 8489 §6.3.1.
	unknown := m.Unknown(o.unknown[:0], stun.AttrUsername, stun.AttrPriority, stun.AttrUseCandidate)
	if o.nknown = len(unknown); o.nknown > 0 {
		o.kind, o.code = outError, stun.CodeUnknownAttribute
		a.queue(o)
		return nil
	}
	if g == a.gen && a.roleConflict(m, !known) {
		o.kind, o.code = outError, stun.CodeRoleConflict
		a.queue(o)
		return nil
	}
	prio, ok := m.Priority()
	if !ok && a.findRemote(p.Remote) == nil && g == a.gen {
		o.kind, o.code = outError, stun.CodeBadRequest
		a.queue(o)
		return nil
	}
	o.carry = g == a.gen && a.carry.listens() && carries(m)
	a.queue(o)
	c := incoming{path: p, priority: prio, useCandidate: m.UseCandidate()}
	c.hasty = c.useCandidate
	switch {
	case g != a.gen:
		if a.selected != nil && a.selected.gen == g && a.selected.remote.addr == p.Remote && !known {
			a.heard(now, a.selected)
		}
	case known: // a retransmission: our answer was lost, its effect was not
	case g.remoteKey == nil:
		a.remember(m, &c)
	default:
		a.admit(now, &c)
	}
	if g == a.gen {
		if !known {
			a.carryCredit(size)
		}
		a.receiveCarried(m, p)
	}
	return nil
}

// authenticate finds the credentials a request was made with, and checks them
// (RFC 8445 §7.3, RFC 8489 §9.1.3).
func (a *Agent) authenticate(now mono.Time, m stun.Message) (*generation, error) {
	name, ok := m.Username()
	ours, theirs, ok2 := splitUsername(name)
	if !ok || !ok2 {
		return nil, ErrUnauthenticated
	}
	g := a.gen
	if string(ours) != g.localUfrag {
		g = a.prev
		if g == nil || string(ours) != g.localUfrag || a.prevUntil != 0 && now >= a.prevUntil {
			return nil, ErrUnauthenticated
		}
	}
	if g.remoteKey != nil && string(theirs) != g.remoteUfrag || !m.CheckIntegrity(g.localKey) {
		return nil, ErrUnauthenticated
	}
	return g, nil
}

// roleConflict settles who controls (RFC 8445 §7.3.1.1). It reports whether
// the request is to be answered with 487. A repeated request is answered
// again, and switches nothing.
func (a *Agent) roleConflict(m stun.Message, fresh bool) bool {
	yield := false
	if theirs, ok := m.ICEControlling(); ok && a.role == Controlling {
		yield = a.tiebreaker < theirs && !a.remoteLite
	} else if theirs, ok := m.ICEControlled(); ok && a.role == Controlled {
		// RFC 8445 §6.1.1: a lite agent never controls a full one.
		yield = a.tiebreaker >= theirs && !a.cfg.Lite
	} else {
		return false
	}
	if yield && fresh {
		a.switchRole()
	}
	return !yield
}

// remember keeps a check until the peer's credentials are known.
func (a *Agent) remember(m stun.Message, c *incoming) {
	for i := range a.early {
		if e := &a.early[i]; e.path == c.path {
			e.check.useCandidate = e.check.useCandidate || c.useCandidate
			return
		}
	}
	if len(a.early) >= MaxEarly {
		a.drops.Early++
		return
	}
	name, _ := m.Username()
	_, theirs, _ := splitUsername(name)
	if !a.Validated(c.path) {
		a.emit(Event{Kind: EventValidated, Path: c.path})
	}
	c.told = true
	a.early = append(a.early, earlyCheck{check: *c, path: c.path, ufrag: string(theirs)})
}

// admit acts on a check: a peer-reflexive candidate, a triggered check, a
// nomination (RFC 8445 §7.3.1.3 to §7.3.1.5).
func (a *Agent) admit(now mono.Time, c *incoming) {
	r := a.findRemote(c.path.Remote)
	if r == nil {
		if r = a.learnRemote(c.path.Remote, c.priority); r == nil {
			a.drops.Remotes++
			return
		}
	}
	if c.told {
		r.validated = true
	}
	a.validate(r, c.path)
	b := a.baseFor(c.path.Local, c.path.Remote)
	if b == nil {
		a.drops.Pairs++
		return
	}
	pr := a.findPair(b, r)
	if pr == nil {
		if pr = a.newPair(b, r, true); pr == nil {
			return
		}
	}
	first := pr.firstRequest == 0
	if first {
		pr.firstRequest, a.hopeAt = now, now
		a.aggressive = a.aggressive || c.hasty && !a.nominatedNow()
	}
	a.heard(now, pr)
	if a.cfg.Lite {
		// RFC 8445 §7.3.2: the request itself makes the pair valid.
		a.valid(now, pr)
		if c.useCandidate {
			a.nominatedByPeer(now, pr)
		} else {
			a.used(now, pr)
		}
		return
	}
	nominate := c.useCandidate && a.role == Controlled
	if pr.state == PairSucceeded {
		switch {
		case nominate:
			a.nominatedByPeer(now, pr)
		case first && a.role == Controlled && !a.nominatedNow():
			// Deviates: RFC 8445 §7.3.1.4 asks for nothing here, and peers
			// differ: Pion nominates when a check of ours comes after its own
			// was answered, else 200 ms later.
			a.trigger(pr)
		default:
			a.used(now, pr)
		}
		return
	}
	pr.nominateOnSuccess = pr.nominateOnSuccess || nominate
	a.trigger(pr)
}

// validate notes that the peer has shown, at r's address, that it knows our
// credentials or its own.
func (a *Agent) validate(r *remote, p Path) {
	if !r.validated {
		r.validated = true
		a.emit(Event{Kind: EventValidated, Path: p})
	}
}

// heard notes a request of the peer's, which has been answered.
func (a *Agent) heard(now mono.Time, pr *pair) {
	pr.heard = now
	pr.counters.requestsReceived++
	pr.counters.responsesSent++
}
