package ice

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/stun"
)

// pairUp gives two connected peers, the first controlling.
func pairUp(t *testing.T, seed uint64, cx, cy Config) (*world, *peer, *peer) {
	t.Helper()
	w := newWorld(t, seed)
	cx.Role = Controlling
	if cx.Hosts == nil {
		cx.Hosts = hostA
	}
	if cy.Hosts == nil {
		cy.Hosts = hostB
	}
	x, y := w.peer(cx), w.peer(cy)
	w.signal(x, y)
	w.mustJoin(x, y, 5*time.Second)
	w.run(2*time.Second, nil)
	return w, x, y
}

func TestClass32_ConsentLossIsToldAndEndsEverything(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w, x, y := pairUp(t, 20, Config{}, Config{Lite: lite})
		w.run(time.Minute, nil)
		cut := w.now
		w.blocked = func(_, _ netip.AddrPort) bool { return true }
		var last time.Duration
		disconnected := map[*peer]time.Duration{}
		failed := map[*peer]time.Duration{}
		for w.now.Sub(cut) < 50*time.Second {
			w.run(100*time.Millisecond, nil)
			last = w.now.Sub(cut)
			for _, p := range []*peer{x, y} {
				switch p.a.State() {
				case StateDisconnected:
					if disconnected[p] == 0 {
						disconnected[p] = last
					}
				case StateFailed:
					if failed[p] == 0 {
						failed[p] = last
					}
					if _, ok := p.a.Selected(); ok || p.a.Validated(Path{Remote: hostA[0]}) || p.a.Validated(Path{Remote: hostB[0]}) {
						t.Fatal("data may flow without consent")
					}
				}
			}
		}
		for i, p := range []*peer{x, y} {
			limit := p.a.silence()
			if d := disconnected[p]; d == 0 || d > limit+200*time.Millisecond {
				t.Errorf("lite %v: peer %d disconnected after %v", lite, i, d)
			}
			// Consent was refreshed at most a period and a bit before the cut.
			if d := failed[p]; d < 23*time.Second || d > 30*time.Second+200*time.Millisecond {
				t.Errorf("lite %v: peer %d failed after %v", lite, i, d)
			}
		}
		// Consent does not come back by itself (RFC 7675 §5.1), and nothing is sent.
		w.blocked = nil
		sent := 0
		w.tap = func(flight) { sent++ }
		w.run(time.Minute, nil)
		if sent != 0 || x.a.State() != StateFailed || y.a.State() != StateFailed {
			t.Errorf("%d packets after the end, %v %v", sent, x.a.State(), y.a.State())
		}
	}
}

func TestClass32_ConsentTwinShortOutageHeals(t *testing.T) {
	w, x, y := pairUp(t, 21, Config{}, Config{})
	w.blocked = func(_, _ netip.AddrPort) bool { return true }
	w.run(15*time.Second, nil)
	if x.a.State() != StateDisconnected || y.a.State() != StateDisconnected {
		t.Errorf("%v %v after 15 s of silence", x.a.State(), y.a.State())
	}
	w.blocked = nil
	w.run(10*time.Second, nil)
	if x.a.State() != StateCompleted || y.a.State() != StateCompleted || !joined(x, y)() {
		t.Errorf("%v %v after it", x.a.State(), y.a.State())
	}
}

