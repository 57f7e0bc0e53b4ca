package ice

import (
	"errors"
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// Errors of HandlePacket. They tell why a packet was dropped; each is counted
// in Stats. None ends the session.
var (
	ErrTooLong            = errors.New("ice: message longer than the limit")
	ErrMalformed          = errors.New("ice: malformed STUN message")
	ErrUnauthenticated    = errors.New("ice: message fails authentication")
	ErrReplay             = errors.New("ice: transaction id already seen from another address")
	ErrUnknownTransaction = errors.New("ice: response to nothing we asked")
	ErrAsymmetric         = errors.New("ice: response from another address than the one asked")
	ErrFailed             = errors.New("ice: agent has failed, only a restart helps")
)

// Agent is one ICE transport. Ctl lane: one goroutine owns it.
type Agent struct {
	cfg        Config
	role       Role
	tiebreaker uint64
	remoteLite bool
	state      State

	gen       *generation
	prev      *generation // of before the last Restart
	prevUntil mono.Time   // 0: as long as the selected pair is of it

	bases       []*base
	locals      []Candidate
	foundations []foundationKey
	gather      gathering
	remotes     []*remote
	endOfRemote bool
	serial      uint32 // of peer-reflexive foundations and of ages

	pairs     []*pair
	triggered []*pair // RFC 8445 §6.1.4.1, first in first out
	txs       []*transaction
	balance   mono.Time // of slots, see pace.go
	startedAt mono.Time // remote credentials known; 0: not
	hopeAt    mono.Time // since then there is nothing new to hope for

	selected   *pair
	followed   *pair // the peer's choice, which we left; nil: none
	aggressive bool  // the peer nominates before it can know that a pair works
	consent    consent

	early   []earlyCheck
	replays *replayRing // made by the first authentic check
	carry   *carriage   // nil: without Config.Carry

	out       []outgoing
	outHead   int
	events    []Event
	eventHead int
	drops     Drops
	scratch   stun.TransactionID
}

// New makes an agent. It does nothing until Gather or SetRemoteCredentials.
func New(cfg Config) (*Agent, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, role: cfg.Role}
	g, err := a.newGeneration(cfg.LocalUfrag, cfg.LocalPwd)
	if err != nil {
		return nil, err
	}
	a.gen = g
	a.tiebreaker = a.random64()
	if cfg.Carry {
		a.carry = &carriage{blind: MaxBlind, stats: CarryStats{State: CarryOffered}}
	}
	for _, h := range cfg.Hosts {
		if _, err := a.addBase(plain(h), true); err != nil {
			return nil, err
		}
	}
	// The caller's slices are not kept.
	a.cfg.Hosts = nil
	a.cfg.Announced = unmapAll(cfg.Announced)
	a.cfg.STUNServers = nil
	for _, s := range cfg.STUNServers {
		if !usable(plain(s)) {
			return nil, ErrAddress
		}
		a.cfg.STUNServers = append(a.cfg.STUNServers, plain(s))
	}
	return a, nil
}

