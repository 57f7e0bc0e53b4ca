package ice

import (
	"net/netip"

	"github.com/sluicertc/sluice/stun"
)

// puppet is a peer without a machine behind it: a test moves its hands. It
// answers checks, unless told otherwise, and signs as the real peer would.
type puppet struct {
	w          *world
	target     *peer
	ufrag, pwd string
	key        *stun.Key // its own: verifies requests to it
	theirs     *stun.Key // the target's
	addrs      []netip.AddrPort
	id         byte
	tiebreaker uint64
	controlled bool
	got        []stun.Type
	last       []byte
}

func newPuppet(w *world, target *peer, addrs []netip.AddrPort) *puppet {
	_, pwd := target.a.LocalCredentials()
	return &puppet{w: w, target: target, addrs: addrs, ufrag: "pppp", pwd: "puppetpuppetpuppetpuppet",
		key: stun.NewKey([]byte("puppetpuppetpuppetpuppet")), theirs: stun.NewKey([]byte(pwd)), tiebreaker: 1}
}

// hello gives the target the puppet's credentials.
func (z *puppet) hello() {
	z.target.do(func() {
		if err := z.target.a.SetRemoteCredentials(z.w.now, z.ufrag, z.pwd); err != nil {
			z.w.t.Fatal(err)
		}
		z.target.a.Gather(z.w.now)
	})
	z.w.tap = func(f flight) { z.receive(f) }
}

func (z *puppet) receive(f flight) {
	for _, a := range z.addrs {
		if f.to != a {
			continue
		}
		m, err := stun.Parse(f.b)
		if err != nil {
			z.w.t.Fatal(err)
		}
		z.got = append(z.got, m.Type())
		z.last = f.b
		if m.Type() == stun.BindingRequest && m.CheckIntegrity(z.key) {
			r := stun.Begin(nil, stun.BindingSuccess, m.TransactionID())
			r.XORMappedAddress(f.from)
			r.Integrity(z.key)
			r.Fingerprint()
			to := f.from
			z.w.later(2*z.w.delay, func() { z.inject(f.to, to, r.Bytes()) })
		}
	}
}

// inject delivers b to the target at once.
func (z *puppet) inject(from, to netip.AddrPort, b []byte) (err error) {
	z.target.do(func() { err = z.target.a.HandlePacket(z.w.now, b, Path{Local: to, Remote: from}) })
	return err
}

// request builds a check; change may add attributes before the integrity.
func (z *puppet) request(useCandidate bool, change func(*stun.Builder)) []byte {
	z.id++
	m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{z.id, 'p', byte(len(z.ufrag))})
	ufrag, _ := z.target.a.LocalCredentials()
	m.Username(ufrag + ":" + z.ufrag)
	if z.controlled {
		m.ICEControlled(z.tiebreaker)
	} else {
		m.ICEControlling(z.tiebreaker)
	}
	m.Priority(priority(TypePeerReflexive, 65535))
	if useCandidate {
		m.UseCandidate()
	}
	if change != nil {
		change(&m)
	}
	m.Integrity(z.theirs)
	m.Fingerprint()
	return m.Bytes()
}

// check sends one, with a priority that falls with the index of from.
func (z *puppet) check(from, to netip.AddrPort, useCandidate bool, change func(*stun.Builder)) error {
	return z.inject(from, to, z.request(useCandidate, change))
}

// to finds the target's address of from's family.
func (z *puppet) to(from netip.AddrPort) netip.AddrPort {
	for _, a := range z.target.addrs {
		if a.Addr().Is4() == from.Addr().Is4() {
			return a
		}
	}
	return netip.AddrPort{}
}

func idOf(b []byte) stun.TransactionID {
	m, _ := stun.Parse(b)
	return m.TransactionID()
}

// forge signs an error response as the agent with generation g would.
func forge(g *generation, id stun.TransactionID, code int) []byte {
	m := stun.Begin(nil, stun.BindingError, id)
	m.ErrorCode(code, "")
	m.Integrity(g.localKey)
	m.Fingerprint()
	return m.Bytes()
}