func TestConsentRequestsAreJitteredBetweenFourAndSixSeconds(t *testing.T) {
	w, x, _ := pairUp(t, 22, Config{}, Config{})
	var at []time.Duration
	w.tap = func(f flight) {
		if f.from == hostA[0] && f.b[0] == 0 && f.b[1] == 1 {
			at = append(at, time.Duration(w.now))
		}
	}
	w.run(10*time.Minute, nil)
	lo, hi := time.Hour, time.Duration(0)
	for i := 1; i < len(at); i++ {
		if at[i]%consentTick != 0 {
			t.Fatalf("a request at %v: others' wake-ups are not shared", at[i])
		}
		lo, hi = min(lo, at[i]-at[i-1]), max(hi, at[i]-at[i-1])
	}
	if len(at) < 100 || lo < 4*time.Second || hi > 6*time.Second || hi-lo < time.Second {
		t.Errorf("%d requests, %v to %v apart", len(at), lo, hi)
	}
	s := x.a.Stats().Pairs[0]
	if s.ConsentRequestsSent != uint64(len(at)) || s.CurrentRTT != 40*time.Millisecond ||
		s.TotalRTT != time.Duration(s.RTTSamples)*40*time.Millisecond || s.ResponsesReceived != s.RequestsSent {
		t.Errorf("stats %+v", s)
	}
}

func TestForbiddenRevokesConsentAtOnce(t *testing.T) {
	w, x, y := pairUp(t, 23, Config{}, Config{})
	y.mute, x.mute = true, true
	var f flight
	w.tap = func(g flight) {
		if g.from == hostA[0] && g.b[1] == 1 && g.b[0] == 0 {
			f = g
		}
	}
	w.blocked = func(from, _ netip.AddrPort) bool { return from == hostB[0] }
	w.run(7*time.Second, nil)
	if f.b == nil {
		t.Fatal("no consent request")
	}
	e := forge(y.a.gen, idOf(f.b), 403)
	if err := x.a.HandlePacket(w.now, e, Path{Local: hostA[0], Remote: hostB[0]}); err != nil {
		t.Fatal(err)
	}
	if x.a.State() != StateFailed {
		t.Errorf("state %v", x.a.State())
	}
}

func TestRestartFromEitherSideKeepsMediaFlowing(t *testing.T) {
	for seed := range uint64(40) {
		w, x, y := pairUp(t, 100+seed, Config{Hosts: hostA6}, Config{Hosts: hostB6, Lite: seed%4 == 3})
		first, second := x, y
		if seed%2 == 1 {
			first, second = y, x
		}
		w.loss = float64(seed%3) * 0.1
		path := [2]Path{x.selected(), y.selected()}
		events := [2]int{len(x.events), len(y.events)}
		restartBoth(w, first, second)
		w.loss = 0
		w.run(40*time.Second, nil)
		if !joined(x, y)() || x.a.State() != StateCompleted || y.a.State() != StateCompleted {
			t.Errorf("seed %d: %v %v", seed, x.states(), y.states())
		}
		for i, p := range []*peer{x, y} {
			for _, e := range p.events[events[i]:] {
				if e.Kind == EventSelected && e.Path == path[i] && p.count(EventSelected) == 2 {
					t.Errorf("seed %d: the same path was told as new", seed)
				}
				if e.Kind == EventState && e.State == StateFailed {
					t.Errorf("seed %d: failed during the restart", seed)
				}
			}
			if p.a.prev != nil && p.a.prevUntil == 0 {
				t.Errorf("seed %d: the old credentials live for ever", seed)
			}
		}
	}
}

