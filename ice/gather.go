package ice

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// base is a local transport address which we send from (RFC 8445 §4). Pairs
// are made of bases: a server-reflexive candidate would be replaced by its
// base and pruned anyway (RFC 8445 §6.1.2.4).
type base struct {
	addr       netip.AddrPort
	preference uint16 // local preference
	foundation string
	learned    bool // from a packet: we signal nothing for it
}

// gathering asks each server from each base.
type gathering struct {
	begun, done bool
	asks        []ask
	deadline    mono.Time
	keepalive   mono.Time // next round; 0: none
}

type ask struct {
	base   *base
	server netip.AddrPort
	sent   bool
	over   bool // answered or given up
}

func (a *Agent) addBase(addr netip.AddrPort, configured bool) (*base, error) {
	if !addr.Addr().IsValid() || addr.Port() == 0 || addr.Addr().IsMulticast() {
		return nil, ErrAddress
	}
	for _, b := range a.bases {
		if b.addr == addr {
			b.learned = b.learned && !configured
			return b, nil
		}
	}
	if len(a.bases) >= MaxHosts {
		return nil, ErrTooMany
	}
	b := &base{addr: addr, learned: !configured,
		// RFC 8445 §5.1.2.1: unique per address; RFC 8421: the caller's order decides.
		preference: uint16(65535 - len(a.bases)),
		foundation: a.foundation(TypeHost, addr.Addr(), netip.Addr{})}
	a.bases = append(a.bases, b)
	return b, nil
}

// baseFor finds the base a packet to local came in by. Behind NAT or with an
// unspecified base the addresses differ: then the port and the family decide.
// Where nothing fits, the address itself becomes a base.
func (a *Agent) baseFor(local, remote netip.AddrPort) *base {
	ip := local.Addr()
	if !ip.IsValid() {
		ip = remote.Addr()
	}
	var family *base
	for _, b := range a.bases {
		if b.addr == local {
			return b
		}
	}
	for _, b := range a.bases {
		if b.addr.Addr().Is4() != ip.Is4() {
			continue
		}
		if b.addr.Port() == local.Port() {
			return b
		}
		if family == nil {
			family = b
		}
	}
	if family == nil {
		family, _ = a.addBase(local, false)
	}
	return family
}

// Gather begins gathering: host candidates at once, server-reflexive ones as
// the servers answer. Each is told by EventCandidate, the end by
// EventGatheringDone. Until Restart a second call does nothing.
func (a *Agent) Gather(now mono.Time) {
	if a.gather.begun || a.state == StateClosed {
		return
	}
	a.gather.begun = true
	for _, b := range a.bases {
		if !b.learned {
			a.gatherBase(b)
		}
	}
	a.gather.deadline = now.Add(a.cfg.GatherTimeout)
	a.step(now)
}

// AddHost adds a local base later, for instance when an interface came up.
func (a *Agent) AddHost(now mono.Time, addr netip.AddrPort) error {
	if a.state == StateClosed {
		return ErrClosed
	}
	known := len(a.bases)
	b, err := a.addBase(plain(addr), true)
	if err != nil {
		return err
	}
	if len(a.bases) == known {
		return nil
	}
	if a.gather.begun {
		a.gather.done = false
		a.gather.deadline = now.Add(a.cfg.GatherTimeout)
		a.gatherBase(b)
	}
	if !a.cfg.Lite {
		for _, r := range a.remotes {
			a.pairWith(b, r)
		}
	}
	a.step(now)
	return nil
}

// gatherBase makes the host candidates of b and lists whom to ask from it.
func (a *Agent) gatherBase(b *base) {
	announced := false
	for _, ip := range a.cfg.Announced {
		if ip.Is4() == b.addr.Addr().Is4() {
			announced = true
			a.addLocal(Candidate{Type: TypeHost, Addr: netip.AddrPortFrom(ip, b.addr.Port()),
				Priority: priority(TypeHost, b.preference), Foundation: b.foundation}, true)
		}
	}
	if !announced && !b.addr.Addr().IsUnspecified() {
		a.addLocal(Candidate{Type: TypeHost, Addr: b.addr,
			Priority: priority(TypeHost, b.preference), Foundation: b.foundation}, true)
	}
	if a.cfg.Lite {
		return // RFC 8445 §5.2: host candidates only
	}
	for _, s := range a.cfg.STUNServers {
		if pairable(b.addr, s) {
			a.gather.asks = append(a.gather.asks, ask{base: b, server: s})
		}
	}
}