func unmapAll(in []netip.Addr) (out []netip.Addr) {
	for _, ip := range in {
		if ip = ip.Unmap().WithZone(""); ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}

// HandlePacket takes one datagram, which Is of package stun took for STUN, and
// the path it came on: Local is where it was sent to, Remote where from. b is
// borrowed for the call. An error tells why the packet had no effect.
func (a *Agent) HandlePacket(now mono.Time, b []byte, p Path) error {
	return a.HandlePacketAt(now, now, b, p)
}

// HandlePacketAt is HandlePacket for a packet that arrived at another instant
// than now, earlier as a rule. Round trips end there.
func (a *Agent) HandlePacketAt(now, arrived mono.Time, b []byte, p Path) error {
	if a.state == StateClosed {
		return ErrClosed
	}
	if len(b) > MaxIncoming {
		a.drops.TooLong++
		return ErrTooLong
	}
	m, err := stun.Parse(b)
	if err != nil || m.Method() != stun.Binding {
		a.drops.Malformed++
		return ErrMalformed
	}
	p = p.plain()
	if p.Proto != UDP || !p.Remote.Addr().IsValid() {
		a.drops.Malformed++
		return ErrMalformed
	}
	switch m.Class() {
	case stun.Request:
		err = a.handleRequest(now, m, p, len(b))
	case stun.Indication:
		// RFC 8445 §11: a keepalive; nobody signed it, so it means nothing.
		return nil
	default:
		err = a.handleResponse(now, arrived, m, p)
	}
	if err == nil {
		a.step(now)
	}
	return err
}

// HandleTimeout does what is due at now.
func (a *Agent) HandleTimeout(now mono.Time) {
	if a.state != StateClosed {
		a.step(now)
	}
}

// step brings the agent up to now. Each part is idempotent.
func (a *Agent) step(now mono.Time) {
	a.expireTransactions(now)
	a.stepGathering(now)
	a.stepFollow(now)
	a.stepNomination(now)
	a.pace(now)
	a.stepConsent(now)
	a.stepCarry(now)
	a.updateState(now)
}

// Timeout tells when HandleTimeout is due next; it may be past. 0: never.
func (a *Agent) Timeout() mono.Time {
	if a.state == StateClosed || a.state == StateFailed {
		return 0
	}
	var t earliest
	for _, x := range a.txs {
		t.add(x.deadline)
	}
	a.gatherTimeout(&t)
	a.paceTimeout(&t)
	a.nominationTimeout(&t)
	a.consentTimeout(&t)
	a.stateTimeout(&t)
	a.carryTimeout(&t)
	return mono.Time(t)
}

// Close ends the agent at once. It sends nothing and keeps nothing.
func (a *Agent) Close() {
	if a.state == StateClosed {
		return
	}
	a.clearChecks()
	a.selected, a.prev = nil, nil
	a.remotes, a.early, a.out, a.outHead = nil, nil, nil, 0
	if a.carry != nil {
		a.carry.end(CarryOff)
		a.carry.pending = nil
	}
	a.setState(StateClosed)
}

// clearChecks forgets the check list. The selected pair stays.
func (a *Agent) clearChecks() {
	a.pairs, a.triggered = nil, nil
	a.dropTransactions(func(x *transaction) bool { return x.kind == txCheck || x.pair != a.selected })
	a.followed = nil
}

// Role gives our current role.
func (a *Agent) Role() Role { return a.role }

// SetRole sets our role, for instance from who made the offer (RFC 8445
// §6.1.1). A lite agent stays Controlled, and one with a lite peer Controlling.
func (a *Agent) SetRole(r Role) {
	switch {
	case a.cfg.Lite:
		r = Controlled
	case a.remoteLite:
		r = Controlling
	}
	a.setRole(r)
}

// SetRemoteLite tells whether the peer is lite: then we control (RFC 8445
// §6.1.1).
func (a *Agent) SetRemoteLite(lite bool) {
	a.remoteLite = lite
	if lite && !a.cfg.Lite {
		a.setRole(Controlling)
	}
}

// setRole switches the role, which turns the pair priorities around (RFC 8445
// §7.3.1.1).
func (a *Agent) setRole(r Role) {
	if a.role == r {
		return
	}
	a.role = r
	for _, pr := range a.pairs {
		pr.priority = a.pairPriority(pr.base, pr.remote)
		pr.nominating, pr.nominateOnSuccess = false, false
	}
}

// State gives the current state.
func (a *Agent) State() State { return a.state }

// Selected gives where media goes. ok is false before a nomination and after
// consent was lost.
func (a *Agent) Selected() (p Path, ok bool) {
	if a.selected == nil {
		return Path{}, false
	}
	return a.selected.path(), true
}

// Validated reports whether p.Remote has sent an authenticated check, or an
// authenticated answer to one of ours, in this generation of credentials or as
// the selected pair of the one before.
func (a *Agent) Validated(p Path) bool {
	p = p.plain()
	if r := a.findRemote(p.Remote); r != nil && r.validated {
		return true
	}
	for i := range a.early {
		if a.early[i].path.Remote == p.Remote {
			return true
		}
	}
	return a.selected != nil && a.selected.remote.validated && a.selected.remote.addr == p.Remote
}