// restartBoth lets first offer a restart, second answer it eight seconds
// later, and fails if either is without a path meanwhile.
func restartBoth(w *world, first, second *peer) {
	w.t.Helper()
	flowing := func(d time.Duration, done func() bool) {
		w.t.Helper()
		for end := w.now.Add(d); w.now < end && !w.run(100*time.Millisecond, done); {
			for i, p := range []*peer{first, second} {
				if s, ok := p.a.Selected(); !ok || !p.a.Validated(s) {
					w.t.Fatalf("peer %d has no path during the restart", i)
				}
			}
		}
	}
	restart := func(p *peer) {
		oldUfrag, oldPwd := p.a.LocalCredentials()
		p.do(func() {
			if err := p.a.Restart(w.now, "", ""); err != nil {
				w.t.Fatal(err)
			}
			p.a.Gather(w.now)
		})
		u, pwd := p.a.LocalCredentials()
		if u == oldUfrag || pwd == oldPwd || p.a.Restart(w.now, u, pwd) != ErrCredentials {
			w.t.Fatal("a restart with the same credentials")
		}
	}
	restart(first)
	flowing(8*time.Second, nil) // consent of the old generation goes on
	restart(second)
	second.credentials(first)
	flowing(500*time.Millisecond, nil)
	first.credentials(second)
	for _, p := range []*peer{first, second} {
		// Candidates trickled before the other side restarted were lost on it.
		local, _ := p.a.Candidates()
		for _, c := range local {
			if c.Type == TypeHost {
				p.other.do(func() { p.other.a.AddRemoteCandidate(w.now, c) })
			}
		}
		p.other.do(func() { p.other.a.EndOfRemoteCandidates(w.now) })
	}
	flowing(30*time.Second, func() bool {
		for _, p := range []*peer{first, second} {
			if p.a.selected == nil || p.a.selected.gen != p.a.gen {
				return false
			}
		}
		return true
	})
}

func TestRestartWhileDisconnectedLeadsBackByAnotherPath(t *testing.T) {
	w, x, y := pairUp(t, 24, Config{Hosts: hostA6}, Config{Hosts: hostB6})
	w.blocked = func(from, _ netip.AddrPort) bool { return from.Addr().Is4() }
	w.run(9*time.Second, nil)
	for _, p := range []*peer{x, y} {
		p.do(func() {
			if err := p.a.Restart(w.now, "", ""); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.signal(x, y)
	w.run(5*time.Second, nil)
	if !joined(x, y)() || !x.selected().Local.Addr().Is6() {
		t.Errorf("%v %v", x.selected(), y.selected())
	}
}

func TestConsentLostDuringRestartWaitsForTheNewChecks(t *testing.T) {
	w, x, _ := pairUp(t, 25, Config{FailedTimeout: time.Minute}, Config{})
	w.blocked = func(_, _ netip.AddrPort) bool { return true }
	x.do(func() { x.a.Restart(w.now, "", ""); x.a.Gather(w.now) })
	w.run(35*time.Second, nil)
	if _, ok := x.a.Selected(); ok || x.a.State() != StateChecking {
		t.Errorf("%v after losing the old pair", x.a.State())
	}
	x.do(func() { x.a.SetRemoteCredentials(w.now, "abcd", "abcdefghijabcdefghijab") })
	w.run(61*time.Second, nil)
	if x.a.State() != StateFailed {
		t.Errorf("%v", x.a.State())
	}
}

func TestNATRebindingIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name   string
		behind Role // of the one behind the NAT
		lite   bool // the other one is
		loss   float64
		atMost time.Duration
		seeds  int
	}{
		{"controlling peer moves", Controlling, false, 0, 12 * time.Second, 10},
		{"controlled peer moves", Controlled, false, 0, 12 * time.Second, 10},
		{"lite server", Controlling, true, 0, 13 * time.Second, 10},
		{"with loss", Controlling, false, 0.1, 25 * time.Second, 20},
	} {
		for seed := range uint64(c.seeds) {
			w := newWorld(t, 200+seed)
			x := w.peer(Config{Role: c.behind, Hosts: []netip.AddrPort{ap("10.0.0.2:5000")}})
			x.nat = newNAT("192.0.2.77", false)
			y := w.peer(Config{Role: c.behind ^ 1, Hosts: hostB, Lite: c.lite})
			w.blocked = func(_, to netip.AddrPort) bool { return to.Addr().IsPrivate() }
			w.signal(x, y)
			w.mustJoin(x, y, 3*time.Second)
			w.run(time.Minute, nil)
			w.loss = c.loss
			x.nat.rebind()
			start := w.now
			if !w.run(40*time.Second, joined(x, y)) {
				t.Errorf("%s, seed %d: %v and %v, %v %v", c.name, seed, x.selected(), y.selected(), x.states(), y.states())
				continue
			}
			if d := w.now.Sub(start); d > c.atMost {
				t.Errorf("%s, seed %d: took %v", c.name, seed, d)
			}
			w.run(2*time.Minute, nil)
			if !joined(x, y)() {
				t.Errorf("%s, seed %d: fell apart: %v %v", c.name, seed, x.states(), y.states())
			}
		}
	}
}

func TestPeerRenominatesAnotherPair(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w, x, y := pairUp(t, 26, Config{Hosts: hostA6}, Config{Hosts: hostB6, Lite: lite})
		old := y.selected()
		// The controlling side changes its mind, as a phone does that leaves Wi-Fi.
		var other *pair
		for _, pr := range x.a.pairs {
			if pr.state == PairSucceeded && pr != x.a.selected {
				other = pr
			}
		}
		if other == nil {
			for _, r := range x.a.remotes {
				if r.addr.Addr().Is6() {
					other = x.a.newPair(x.a.bases[1], r, true)
				}
			}
		}
		x.do(func() { x.a.nominate(other); x.a.HandleTimeout(w.now) })
		w.run(time.Second, nil)
		w.mustJoin(x, y, time.Second)
		if y.selected() == old || x.selected() != other.path() {
			t.Errorf("lite %v: still %v", lite, y.selected())
		}
		w.run(3*time.Minute, nil)
		if !joined(x, y)() || x.selected() != other.path() || y.count(EventSelected) != 2 {
			t.Errorf("lite %v: %v, selected %d times", lite, y.selected(), y.count(EventSelected))
		}
	}
}

