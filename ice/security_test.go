package ice

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

var evil = ap("203.0.113.66:6666")

// retained is what a peer could make an agent keep.
type retained struct {
	remotes, pairs, triggered, txs, early, events, out, locals, bases int
	state                                                             State
	role                                                              Role
	timeout                                                           mono.Time
	validated, selected                                               bool
}

func retain(a *Agent) retained {
	_, selected := a.Selected()
	return retained{len(a.remotes), len(a.pairs), len(a.triggered), len(a.txs), len(a.early), len(a.events) - a.eventHead,
		len(a.out) - a.outHead, len(a.locals), len(a.bases), a.state, a.role, a.Timeout(), a.Validated(Path{Remote: evil}), selected}
}

// Requests which nobody signed, or signed wrongly, in every stage of a
// session: no answer, no event, no state.
func TestClass32_UnauthenticatedRequestsCreateNoState(t *testing.T) {
	for _, stage := range []string{"fresh", "credentials", "connected", "lite"} {
		w := newWorld(t, 40)
		y := w.peer(Config{Hosts: hostB, Lite: stage == "lite"})
		z := newPuppet(w, y, hostA)
		if stage != "fresh" {
			z.hello()
		}
		if stage == "connected" || stage == "lite" {
			z.check(hostA[0], hostB[0], true, nil)
			w.run(time.Second, nil)
			if _, ok := y.a.Selected(); !ok {
				t.Fatal("puppet not selected")
			}
		}
		ufrag, _ := y.a.LocalCredentials()
		bad := map[string][]byte{}
		unsigned := func(user string, change func(*stun.Builder)) []byte {
			m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{9})
			if user != "" {
				m.Username(user)
			}
			m.Priority(1)
			m.UseCandidate()
			if change != nil {
				change(&m)
			}
			m.Fingerprint()
			return m.Bytes()
		}
		bad["nothing"] = unsigned("", nil)
		bad["no integrity"] = unsigned(ufrag+":pppp", nil)
		bad["no username"] = unsigned("", func(m *stun.Builder) { m.Integrity(z.theirs) })
		bad["no colon"] = unsigned(ufrag, func(m *stun.Builder) { m.Integrity(z.theirs) })
		bad["other ufrag"] = unsigned("AAAA:pppp", func(m *stun.Builder) { m.Integrity(z.theirs) })
		bad["empty ufrag"] = unsigned(":pppp", func(m *stun.Builder) { m.Integrity(z.theirs) })
		bad["wrong key"] = unsigned(ufrag+":pppp", func(m *stun.Builder) { m.Integrity(stun.NewKey([]byte("guess"))) })
		bad["empty key"] = unsigned(ufrag+":pppp", func(m *stun.Builder) { m.Integrity(stun.NewKey(nil)) })
		bad["role behind integrity"] = unsigned(ufrag+":pppp", func(m *stun.Builder) {
			m.Integrity(stun.NewKey([]byte("guess")))
			m.ICEControlled(0)
		})
		if stage != "fresh" {
			bad["other peer"] = unsigned(ufrag+":qqqq", func(m *stun.Builder) { m.Integrity(z.theirs) })
		}
		before, sent := retain(y.a), 0
		w.tap = func(flight) { sent++ }
		for name, b := range bad {
			for i := range 100 {
				from := netip.AddrPortFrom(evil.Addr(), evil.Port()+uint16(i))
				if err := z.inject(from, hostB[0], b); !errors.Is(err, ErrUnauthenticated) {
					t.Errorf("%s, %s: %v", stage, name, err)
				}
				if err := z.inject(hostA[0], hostB[0], b); !errors.Is(err, ErrUnauthenticated) {
					t.Errorf("%s, %s: from the peer's address: %v", stage, name, err)
				}
			}
		}
		if after := retain(y.a); after != before || sent != 0 {
			t.Errorf("%s: %+v became %+v, %d answers", stage, before, after, sent)
		}
		if n := y.a.Stats().Drops.Unauthenticated; n != uint64(200*len(bad)) {
			t.Errorf("%s: %d counted", stage, n)
		}
		// The twin: signed, it is answered and does all of that.
		if err := z.check(evil, hostB[0], false, nil); err != nil || sent == 0 || !y.a.Validated(Path{Remote: evil}) {
			t.Errorf("%s: an authentic request: %v", stage, err)
		}
	}
}

