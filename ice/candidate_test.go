package ice

import (
	"bufio"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseCandidate(t *testing.T) {
	for _, c := range []struct {
		line string
		want Candidate
	}{
		// RFC 8839 §5.1.
		{"candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
			Candidate{Foundation: "2", Component: 1, Priority: 1694498815, Addr: ap("192.0.2.3:45664"), Type: TypeServerReflexive, Related: ap("203.0.113.141:8998")}},
		{"a=candidate:1410542834 1 tcp 1518083839 192.0.2.2 9 typ host tcptype active generation 0 network-id 1\r\n",
			Candidate{Foundation: "1410542834", Component: 1, Transport: TCP, Priority: 1518083839, Addr: ap("192.0.2.2:9"), TCPType: "active",
				Extensions: []Attribute{{"generation", "0"}, {"network-id", "1"}}}},
		{"2070692838 1 udp 2130706431 192.0.2.2 47641 typ host ufrag DMnAjLEgBocuKiTU",
			Candidate{Foundation: "2070692838", Component: 1, Priority: 2130706431, Addr: ap("192.0.2.2:47641"), UsernameFragment: "DMnAjLEgBocuKiTU"}},
		{"candidate:0 2 UDP 5 fd00::2 1 typ prflx raddr ::ffff:10.0.0.1 rport 2",
			Candidate{Foundation: "0", Component: 2, Priority: 5, Addr: ap("[fd00::2]:1"), Type: TypePeerReflexive, Related: ap("10.0.0.1:2")}},
		{"candidate:a/+ 1 udp 1 ::ffff:192.0.2.9 7 typ relay raddr 0.0.0.0 rport 0",
			Candidate{Foundation: "a/+", Component: 1, Priority: 1, Addr: ap("192.0.2.9:7"), Type: TypeRelay, Related: ap("0.0.0.0:0")}},
		{"candidate:1 1 udp 4294967295 fe80::1%eth0 7 typ host",
			Candidate{Foundation: "1", Component: 1, Priority: 4294967295, Addr: ap("[fe80::1]:7")}},
		{"candidate:1 1 udp 1 a1b2c3d4-0000-4000-8000-0123456789ab.local 7 typ host",
			Candidate{Foundation: "1", Component: 1, Priority: 1, Host: "a1b2c3d4-0000-4000-8000-0123456789ab.local", Addr: netip.AddrPortFrom(netip.Addr{}, 7)}},
		{"candidate:1 1 udp 1 192.0.2.1 7 typ srflx raddr hidden.local rport 9",
			Candidate{Foundation: "1", Component: 1, Priority: 1, Addr: ap("192.0.2.1:7"), Type: TypeServerReflexive}},
	} {
		got, err := ParseCandidate(c.line)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s\n%+v, want\n%+v: %v", c.line, got, c.want, err)
			continue
		}
		again, err := ParseCandidate(got.String())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s became %s: %v", c.line, got, err)
		}
	}
}