func TestAggressivePeerEndsOnTheHighestPair(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 27)
		y := w.peer(Config{Hosts: hostB6[:2], Lite: lite})
		z := newPuppet(w, y, hostA6)
		z.hello()
		// Low, high, low: the last must not win.
		low, high := hostA6[1], hostA6[0]
		for _, from := range []netip.AddrPort{low, high, low, low} {
			z.check(from, z.to(from), true, nil)
			w.run(300*time.Millisecond, nil)
		}
		if s := y.selected(); s.Remote != high {
			t.Errorf("lite %v: selected %v", lite, s)
		}
		// Unless the high one has gone silent.
		z.addrs = []netip.AddrPort{low}
		for range 30 {
			z.check(low, z.to(low), true, nil)
			w.run(time.Second, nil)
		}
		if s := y.selected(); s.Remote != low {
			t.Errorf("lite %v: selected %v, which is silent", lite, s)
		}
	}
}

func TestCloseEndsAtOnce(t *testing.T) {
	w, x, _ := pairUp(t, 28, Config{}, Config{})
	x.do(func() { x.a.Close(); x.a.Close() })
	if s := x.states(); s[len(s)-1] != StateClosed || slices.Index(s, StateClosed) != len(s)-1 {
		t.Errorf("states %v", s)
	}
	if _, ok := x.a.Selected(); ok || x.a.Timeout() != 0 {
		t.Error("something is left")
	}
	for _, err := range []error{
		x.a.HandlePacket(w.now, nil, Path{}), x.a.SetRemoteCredentials(w.now, "", ""), x.a.Restart(w.now, "", ""),
		x.a.AddRemoteCandidate(w.now, Candidate{}), x.a.AddHost(w.now, hostA[0]),
	} {
		if err != ErrClosed {
			t.Errorf("error %v", err)
		}
	}
	x.a.Gather(w.now)
	x.a.HandleTimeout(w.now)
	x.a.EndOfRemoteCandidates(w.now)
	if n, _ := x.a.Transmit(w.now, x.buf[:]); n != 0 {
		t.Error("a closed agent sends")
	}
}