func TestClass31_AnswersAreNoAmplifier(t *testing.T) {
	w := newWorld(t, 41)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	var out []int
	w.tap = func(f flight) {
		if f.b[0] == 1 {
			out = append(out, len(f.b))
		}
	}
	for _, b := range [][]byte{z.request(true, nil), z.request(false, func(m *stun.Builder) {
		for i := range 20 {
			m.Raw(stun.Attr(0x7000+i), nil)
		}
	})} {
		out = nil
		if err := z.inject(hostA[0], hostB[0], b); err != nil || len(out) != 1 || out[0] > len(b) {
			t.Errorf("%d bytes answered with %v: %v", len(b), out, err)
		}
	}
	// Indications, and responses to nothing, get no answer at all.
	for _, typ := range []stun.Type{stun.BindingIndication, stun.BindingSuccess, stun.BindingError} {
		out = nil
		m := stun.Begin(nil, typ, stun.TransactionID{1})
		m.Fingerprint()
		err := z.inject(evil, hostB[0], m.Bytes())
		if len(out) != 0 || (err == nil) != (typ == stun.BindingIndication) {
			t.Errorf("%#x: %d answers, %v", typ, len(out), err)
		}
	}
	for i, b := range [][]byte{nil, []byte("hello"), make([]byte, 20), z.request(false, nil)[:40],
		func() []byte { m := stun.Begin(nil, 3, stun.TransactionID{}); return m.Bytes() }()} {
		if err := z.inject(evil, hostB[0], b); err != ErrMalformed {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := y.a.HandlePacket(w.now, z.request(false, nil), Path{Local: hostB[0], Remote: evil, Proto: TCP}); err != ErrMalformed {
		t.Errorf("over TCP: %v", err)
	}
}

func TestOversizedMessageIsDropped(t *testing.T) {
	w := newWorld(t, 42)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	big := z.request(false, func(m *stun.Builder) { m.Raw(0xc001, make([]byte, MaxIncoming)) })
	if err := z.inject(hostA[0], hostB[0], big); err != ErrTooLong || y.a.Stats().Drops.TooLong != 1 {
		t.Errorf("%v", err)
	}
	fits := z.request(false, func(m *stun.Builder) { m.Raw(0xc001, make([]byte, MaxIncoming-200)) })
	if err := z.inject(hostA[0], hostB[0], fits); err != nil {
		t.Errorf("%v", err)
	}
}

// A captured check, sent again from elsewhere, must not move the media, nor
// validate the address. A lite agent has no second line of defence.
func TestReplayedCheckFromElsewhereChangesNothing(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 43)
		y := w.peer(Config{Hosts: hostB, Lite: lite})
		z := newPuppet(w, y, hostA)
		z.hello()
		b := z.request(true, nil)
		if err := z.inject(hostA[0], hostB[0], b); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second, nil)
		before := retain(y.a)
		if err := z.inject(evil, hostB[0], b); err != ErrReplay {
			t.Errorf("lite %v: %v", lite, err)
		}
		if after := retain(y.a); after != before || y.selected().Remote != hostA[0] {
			t.Errorf("lite %v: %+v became %+v", lite, before, after)
		}
		// From its own address it is a retransmission: the same answer again.
		z.got = nil
		if err := z.inject(hostA[0], hostB[0], b); err != nil || len(z.got) != 1 || z.got[0] != stun.BindingSuccess {
			t.Errorf("lite %v: %v %v", lite, err, z.got)
		}
	}
}

