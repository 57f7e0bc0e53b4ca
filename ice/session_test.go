package ice

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	hostA  = []netip.AddrPort{ap("192.0.2.1:5000")}
	hostB  = []netip.AddrPort{ap("198.51.100.1:6000")}
	hostA6 = []netip.AddrPort{ap("192.0.2.1:5000"), ap("[2001:db8::1]:5000")}
	hostB6 = []netip.AddrPort{ap("198.51.100.1:6000"), ap("[2001:db8::2]:6000"), ap("198.51.100.9:6000")}
)

func settled(w *world, x, y *peer) {
	w.t.Helper()
	w.mustJoin(x, y, 20*time.Second)
	w.run(50*time.Second, nil)
	for i, p := range []*peer{x, y} {
		if p.a.State() != StateCompleted {
			w.t.Errorf("peer %d is %v after %v", i, p.a.State(), p.states())
		}
		if n := p.count(EventSelected); n != 1 {
			w.t.Errorf("peer %d: selected %d times", i, n)
		}
		if s := p.states(); !slices.Equal(s, []State{StateChecking, StateConnected, StateCompleted}) {
			w.t.Errorf("peer %d: states %v", i, s)
		}
		if !p.a.Validated(p.selected()) || p.a.Validated(Path{Remote: ap("203.0.113.66:1")}) {
			w.t.Errorf("peer %d: Validated", i)
		}
	}
	if x.a.Role() == y.a.Role() {
		w.t.Error("both have the same role")
	}
}

func TestTwoFullAgentsConnect(t *testing.T) {
	for _, hosts := range [][2][]netip.AddrPort{{hostA, hostB}, {hostA6, hostB6}} {
		w := newWorld(t, 1)
		x := w.peer(Config{Role: Controlling, Hosts: hosts[0]})
		y := w.peer(Config{Hosts: hosts[1]})
		start := w.now
		w.signal(x, y)
		w.mustJoin(x, y, time.Second)
		// Signalling 30 ms, a round trip of 40 ms to check, one to nominate, Ta.
		if d := w.now.Sub(start); d > 250*time.Millisecond {
			t.Errorf("took %v", d)
		}
		settled(w, x, y)
		if x.selected().Local != hosts[0][0] || x.selected().Remote != hosts[1][0] {
			t.Errorf("selected %v, not the pair of highest priority", x.selected())
		}
	}
}

func TestFullAgentConnectsToLiteAgent(t *testing.T) {
	for _, role := range []Role{Controlled, Controlling} {
		w := newWorld(t, 2)
		x := w.peer(Config{Role: role, Hosts: hostA})
		y := w.peer(Config{Lite: true, Role: Controlling, Hosts: hostB})
		if role == Controlling { // else a role conflict has to repair it
			x.a.SetRemoteLite(true)
		}
		w.signal(x, y)
		settled(w, x, y)
		for _, e := range y.events {
			if e.Kind == EventRole {
				t.Error("a lite agent changed its role")
			}
		}
		for _, p := range y.a.Stats().Pairs {
			if p.RequestsSent != 0 {
				t.Error("a lite agent sent a check")
			}
		}
		w.run(2*time.Minute, nil)
		if x.a.State() != StateCompleted || y.a.State() != StateCompleted {
			t.Errorf("after two quiet minutes: %v %v", x.a.State(), y.a.State())
		}
	}
}

func TestSetRoleOfLite(t *testing.T) {
	w := newWorld(t, 2)
	y := w.peer(Config{Lite: true, Role: Controlling})
	if y.a.SetRole(Controlling); y.a.Role() != Controlled {
		t.Error("a lite agent controls")
	}
	x := w.peer(Config{})
	x.a.SetRemoteLite(true)
	if x.a.SetRole(Controlled); x.a.Role() != Controlling {
		t.Error("a lite peer controls")
	}
	x.a.SetRemoteLite(false)
	if x.a.SetRole(Controlled); x.a.Role() != Controlled {
		t.Error("role not set")
	}
}

func TestBothWithTheSameRoleAgreeByTiebreaker(t *testing.T) {
	for _, role := range []Role{Controlling, Controlled} {
		for seed := range uint64(30) {
			w := newWorld(t, seed)
			w.jitter = 60 * time.Millisecond
			x := w.peer(Config{Role: role, Hosts: hostA6})
			y := w.peer(Config{Role: role, Hosts: hostB6})
			w.signal(x, y)
			settled(w, x, y)
			if n := x.count(EventRole) + y.count(EventRole); n != 1 {
				t.Errorf("%v, seed %d: %d role switches", role, seed, n)
			}
		}
	}
}