func TestClass09_BrokenCandidatesAreRefused(t *testing.T) {
	const good = "candidate:1 1 udp 1 192.0.2.1 7 typ host"
	for _, c := range []struct {
		line string
		want error
	}{
		{"", ErrCandidate}, {"candidate:", ErrCandidate}, {"candidate:1", ErrCandidate}, {"candidate:1 1 udp 1 192.0.2.1 7", ErrCandidate},
		{"candidate:1 1 udp 1 192.0.2.1 7 typ", ErrCandidate}, {"candidate:1 1 udp 1 192.0.2.1 7 kind host", ErrCandidate},
		{strings.Replace(good, ":1 1", ": 1", 1), ErrCandidate}, {strings.Replace(good, ":1 1", ":1 0", 1), ErrCandidate},
		{strings.Replace(good, ":1 1", ":1 257", 1), ErrCandidate}, {strings.Replace(good, ":1 1", ":1 -1", 1), ErrCandidate},
		{strings.Replace(good, ":1", ":"+strings.Repeat("f", 33), 1), ErrCandidate},
		{strings.Replace(good, "udp 1", "udp 4294967296", 1), ErrCandidate}, {strings.Replace(good, "udp 1", "udp x", 1), ErrCandidate},
		{strings.Replace(good, " 7", " 65536", 1), ErrCandidate}, {strings.Replace(good, " 7", " ", 1), ErrCandidate},
		{strings.Replace(good, "192.0.2.1", "not_an!address", 1), ErrCandidate}, {strings.Replace(good, "192.0.2.1", "1::2::3", 1), ErrCandidate},
		{strings.Replace(good, "192.0.2.1", strings.Repeat("a", 254), 1), ErrCandidate},
		{strings.Replace(good, "udp", "sctp", 1), ErrUnknownTransport}, {strings.Replace(good, "host", "magic", 1), ErrUnknownType},
		{good + " name", ErrCandidate}, {good + "  double space", ErrCandidate}, {good + " raddr 1.1.1.1 rport x", ErrCandidate},
		{good + " x a\x00b", ErrCandidate}, {good + " x a\r\na=setup:active", ErrCandidate},
		{good + strings.Repeat(" name value", 100), ErrCandidateTooLong},
	} {
		if got, err := ParseCandidate(c.line); !errors.Is(err, c.want) || !reflect.DeepEqual(got, Candidate{}) {
			t.Errorf("%q: %v, %+v", c.line, err, got)
		}
	}
	if c, err := ParseCandidate(good + strings.Repeat(" n v", 40)); err != nil || len(c.Extensions) != MaxExtensions {
		t.Errorf("extensions: %d, %v", len(c.Extensions), err)
	}
}