func TestForgedAndStrayResponses(t *testing.T) {
	w := newWorld(t, 44)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, nil) // it does not answer by itself
	z.hello()
	var req []byte
	w.tap = func(f flight) {
		if f.b[0] == 0 {
			req = f.b
		}
	}
	y.do(func() {
		y.a.AddRemoteCandidate(w.now, Candidate{Foundation: "1", Component: 1, Priority: 5, Addr: hostA[0]})
	})
	if req == nil || !y.a.Expects(answer(z.key, idOf(req), true)) || y.a.Expects(req) || y.a.Expects(nil) ||
		y.a.Expects(answer(z.key, stun.TransactionID{}, true)) {
		t.Fatal("Expects")
	}
	for _, c := range []struct {
		name string
		b    []byte
		from netip.AddrPort
		want error
	}{
		{"unsigned", answer(nil, idOf(req), true), hostA[0], ErrUnauthenticated},
		{"signed by a guess", answer(stun.NewKey([]byte("guess")), idOf(req), true), hostA[0], ErrUnauthenticated},
		{"signed with our own key", answer(y.a.gen.localKey, idOf(req), true), hostA[0], ErrUnauthenticated},
		{"another id", answer(z.key, stun.TransactionID{1}, true), hostA[0], ErrUnknownTransaction},
		{"unsigned 487", stunError(nil, idOf(req), 487), hostA[0], ErrUnauthenticated},
		{"unsigned 400", stunError(nil, idOf(req), 400), hostA[0], ErrUnauthenticated},
	} {
		if err := z.inject(c.from, hostB[0], c.b); err != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
		if y.a.pairs[0].state != PairInProgress || y.a.Role() != Controlled || y.a.Validated(Path{Remote: hostA[0]}) {
			t.Fatalf("%s had an effect", c.name)
		}
	}
	// Authentic, from another address: the pair fails (RFC 8445 §7.2.5.2.1).
	if err := z.inject(evil, hostB[0], answer(z.key, idOf(req), true)); err != ErrAsymmetric || y.a.pairs[0].state != PairFailed {
		t.Errorf("asymmetric: %v, %v", err, y.a.pairs[0].state)
	}
	// Authentic but without a mapped address: no proof.
	y.a.trigger(y.a.pairs[0])
	w.run(time.Second, nil)
	if err := z.inject(hostA[0], hostB[0], answer(z.key, idOf(req), false)); err != nil || y.a.pairs[0].state != PairFailed {
		t.Errorf("no mapped address: %v, %v", err, y.a.pairs[0].state)
	}
	// The twin: the right one makes it valid.
	y.a.trigger(y.a.pairs[0])
	w.run(time.Second, nil)
	if err := z.inject(hostA[0], hostB[0], answer(z.key, idOf(req), true)); err != nil || y.a.pairs[0].state != PairSucceeded ||
		!y.a.Validated(Path{Remote: hostA[0]}) {
		t.Errorf("right: %v, %v", err, y.a.pairs[0].state)
	}
}

func answer(k *stun.Key, id stun.TransactionID, mapped bool) []byte {
	m := stun.Begin(nil, stun.BindingSuccess, id)
	if mapped {
		m.XORMappedAddress(hostB[0])
	}
	if k != nil {
		m.Integrity(k)
	}
	m.Fingerprint()
	return m.Bytes()
}

func stunError(k *stun.Key, id stun.TransactionID, code int) []byte {
	m := stun.Begin(nil, stun.BindingError, id)
	m.ErrorCode(code, "")
	if k != nil {
		m.Integrity(k)
	}
	m.Fingerprint()
	return m.Bytes()
}