// The peer still uses the pair we left by mistake: its next check leads back.
func TestFollowingByMistakeIsUndone(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 54)
		y := w.peer(Config{Hosts: hostB6[:2], Lite: lite})
		z := newPuppet(w, y, hostA6)
		z.hello()
		first, second := hostA6[0], hostA6[1]
		z.check(first, z.to(first), false, nil)
		z.check(second, z.to(second), false, nil)
		w.run(time.Second, nil)
		z.check(first, z.to(first), true, nil)
		w.run(time.Second, nil)
		z.addrs = []netip.AddrPort{second} // nothing comes from the first any more
		for range 20 {
			z.check(second, z.to(second), false, nil)
			w.run(time.Second, nil)
		}
		if y.selected().Remote != second {
			t.Fatalf("lite %v: not followed: %v", lite, y.selected())
		}
		z.addrs = []netip.AddrPort{first, second}
		z.check(first, z.to(first), false, nil)
		if y.selected().Remote != first {
			t.Errorf("lite %v: not undone: %v", lite, y.selected())
		}
	}
}

// Until its answer comes, the peer of one who restarted goes on with the old
// credentials, and some of its packets are late even then.
func TestOldCredentialsAreAnsweredForAWhileAfterRestart(t *testing.T) {
	w := newWorld(t, 55)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	z.check(hostA[0], hostB[0], true, nil)
	w.run(time.Second, nil)
	old, _ := y.a.LocalCredentials()
	check := func(user string, k *stun.Key) error {
		z.id++
		m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{z.id, 'r'})
		m.Username(user)
		m.ICEControlling(1)
		m.Priority(1)
		m.UseCandidate()
		m.Integrity(k)
		z.got = nil
		return z.inject(hostA[0], hostB[0], m.Bytes())
	}
	answered := func() bool { return len(z.got) > 0 && z.got[0] == stun.BindingSuccess }
	y.do(func() { y.a.Restart(w.now, "", "") })
	w.run(20*time.Second, nil)
	if err := check(old+":pppp", z.theirs); err != nil || !answered() || y.a.selected.heard != w.now {
		t.Errorf("old credentials: %v", err)
	}
	if len(y.a.pairs) != 0 || len(y.a.remotes) != 0 || len(y.a.early) != 0 {
		t.Error("an old check made new state")
	}
	// A new pair takes over; the old credentials live on for their grace.
	ufrag, pwd := y.a.LocalCredentials()
	y.do(func() { y.a.SetRemoteCredentials(w.now, "pppp", z.pwd) })
	if err := check(ufrag+":pppp", stun.NewKey([]byte(pwd))); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second, nil)
	if y.a.selected.gen != y.a.gen {
		t.Fatal("the new pair is not selected")
	}
	if err := check(old+":pppp", z.theirs); err != nil || !answered() {
		t.Errorf("within the grace: %v", err)
	}
	w.run(previousGrace, nil)
	if err := check(old+":pppp", z.theirs); err != ErrUnauthenticated || answered() {
		t.Errorf("after the grace: %v", err)
	}
}

// Nomination ends the search: pairs not yet tried are never tried.
func TestNominationEndsTheSearch(t *testing.T) {
	w := newWorld(t, 56)
	x := w.peer(Config{Role: Controlling, Hosts: hostA})
	y := w.peer(Config{Hosts: hostB})
	x.credentials(y)
	y.credentials(x)
	dead := map[netip.AddrPort]bool{}
	w.tap = func(f flight) {
		if f.to.Port() < 1000 {
			dead[f.to] = true
		}
	}
	x.do(func() {
		x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1 << 30, Addr: hostB[0]})
		for i := range 30 {
			x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: string('a' + rune(i)), Priority: uint32(i + 1),
				Addr: netip.AddrPortFrom(hostB[0].Addr(), uint16(i+1))})
		}
		x.a.Gather(w.now)
		x.a.EndOfRemoteCandidates(w.now)
	})
	w.mustJoin(x, y, time.Second)
	w.run(45*time.Second, nil) // the ones already in progress may run out
	if x.a.State() != StateCompleted || len(dead) > 5 {
		t.Errorf("%v, %d addresses tried", x.a.State(), len(dead))
	}
}