func TestNoRemoteCandidatesAtAll(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 3)
		x := w.peer(Config{Role: Controlling, Hosts: hostA})
		y := w.peer(Config{Hosts: hostB, Lite: lite})
		x.mute = true // y hears of x only by its checks
		w.signal(x, y)
		w.mustJoin(x, y, time.Second)
		if n := y.count(EventValidated); n != 1 {
			t.Errorf("validated %d times", n)
		}
		_, remote := y.a.Candidates()
		if len(remote) != 1 || remote[0].Type != TypePeerReflexive {
			t.Errorf("remote candidates %v", remote)
		}
		// The late candidate takes the place of the peer-reflexive one.
		c, _ := ParseCandidate("candidate:77 1 udp 2130706431 192.0.2.1 5000 typ host")
		if err := y.a.AddRemoteCandidate(w.now, c); err != nil {
			t.Fatal(err)
		}
		if _, remote = y.a.Candidates(); len(remote) != 1 || remote[0].Foundation != "77" {
			t.Errorf("remote candidates %v", remote)
		}
	}
}

func TestChecksBeforeTheCredentialsAreAnsweredAndRemembered(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 4)
		x := w.peer(Config{Role: Controlling, Hosts: hostA})
		y := w.peer(Config{Hosts: hostB, Lite: lite})
		x.other, y.other = y, x
		x.credentials(y)
		x.do(func() { x.a.Gather(w.now) })
		y.do(func() { y.a.Gather(w.now) })
		w.run(500*time.Millisecond, nil)
		if y.count(EventValidated) != 1 || !y.a.Validated(Path{Remote: hostA[0]}) {
			t.Error("an authenticated check before the answer does not validate")
		}
		if _, ok := y.a.Selected(); ok || y.a.State() != StateNew {
			t.Errorf("selected before the credentials, or %v", y.a.State())
		}
		if _, ok := x.a.Selected(); !ok {
			t.Error("checks were not answered")
		}
		y.credentials(x)
		w.mustJoin(x, y, time.Second)
		if n := y.count(EventValidated); n != 1 {
			t.Errorf("validated %d times", n)
		}
	}
}

func TestLateCandidatesAndUselessOnes(t *testing.T) {
	w := newWorld(t, 5)
	x := w.peer(Config{Role: Controlling, Hosts: hostA})
	y := w.peer(Config{Hosts: hostB})
	x.mute, y.mute = true, true
	w.signal(x, y)
	for _, line := range []string{
		"candidate:1 1 udp 2122260223 5b3ef0c6-aaaa-bbbb-cccc-0123456789ab.local 54321 typ host",
		"candidate:2 1 tcp 1518280447 198.51.100.1 9 typ host tcptype active",
		"candidate:3 2 udp 2122260222 198.51.100.1 6000 typ host",
		"candidate:4 1 udp 2122260222 203.0.113.200 6000 typ host", // nobody there
	} {
		c, err := ParseCandidate(line)
		if err != nil {
			t.Fatal(err)
		}
		x.do(func() { err = x.a.AddRemoteCandidate(w.now, c) })
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n := x.a.Stats().Drops.CandidatesIgnored; n != 3 {
		t.Errorf("%d ignored", n)
	}
	w.run(10*time.Second, nil)
	if x.a.State() != StateChecking {
		t.Errorf("state %v", x.a.State())
	}
	c, _ := ParseCandidate("candidate:5 1 udp 2122260222 198.51.100.1 6000 typ host")
	x.do(func() { x.a.AddRemoteCandidate(w.now, c) })
	w.mustJoin(x, y, time.Second)
}

func TestNoPathLeadsToFailed(t *testing.T) {
	for _, c := range []struct {
		name string
		lite bool
		end  bool
		some bool // a candidate that leads nowhere
	}{{"end of candidates", false, true, true}, {"no end told", false, false, true},
		{"nothing at all", false, false, false}, {"lite", true, true, true}} {
		w := newWorld(t, 6)
		x := w.peer(Config{Hosts: hostA, Lite: c.lite, FailedTimeout: 20 * time.Second, MaxRequests: 4})
		x.do(func() {
			x.a.Gather(w.now)
			x.a.SetRemoteCredentials(w.now, "abcd", "0123456789012345678901")
			if c.some {
				x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Addr: ap("203.0.113.1:1"), Foundation: "1", Priority: 1})
			}
			if c.end {
				x.a.EndOfRemoteCandidates(w.now)
			}
		})
		start := w.now
		if !w.run(time.Minute, func() bool { return x.a.State() == StateFailed }) {
			t.Fatalf("%s: %v", c.name, x.a.State())
		}
		if d := w.now.Sub(start); d != 20*time.Second {
			t.Errorf("%s: failed after %v", c.name, d)
		}
		if x.a.Timeout() != 0 {
			t.Errorf("%s: a failed agent wants a timer", c.name)
		}
		// Only a restart helps, and it does.
		y := w.peer(Config{Hosts: hostB, Role: Controlling})
		x.do(func() {
			if err := x.a.Restart(w.now, "", ""); err != nil {
				t.Fatal(err)
			}
		})
		if x.a.State() != StateChecking {
			t.Errorf("%s: %v after a restart", c.name, x.a.State())
		}
		w.signal(x, y)
		w.mustJoin(x, y, 2*time.Second)
	}
}