func TestRoleConflictTable(t *testing.T) {
	for _, c := range []struct {
		ours, theirs Role
		lite         bool
		tiebreaker   uint64 // theirs, ours being 100
		conflict     bool   // answered with 487
		switched     bool
	}{
		{Controlling, Controlling, false, 99, true, false},
		{Controlling, Controlling, false, 100, true, false},
		{Controlling, Controlling, false, 101, false, true},
		{Controlled, Controlled, false, 99, false, true},
		{Controlled, Controlled, false, 100, false, true},
		{Controlled, Controlled, false, 101, true, false},
		{Controlled, Controlled, true, 0, true, false},
		{Controlling, Controlled, false, 0, false, false},
		{Controlled, Controlling, false, 0, false, false},
		{Controlled, Controlling, true, 0, false, false},
	} {
		w := newWorld(t, 45)
		y := w.peer(Config{Role: c.ours, Lite: c.lite, Hosts: hostB})
		y.a.tiebreaker = 100
		z := newPuppet(w, y, hostA)
		z.hello()
		z.controlled, z.tiebreaker = c.theirs == Controlled, c.tiebreaker
		b := z.request(false, nil)
		for range 2 { // the second is a retransmission, and gets the same answer
			z.got = nil
			z.inject(hostA[0], hostB[0], b)
			want := stun.BindingSuccess
			if c.conflict {
				want = stun.BindingError
			}
			if len(z.got) == 0 || z.got[0] != want {
				t.Errorf("%+v: answered %#x", c, z.got)
			}
			if want := c.ours ^ Role(b2i(c.switched)); y.a.Role() != want || y.count(EventRole) != b2i(c.switched) {
				t.Errorf("%+v: role %v, %d events", c, y.a.Role(), y.count(EventRole))
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Our own check meets a 487: we switch, renew the tiebreaker, check again.
func TestRoleConflictResponseSwitchesUs(t *testing.T) {
	w := newWorld(t, 46)
	y := w.peer(Config{Role: Controlling, Hosts: hostB})
	z := newPuppet(w, y, nil)
	z.hello()
	var reqs [][]byte
	w.tap = func(f flight) { reqs = append(reqs, f.b) }
	y.do(func() {
		y.a.AddRemoteCandidate(w.now, Candidate{Foundation: "1", Component: 1, Priority: 5, Addr: hostA[0]})
	})
	old := y.a.tiebreaker
	if err := z.inject(hostA[0], hostB[0], stunError(z.key, idOf(reqs[0]), 487)); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second, nil)
	m, _ := stun.Parse(reqs[len(reqs)-1])
	tb, ok := m.ICEControlled()
	if y.a.Role() != Controlled || !ok || tb == old || tb != y.a.tiebreaker || y.count(EventRole) != 1 {
		t.Errorf("role %v, %x %v", y.a.Role(), tb, ok)
	}
}

func TestErrorAnswersToAuthenticRequests(t *testing.T) {
	w := newWorld(t, 47)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	for _, c := range []struct {
		name string
		b    []byte
		want int
	}{
		{"unknown attribute", z.request(false, func(m *stun.Builder) { m.Raw(0x0030, []byte{0, 0, 0, 1}) }), 420},
		{"optional attribute", z.request(false, func(m *stun.Builder) { m.Raw(0xc057, []byte{0, 0, 0, 1}) }), 0},
		{"no priority, known address", z.noPriority(), 0},
	} {
		z.got = nil
		if err := z.inject(hostA[0], hostB[0], c.b); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		m, _ := stun.Parse(z.last)
		code, _, _ := m.ErrorCode()
		if code != c.want && m.Class() != stun.Request {
			t.Errorf("%s: %d", c.name, code)
		}
		if c.want != 0 && !m.CheckIntegrity(z.theirs) {
			t.Errorf("%s: an unsigned error", c.name)
		}
	}
	z.addrs = append(z.addrs, ap("192.0.2.2:1"))
	z.inject(ap("192.0.2.2:1"), hostB[0], z.noPriority())
	m, _ := stun.Parse(z.last)
	if code, _, _ := m.ErrorCode(); code != 400 {
		t.Errorf("no priority, new address: %d", code)
	}
}

func (z *puppet) noPriority() []byte {
	z.id++
	m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{z.id, 'n'})
	ufrag, _ := z.target.a.LocalCredentials()
	m.Username(ufrag + ":" + z.ufrag)
	m.ICEControlling(z.tiebreaker)
	m.Integrity(z.theirs)
	return m.Bytes()
}

func TestServerAnswersFromElsewhereAreIgnored(t *testing.T) {
	w := newWorld(t, 52)
	server := ap("203.0.113.53:3478")
	x := w.peer(Config{Hosts: hostA, STUNServers: []netip.AddrPort{server, ap("203.0.113.54:3478")}})
	var req []byte
	asked := 0
	w.tap = func(f flight) {
		asked++
		if f.to == server {
			req = f.b
		}
	}
	x.do(func() { x.a.Gather(w.now) })
	if req == nil || asked != 2 {
		t.Fatalf("%d requests", asked)
	}
	b := answer(nil, idOf(req), true)
	if err := x.a.HandlePacket(w.now, b, Path{Local: hostA[0], Remote: evil}); err != ErrAsymmetric || len(x.a.locals) != 1 {
		t.Errorf("%v, %v", err, x.a.locals)
	}
	if err := x.a.HandlePacket(w.now, b, Path{Local: hostA[0], Remote: server}); err != nil || len(x.a.locals) != 2 {
		t.Errorf("%v, %v", err, x.a.locals)
	}
}

func TestFailedAgentAnswersNothing(t *testing.T) {
	w := newWorld(t, 53)
	y := w.peer(Config{Hosts: hostB, FailedTimeout: time.Second})
	z := newPuppet(w, y, hostA)
	z.hello()
	w.run(2*time.Second, nil)
	z.got = nil
	if err := z.check(hostA[0], hostB[0], true, nil); err != ErrFailed || len(z.got) != 0 || y.a.Stats().Drops.AfterFailure != 1 {
		t.Errorf("%v %v", err, z.got)
	}
}
