package ice

import (
	"net/netip"
	"strconv"

	"github.com/sluicertc/sluice/internal/mono"
)

// remote is a candidate of the peer, signalled or peer-reflexive.
type remote struct {
	cand      Candidate
	addr      netip.AddrPort
	age       uint32 // order of arrival
	validated bool   // an authenticated check came from addr
}

func (a *Agent) findRemote(addr netip.AddrPort) *remote {
	for _, r := range a.remotes {
		if r.addr == addr {
			return r
		}
	}
	return nil
}

// AddRemoteCandidate takes a candidate of the peer, before or after its
// credentials (RFC 8838 §11). What we cannot check (TCP, a name, another
// component) is accepted and left alone. Errors: ErrAddress, ErrStale for a
// candidate of other credentials, ErrTooMany, ErrClosed.
func (a *Agent) AddRemoteCandidate(now mono.Time, c Candidate) error {
	switch {
	case a.state == StateClosed:
		return ErrClosed
	case c.UsernameFragment != "" && a.gen.remoteKey != nil && c.UsernameFragment != a.gen.remoteUfrag:
		return ErrStale
	case c.Transport != UDP, c.Host != "", c.Component > componentID:
		a.drops.CandidatesIgnored++
		return nil
	}
	c.Addr = plain(c.Addr)
	if !usable(c.Addr) {
		return ErrAddress
	}
	if r := a.findRemote(c.Addr); r != nil {
		if r.cand.Type == TypePeerReflexive && c.Type != TypePeerReflexive {
			// RFC 8838 §11.4: the signalled one takes its place.
			r.cand = c
			a.reprioritise(r)
			a.step(now)
		}
		return nil
	}
	if len(a.remotes) >= MaxRemoteCandidates {
		return ErrTooMany
	}
	a.addRemote(c)
	a.hopeAt = now
	a.step(now)
	return nil
}

// addRemote keeps c and pairs it with every base.
func (a *Agent) addRemote(c Candidate) *remote {
	a.serial++
	r := &remote{cand: c, addr: c.Addr, age: a.serial}
	a.remotes = append(a.remotes, r)
	if !a.cfg.Lite {
		for _, b := range a.bases {
			a.pairWith(b, r)
		}
	}
	return r
}

// learnRemote makes a peer-reflexive candidate (RFC 8445 §7.3.1.3), nil if
// there is no room.
func (a *Agent) learnRemote(addr netip.AddrPort, prio uint32) *remote {
	if len(a.remotes) >= MaxRemoteCandidates && !a.evictRemote() {
		return nil
	}
	a.serial++
	r := &remote{addr: addr, age: a.serial, cand: Candidate{
		Type: TypePeerReflexive, Addr: addr, Component: componentID, Priority: prio,
		// RFC 8445 §7.3.1.3: arbitrary, and unlike all others. No signalled
		// foundation has a colon.
		Foundation: "prflx:" + strconv.FormatUint(uint64(a.serial), 10),
	}}
	a.remotes = append(a.remotes, r)
	return r
}

// evictRemote drops the oldest peer-reflexive candidate which is not selected.
func (a *Agent) evictRemote() bool {
	at := -1
	for i, r := range a.remotes {
		if r.cand.Type == TypePeerReflexive && (a.selected == nil || a.selected.remote != r) &&
			(at < 0 || r.age < a.remotes[at].age) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	gone := a.remotes[at]
	a.remotes = append(a.remotes[:at], a.remotes[at+1:]...)
	for i := len(a.pairs) - 1; i >= 0; i-- {
		if a.pairs[i].remote == gone {
			a.removePair(a.pairs[i])
		}
	}
	return true
}

// forgetForeign drops the candidates which came early and belong to other
// credentials.
func (a *Agent) forgetForeign(ufrag string) {
	keep := a.remotes[:0]
	for _, r := range a.remotes {
		if f := r.cand.UsernameFragment; f == "" || f == ufrag {
			keep = append(keep, r)
			continue
		}
		for i := len(a.pairs) - 1; i >= 0; i-- {
			if a.pairs[i].remote == r {
				a.removePair(a.pairs[i])
			}
		}
	}
	clear(a.remotes[len(keep):])
	a.remotes = keep
}

// EndOfRemoteCandidates says that the peer has no more (RFC 8838 §14): the
// state can become completed.
func (a *Agent) EndOfRemoteCandidates(now mono.Time) {
	if a.state != StateClosed {
		a.endOfRemote = true
		a.step(now)
	}
}