func TestLossOfTwentyPercent(t *testing.T) {
	worst := time.Duration(0)
	for seed := range uint64(150) {
		w := newWorld(t, 1000+seed)
		w.loss, w.jitter = 0.2, 80*time.Millisecond
		x := w.peer(Config{Role: Controlling, Hosts: hostA6})
		y := w.peer(Config{Hosts: hostB6, Lite: seed%3 == 0})
		start := w.now
		w.signal(x, y)
		w.mustJoin(x, y, 20*time.Second)
		worst = max(worst, w.now.Sub(start))
		// A call of ten minutes survives it, and ends on one path.
		w.run(10*time.Minute, nil)
		for i, p := range []*peer{x, y} {
			if s := p.a.State(); s != StateCompleted && s != StateDisconnected {
				t.Errorf("seed %d: peer %d is %v: %v", seed, i, s, p.states())
			}
		}
		w.loss = 0
		w.run(30*time.Second, nil)
		if !joined(x, y)() || x.a.State() != StateCompleted || y.a.State() != StateCompleted {
			t.Errorf("seed %d: %v %v, %v %v", seed, x.a.State(), x.selected(), y.a.State(), y.selected())
		}
	}
	t.Logf("slowest of 150: %v", worst)
}

func TestServerReflexiveThroughNATs(t *testing.T) {
	server := ap("203.0.113.53:3478")
	w := newWorld(t, 7)
	w.servers[server] = true
	w.loss = 0
	// Private addresses do not cross the internet.
	w.blocked = func(from, to netip.AddrPort) bool { return to.Addr().IsPrivate() }
	x := w.peer(Config{Role: Controlling, Hosts: []netip.AddrPort{ap("10.0.0.2:5000")}, STUNServers: []netip.AddrPort{server, ap("[2001:db8::53]:3478")}})
	y := w.peer(Config{Hosts: []netip.AddrPort{ap("10.0.0.2:6000")}, STUNServers: []netip.AddrPort{server}})
	x.nat, y.nat = newNAT("192.0.2.77", false), newNAT("198.51.100.77", false)
	w.signal(x, y)
	settled(w, x, y)
	local, _ := x.a.Candidates()
	i := slices.IndexFunc(local, func(c Candidate) bool { return c.Type == TypeServerReflexive })
	if i < 0 || local[i].Addr != ap("192.0.2.77:40001") || local[i].Related != ap("10.0.0.2:5000") {
		t.Errorf("local candidates %v", local)
	}
	if x.count(EventGatheringDone) != 1 || x.count(EventCandidate) != 2 {
		t.Errorf("%d done, %d candidates", x.count(EventGatheringDone), x.count(EventCandidate))
	}
}

func TestSTUNServerThatIsSlowOrSilent(t *testing.T) {
	server := ap("203.0.113.53:3478")
	for _, answers := range []bool{true, false} {
		w := newWorld(t, 8)
		lost := 2
		w.blocked = func(_, to netip.AddrPort) bool {
			if to == server && lost > 0 && answers {
				lost--
				return true
			}
			return false
		}
		w.servers[server] = answers
		x := w.peer(Config{Hosts: []netip.AddrPort{ap("10.0.0.2:5000")}, STUNServers: []netip.AddrPort{server}})
		x.nat = newNAT("192.0.2.77", false)
		start := w.now
		x.do(func() { x.a.Gather(w.now); x.a.Gather(w.now) })
		if !w.run(10*time.Second, func() bool { return x.count(EventGatheringDone) == 1 }) {
			t.Fatal("gathering never ends")
		}
		d, want := w.now.Sub(start), 5*time.Second
		if answers { // 500 ms, 1 s, and the round trip
			want = 1540 * time.Millisecond
		}
		if d != want || (x.count(EventCandidate) == 2) != answers {
			t.Errorf("answers %v: done after %v, %d candidates", answers, d, x.count(EventCandidate))
		}
		// The mapping is kept alive, and a new one is told.
		if answers {
			x.nat.rebind()
			w.run(16*time.Second, nil)
			if x.count(EventCandidate) != 3 {
				t.Error("a new mapping is not told")
			}
		}
		// An answer from elsewhere is none.
		x.a.Close()
		if x.a.Timeout() != 0 {
			t.Error("a closed agent wants a timer")
		}
	}
}