func TestCandidatesAreReadWithoutAllocating(t *testing.T) {
	for _, line := range []string{
		"candidate:842163049 1 udp 1677729535 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998",
		"a=candidate:1 1 tcp 1 2001:db8::1 9 typ host tcptype active ufrag abcd",
		"candidate:1 1 udp 1 a1b2c3d4-0000-4000-8000-0123456789ab.local 7 typ host",
	} {
		if n := testing.AllocsPerRun(100, func() { ParseCandidate(line) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// Every candidate of the recorded offers parses.
func TestRecordedCandidatesParse(t *testing.T) {
	files, _ := filepath.Glob("../testdata/captures/*.sdp")
	n := 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			line := strings.TrimSpace(s.Text())
			if !strings.HasPrefix(line, "a=candidate:") {
				continue
			}
			n++
			c, err := ParseCandidate(line)
			if err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
			// Case of the transport and order of extensions aside, it comes back.
			if got := "a=" + c.String(); len(got) != len(line) {
				t.Errorf("%s became %s", line, got)
			}
		}
		f.Close()
	}
	if n < 20 {
		t.Errorf("only %d candidates in %d files", n, len(files))
	}
}

func TestPriorities(t *testing.T) {
	for _, c := range []struct {
		t    CandidateType
		pref uint16
		want uint32
	}{{TypeHost, 65535, 2130706431}, {TypeServerReflexive, 65535, 1694498815}, {TypePeerReflexive, 65535, 1862270975}, {TypeRelay, 65535, 16777215}, {TypeHost, 65534, 2130706175}} {
		if got := priority(c.t, c.pref); got != c.want {
			t.Errorf("%v %d: %d, want %d", c.t, c.pref, got, c.want)
		}
	}
	// RFC 8445 §6.1.2.3: 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0).
	for _, c := range []struct {
		g, d uint32
		want uint64
	}{{1, 2, 1<<32 + 4}, {2, 1, 1<<32 + 5}, {3, 3, 3<<32 + 6}, {1<<31 - 1, 1<<32 - 1, (1<<31-1)<<32 + 1<<33 - 2}} {
		if got := pairPriority(c.g, c.d); got != c.want {
			t.Errorf("%d %d: %d, want %d", c.g, c.d, got, c.want)
		}
	}
}

func TestFoundations(t *testing.T) {
	a, _ := New(Config{Hosts: []netip.AddrPort{ap("10.0.0.1:1"), ap("10.0.0.1:2"), ap("10.0.0.2:1")}})
	a.Gather(1)
	l, _ := a.Candidates()
	if len(l) != 3 || l[0].Foundation != l[1].Foundation || l[0].Foundation == l[2].Foundation {
		t.Errorf("%v", l)
	}
	if l[0].Priority <= l[1].Priority || l[1].Priority <= l[2].Priority {
		t.Error("the caller's order is not the order of preference")
	}
}

// One pair of each foundation is tried first, the others when it works, or
// when it does not answer.
func TestFreezing(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	for i, f := range []string{"x", "x", "y"} {
		a.AddRemoteCandidate(1, Candidate{Component: 1, Foundation: f, Priority: uint32(10 + i), Addr: netip.AddrPortFrom(hostB[0].Addr(), uint16(i+1))})
	}
	states := func() (s []PairState) {
		for _, pr := range a.pairs {
			s = append(s, pr.state)
		}
		return s
	}
	// The second of x has the higher priority and came later.
	if got := states(); !reflect.DeepEqual(got, []PairState{PairFrozen, PairWaiting, PairWaiting}) {
		t.Fatalf("%v", got)
	}
	a.succeeded(1, a.pairs[1], false)
	if got := states(); got[0] != PairWaiting {
		t.Fatalf("%v", got)
	}
	a.pairs[0].state, a.pairs[1].state, a.pairs[2].state = PairFrozen, PairFailed, PairInProgress
	if a.thawable() != a.pairs[0] {
		t.Error("a failed mate keeps the pair frozen")
	}
	a.pairs[1].state = PairInProgress
	if a.thawable() != nil {
		t.Error("thawed while its mate is being checked")
	}
	a.pairs[1].sends = 2
	if a.thawable() != a.pairs[0] {
		t.Error("an unanswered mate keeps the pair frozen")
	}
	a.pairs[1].state = PairSucceeded
	if pr := a.newPair(a.bases[0], a.remotes[0], false); a.initialState(pr) != PairWaiting {
		t.Error("a pair whose foundation works is frozen")
	}
}

func TestPairable(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"1.1.1.1:1", "2.2.2.2:2", true}, {"1.1.1.1:1", "[::2]:2", false}, {"[2001:db8::1]:1", "[2001:db8::2]:2", true},
		{"[fe80::1]:1", "[2001:db8::2]:2", false}, {"[fe80::1]:1", "[fe80::2]:2", true}, {"[::]:1", "[fe80::2]:2", true}} {
		if got := pairable(ap(c.a), ap(c.b)); got != c.want {
			t.Errorf("%s %s: %v", c.a, c.b, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{StateNew.String(), "new"}, {StateClosed.String(), "closed"}, {State(99).String(), "invalid"},
		{TypeRelay.String(), "relay"}, {CandidateType(9).String(), "invalid"}, {PairInProgress.String(), "in-progress"},
		{PairState(9).String(), "invalid"}, {Controlling.String(), "controlling"}, {Controlled.String(), "controlled"},
		{UDP.String(), "udp"}, {TCP.String(), "tcp"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func FuzzParseCandidate(f *testing.F) {
	f.Add("a=candidate:1410542834 1 tcp 1518083839 192.0.2.2 9 typ host tcptype active generation 0 network-id 1")
	f.Add("candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 ufrag abcd")
	f.Add("1 1 udp 1 x.local 7 typ host")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCandidate(s)
		if err != nil {
			return
		}
		line := c.String()
		again, err := ParseCandidate(line)
		if len(line) > MaxCandidateLen {
			return
		}
		if err != nil || !reflect.DeepEqual(again, c) || again.String() != line {
			t.Fatalf("%q became %q, %+v became %+v: %v", s, line, c, again, err)
		}
	})
}