// addLocal keeps a local candidate unless its address is known (RFC 8445
// §5.1.3), and signals it if tell is set.
func (a *Agent) addLocal(c Candidate, tell bool) {
	c.Component = componentID
	c.UsernameFragment = a.gen.localUfrag
	for i := range a.locals {
		if a.locals[i].Addr == c.Addr {
			return
		}
	}
	if len(a.locals) >= MaxLocalCandidates {
		return
	}
	a.locals = append(a.locals, c)
	if tell {
		a.emit(Event{Kind: EventCandidate, Candidate: c})
	}
}

// resetGathering forgets the candidates, not the bases.
func (a *Agent) resetGathering() {
	a.locals = nil
	a.gather = gathering{}
	a.dropTransactions(func(x *transaction) bool { return x.kind == txServer })
}

// nextAsk sends one request to a server, if one is due (RFC 8445 §5.1.1.2).
func (a *Agent) nextAsk(now mono.Time) bool {
	for i := range a.gather.asks {
		k := &a.gather.asks[i]
		if k.sent || k.over {
			continue
		}
		k.sent = true
		x := a.begin(now, txServer, nil, Path{Local: k.base.addr, Remote: k.server})
		if x == nil {
			k.over = true
			continue
		}
		x.ask = i
		a.send(now, x)
		return true
	}
	return false
}

// handleServer takes the answer of a STUN server. Nobody signs it; it counts
// because it comes from the address asked and repeats our random id.
func (a *Agent) handleServer(m stun.Message, p Path, x *transaction) error {
	if p.Remote != x.path.Remote {
		a.drops.Asymmetric++
		return ErrAsymmetric
	}
	a.end(x)
	k := &a.gather.asks[x.ask]
	k.over = true
	mapped, ok := m.XORMappedAddress()
	if m.Class() != stun.Success || !ok || !usable(mapped) || mapped == k.base.addr {
		return nil
	}
	a.addLocal(Candidate{Type: TypeServerReflexive, Addr: mapped, Related: k.base.addr,
		Priority:   priority(TypeServerReflexive, k.base.preference),
		Foundation: a.foundation(TypeServerReflexive, k.base.addr.Addr(), k.server.Addr())}, true)
	return nil
}

// stepGathering ends gathering, and later keeps the mappings at the NAT alive
// until a pair is selected (RFC 8445 §5.1.1.4).
func (a *Agent) stepGathering(now mono.Time) {
	g := &a.gather
	if !g.begun {
		return
	}
	if !g.done {
		over := true
		for i := range g.asks {
			over = over && g.asks[i].over
		}
		if !over && now < g.deadline {
			return
		}
		g.done = true
		for i := range g.asks {
			g.asks[i].over = true
		}
		a.dropTransactions(func(x *transaction) bool { return x.kind == txServer })
		if len(g.asks) > 0 {
			g.keepalive = now.Add(a.cfg.Keepalive)
		}
		a.emit(Event{Kind: EventGatheringDone})
		return
	}
	if g.keepalive == 0 || now < g.keepalive {
		return
	}
	g.keepalive = 0
	if a.selected != nil || a.state == StateFailed {
		return
	}
	g.keepalive = now.Add(a.cfg.Keepalive)
	for i := range g.asks {
		g.asks[i].sent, g.asks[i].over = false, false
	}
}

func (a *Agent) gatherTimeout(t *earliest) {
	if a.gather.begun && !a.gather.done {
		t.add(a.gather.deadline)
	}
	t.add(a.gather.keepalive)
}

// hasAsks reports whether a server still has to be asked.
func (a *Agent) hasAsks() bool {
	for i := range a.gather.asks {
		if !a.gather.asks[i].sent && !a.gather.asks[i].over {
			return true
		}
	}
	return false
}

// Candidates gives copies of the local and the remote candidates of this
// generation, peer-reflexive ones included.
func (a *Agent) Candidates() (local, remote []Candidate) {
	local = append(local, a.locals...)
	for _, r := range a.remotes {
		remote = append(remote, r.cand)
	}
	return local, remote
}