func TestAnnouncedAddressReplacesTheHostCandidate(t *testing.T) {
	for _, host := range []string{"10.0.0.5:5000", "0.0.0.0:5000"} {
		w := newWorld(t, 9)
		w.blocked = func(_, to netip.AddrPort) bool { return to.Addr().IsPrivate() }
		x := w.peer(Config{Hosts: []netip.AddrPort{ap(host)}, Announced: []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.200")}})
		x.addrs = []netip.AddrPort{ap("10.0.0.5:5000")}
		x.nat = newNAT("192.0.2.200", true)
		x.nat.mapped(ap("10.0.0.5:5000"))
		if host == "0.0.0.0:5000" { // the kernel picks the source address
			x.nat.out[ap(host)] = ap("192.0.2.200:5000")
		}
		y := w.peer(Config{Role: Controlling, Hosts: hostB})
		w.signal(x, y)
		w.mustJoin(x, y, time.Second)
		local, _ := x.a.Candidates()
		if len(local) != 1 || local[0].Addr != ap("192.0.2.200:5000") || local[0].Type != TypeHost || local[0].Related.IsValid() {
			t.Errorf("local candidates %v", local)
		}
	}
}

func TestUnknownLocalAddressesBecomeBases(t *testing.T) {
	w := newWorld(t, 10)
	x := w.peer(Config{Role: Controlling, Hosts: hostA})
	y := w.peer(Config{}) // no host at all: learned from the packets
	y.addrs = hostB
	y.mute = true
	w.signal(x, y)
	x.do(func() {
		x.a.AddRemoteCandidate(w.now, Candidate{Foundation: "1", Component: 1, Priority: 9, Addr: hostB[0]})
	})
	w.mustJoin(x, y, time.Second)
	if local, _ := y.a.Candidates(); len(local) != 0 && local[0].Type == TypeHost {
		t.Errorf("a learned base was signalled: %v", local)
	}
	// A known port on another address is the base of that port.
	z := w.peer(Config{Hosts: []netip.AddrPort{ap("10.0.0.1:1"), ap("10.0.0.1:7000"), ap("[::1]:7000")}})
	for _, c := range []struct {
		local string
		want  int
	}{{"192.0.2.99:7000", 1}, {"10.0.0.1:1", 0}, {"192.0.2.99:8", 0}, {"[::2]:9", 2}} {
		if b := z.a.baseFor(ap(c.local), ap("1.1.1.1:1")); b != z.a.bases[c.want] {
			t.Errorf("%s came in by %v", c.local, b.addr)
		}
	}
	if b := z.a.baseFor(netip.AddrPort{}, ap("[::9]:1")); b != z.a.bases[2] {
		t.Errorf("no local address came in by %v", b.addr)
	}
}

func TestHostAddedLater(t *testing.T) {
	w := newWorld(t, 11)
	x := w.peer(Config{Role: Controlling, Hosts: []netip.AddrPort{ap("10.9.9.9:5000")}})
	y := w.peer(Config{Hosts: hostB})
	w.blocked = func(from, to netip.AddrPort) bool { return from.Addr().IsPrivate() || to.Addr().IsPrivate() }
	w.signal(x, y)
	w.run(5*time.Second, nil)
	if _, ok := x.a.Selected(); ok {
		t.Fatal("selected over a dead interface")
	}
	x.addrs = append(x.addrs, hostA[0])
	x.do(func() {
		if err := x.a.AddHost(w.now, hostA[0]); err != nil {
			t.Fatal(err)
		}
		if err := x.a.AddHost(w.now, hostA[0]); err != nil {
			t.Fatal(err)
		}
	})
	w.mustJoin(x, y, 2*time.Second)
	if x.count(EventCandidate) != 2 || x.count(EventGatheringDone) != 2 {
		t.Errorf("%d candidates, %d done", x.count(EventCandidate), x.count(EventGatheringDone))
	}
}

func TestManySeedsManyShapes(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(t, 5000+seed)
		w.loss = 0.05
		w.jitter = time.Duration(seed%7) * 30 * time.Millisecond
		pick := func(n uint64) bool { return w.rng.Uint64N(n) == 0 }
		x := w.peer(Config{Role: Role(w.rng.Uint64N(2)), Hosts: hostA6, Ta: 5 * time.Millisecond})
		y := w.peer(Config{Role: Role(w.rng.Uint64N(2)), Hosts: hostB6, Lite: pick(4)})
		x.mute = pick(3)
		dead := pick(3)
		w.blocked = func(from, to netip.AddrPort) bool { // IPv4 does not work
			return dead && from.Addr().Is4()
		}
		if pick(3) {
			x.nat = nil
		}
		w.signal(x, y)
		w.mustJoin(x, y, 60*time.Second)
		w.run(time.Minute, nil)
		if !joined(x, y)() {
			t.Errorf("seed %d fell apart: %v", seed, fmt.Sprint(x.states(), y.states()))
		}
	}
}
