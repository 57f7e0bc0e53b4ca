package ice

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// A peer which knows the password can still not make us grow without bound.
func TestClass37_AuthenticFloodIsBounded(t *testing.T) {
	for _, lite := range []bool{false, true} {
		for _, known := range []bool{false, true} {
			w := newWorld(t, 48)
			y := w.peer(Config{Lite: lite, Hosts: hostB6, Ta: 5 * time.Millisecond})
			z := newPuppet(w, y, hostA)
			if known {
				z.hello()
				z.check(hostA[0], hostB[0], true, nil)
				w.run(time.Second, nil)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			w.tap = nil
			for i := range 5000 {
				m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{1, byte(i), byte(i >> 8)})
				ufrag, _ := y.a.LocalCredentials()
				m.Username(ufrag + ":pppp")
				m.ICEControlling(1)
				m.Priority(rng.Uint32())
				if i%3 == 0 {
					m.UseCandidate()
				}
				m.Integrity(z.theirs)
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i), 1}), uint16(1+i))
				to := hostB6[i%2*2]
				if y.a.HandlePacket(w.now, m.Bytes(), Path{Local: to, Remote: from}) != nil {
					t.Fatal("authentic request refused")
				}
				if i%100 == 0 {
					w.now = w.now.Add(time.Second / 2)
					y.a.HandleTimeout(w.now)
				}
			}
			a := y.a
			if len(a.remotes) > MaxRemoteCandidates || len(a.pairs) > MaxPairs || len(a.triggered) > MaxPairs ||
				len(a.txs) > MaxTransactions || len(a.early) > MaxEarly || len(a.events)-a.eventHead > MaxEvents ||
				len(a.out)-a.outHead > MaxQueue || len(a.bases) > MaxHosts || len(a.locals) > MaxLocalCandidates {
				t.Errorf("lite %v, known %v: %+v", lite, known, retain(a))
			}
			if d := a.drops; d.Queue == 0 || (d.Early == 0) == !known {
				t.Errorf("lite %v, known %v: drops %+v", lite, known, d)
			}
		}
	}
}

func TestUsersAndSignallingAreBoundedToo(t *testing.T) {
	w := newWorld(t, 49)
	x := w.peer(Config{Hosts: hostA})
	var err error
	for i := 0; err == nil; i++ {
		if i > MaxRemoteCandidates {
			t.Fatal("no limit")
		}
		err = x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: uint32(i), Addr: netip.AddrPortFrom(hostB[0].Addr(), uint16(i+1))})
	}
	if err != ErrTooMany || len(x.a.remotes) != MaxRemoteCandidates {
		t.Errorf("%v, %d", err, len(x.a.remotes))
	}
	err = nil
	for i := 0; err == nil; i++ {
		if i > MaxHosts {
			t.Fatal("no limit")
		}
		err = x.a.AddHost(w.now, netip.AddrPortFrom(hostA[0].Addr(), uint16(i+1)))
	}
	if err != ErrTooMany || len(x.a.pairs) > MaxPairs {
		t.Errorf("%v, %d pairs", err, len(x.a.pairs))
	}
	for _, c := range []struct {
		addr string
		want error
	}{{"0.0.0.0:1", ErrAddress}, {"1.1.1.1:0", ErrAddress}, {"224.0.0.1:1", ErrAddress}, {"[ff02::1]:1", ErrAddress},
		{"255.255.255.255:9", ErrAddress}, {"[::ffff:0.0.0.0]:9", ErrAddress}, {"[::]:9", ErrAddress}} {
		if err := x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Addr: ap(c.addr)}); err != c.want {
			t.Errorf("%s: %v", c.addr, err)
		}
	}
}

func TestConfigAndCredentials(t *testing.T) {
	a, err := New(Config{UfragPrefix: "s3/"})
	if err != nil {
		t.Fatal(err)
	}
	ufrag, pwd := a.LocalCredentials()
	if len(ufrag) != 3+ufragRandom || ufrag[:3] != "s3/" || len(pwd) != pwdRandom || !iceChars(ufrag+pwd) {
		t.Errorf("%d and %d characters", len(ufrag), len(pwd))
	}
	b, _ := New(Config{})
	if u, p := b.LocalCredentials(); u == ufrag || p == pwd {
		t.Error("two agents share credentials")
	}
	long := string(make([]byte, 300))
	good := Config{}
	for name, change := range map[string]func(*Config){
		"short ufrag": func(c *Config) { c.LocalUfrag = "abc" }, "bad ufrag": func(c *Config) { c.LocalUfrag = "ab:cd" },
		"short pwd": func(c *Config) { c.LocalPwd = "short" }, "prefix": func(c *Config) { c.UfragPrefix = "a b" },
		"long prefix": func(c *Config) { c.UfragPrefix = long }, "Ta": func(c *Config) { c.Ta = time.Millisecond },
		"consent": func(c *Config) { c.ConsentInterval = time.Second }, "requests": func(c *Config) { c.MaxRequests = -1 },
		"role": func(c *Config) { c.Role = 7 }, "host": func(c *Config) { c.Hosts = []netip.AddrPort{{}} },
		"hosts":   func(c *Config) { c.Hosts = make([]netip.AddrPort, MaxHosts+1) },
		"servers": func(c *Config) { c.STUNServers = make([]netip.AddrPort, MaxSTUNServers+1) },
		"server":  func(c *Config) { c.STUNServers = make([]netip.AddrPort, 1) },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, c := range []struct {
		ufrag, pwd string
		want       error
	}{{"abc", "0123456789012345678901", ErrCredentials}, {"abcd", "short", ErrCredentials},
		{"ab:d", "0123456789012345678901", ErrCredentials}, {long, "0123456789012345678901", ErrCredentials},
		{"ab-d", "0123456789012345678901", nil}, {"ab-d", "0123456789012345678901", nil},
		{"abcd", "0123456789012345678901", ErrNeedsRestart}} {
		if err := a.SetRemoteCredentials(1, c.ufrag, c.pwd); err != c.want {
			t.Errorf("%q: %v", c.ufrag, err)
		}
	}
	if a.RemoteUfrag() != "ab-d" {
		t.Error(a.RemoteUfrag())
	}
	if err := a.AddRemoteCandidate(1, Candidate{Component: 1, UsernameFragment: "zzzz", Addr: hostA[0]}); err != ErrStale {
		t.Error(err)
	}
}

// A source of randomness that fails must not make transactions predictable.
func TestFailingRandomnessIsReplaced(t *testing.T) {
	a, err := New(Config{Rand: brokenRand{}})
	if err != nil {
		t.Fatal(err)
	}
	if x, y := a.newTransactionID(), a.newTransactionID(); x == y || x == (stun.TransactionID{}) {
		t.Errorf("%x %x", x, y)
	}
	if u, _ := a.LocalCredentials(); u == "AAAAAAAA" {
		t.Error(u)
	}
}

type brokenRand struct{}

func (brokenRand) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestEarlyCandidatesOfOtherCredentialsAreForgotten(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	a.AddRemoteCandidate(1, Candidate{Component: 1, UsernameFragment: "olde", Addr: hostB[0]})
	a.AddRemoteCandidate(1, Candidate{Component: 1, UsernameFragment: "newe", Addr: ap("198.51.100.2:1")})
	a.AddRemoteCandidate(1, Candidate{Component: 1, Addr: ap("198.51.100.3:1")})
	a.SetRemoteCredentials(1, "newe", "0123456789012345678901")
	if _, r := a.Candidates(); len(r) != 2 || len(a.pairs) != 2 {
		t.Errorf("%v", r)
	}
}

func TestLocalUfragOfRawRequests(t *testing.T) {
	build := func(typ stun.Type, user string) []byte {
		m := stun.Begin(nil, typ, stun.TransactionID{})
		if user != "" {
			m.Username(user)
		}
		m.Fingerprint()
		return m.Bytes()
	}
	for _, c := range []struct {
		b    []byte
		want string
		ok   bool
	}{
		{build(stun.BindingRequest, "ours:theirs"), "ours", true},
		{build(stun.BindingRequest, "ours:the:irs"), "ours", true},
		{build(stun.BindingRequest, "ours"), "", false}, {build(stun.BindingRequest, ":theirs"), "", false},
		{build(stun.BindingRequest, ""), "", false}, {build(stun.BindingSuccess, "ours:theirs"), "", false},
		{nil, "", false}, {[]byte("rubbish rubbish rubbish"), "", false},
	} {
		if got, ok := LocalUfrag(c.b); string(got) != c.want || ok != c.ok {
			t.Errorf("%q %v, want %q", got, ok, c.want)
		}
	}
	b := build(stun.BindingRequest, "ours:theirs")
	if n := testing.AllocsPerRun(100, func() { LocalUfrag(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An established session answers consent checks, and takes the answers to its
// own, without allocating.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	w, x, y := pairUp(t, 50, Config{}, Config{})
	reqs := make([][]byte, 300)
	for i := range reqs { // a distinct transaction each
		m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{7, byte(i), byte(i >> 8)})
		m.Username(x.a.gen.username)
		m.ICEControlling(1)
		m.Priority(1)
		m.Integrity(x.a.gen.remoteKey)
		m.Fingerprint()
		reqs[i] = m.Bytes()
	}
	p := Path{Local: hostB[0], Remote: hostA[0]}
	i := 0
	if n := testing.AllocsPerRun(200, func() {
		if err := y.a.HandlePacket(w.now, reqs[i], p); err != nil {
			panic(err)
		}
		i++
		if n, _ := y.a.Transmit(w.now, y.buf[:]); n == 0 {
			panic("no answer")
		}
		y.a.Transmit(w.now, y.buf[:])
		y.a.Event()
		y.a.Timeout()
	}); n != 0 {
		t.Errorf("a consent check: %v allocations", n)
	}
	forged := answer(nil, stun.TransactionID{1}, true)
	if n := testing.AllocsPerRun(200, func() { y.a.HandlePacket(w.now, forged, p) }); n != 0 {
		t.Errorf("a stray answer: %v allocations", n)
	}
}

func TestTransmitIntoShortBuffersDropsAndGoesOn(t *testing.T) {
	w := newWorld(t, 51)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	for range 3 {
		y.a.HandlePacket(w.now, z.request(false, nil), Path{Local: hostB[0], Remote: hostA[0]})
	}
	if n, _ := y.a.Transmit(w.now, make([]byte, 40)); n != 0 || y.a.Stats().Drops.Queue != 3 {
		t.Errorf("%d bytes, %+v", n, y.a.Stats().Drops)
	}
}

func TestEventsAreMergedNotLost(t *testing.T) {
	a, _ := New(Config{})
	for range MaxEvents {
		a.emit(Event{Kind: EventCandidate})
	}
	a.emit(Event{Kind: EventState, State: StateChecking})
	if a.drops.Events != 1 {
		t.Error("beyond the limit, and nothing to merge with")
	}
	a.Event()
	a.emit(Event{Kind: EventState, State: StateChecking})
	a.emit(Event{Kind: EventState, State: StateFailed})
	var last Event
	n := 0
	for e, ok := a.Event(); ok; e, ok = a.Event() {
		last = e
		n++
	}
	if n != MaxEvents || !reflect.DeepEqual(last, Event{Kind: EventState, State: StateFailed}) {
		t.Errorf("%d events, the last %+v", n, last)
	}
}

func TestFullTransactionTableGivesUpSupersededOnesFirst(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	a.AddRemoteCandidate(1, Candidate{Component: 1, Foundation: "1", Addr: hostB[0]})
	pr := a.pairs[0]
	for range MaxTransactions {
		if a.begin(1, txCheck, pr, pr.path()) == nil {
			t.Fatal("full too early")
		}
	}
	if a.begin(1, txCheck, pr, pr.path()) != nil || a.drops.Queue != 1 {
		t.Error("beyond the limit")
	}
	pr.nominating = true
	a.check(1, pr)
	if len(a.txs) != MaxTransactions || pr.state != PairInProgress {
		t.Errorf("%d, %v: supersede makes room", len(a.txs), pr.state)
	}
}

func TestFullCheckListKeepsTheHighest(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	for i := range MaxPairs {
		a.newPair(a.bases[0], &remote{addr: hostB[0], cand: Candidate{Priority: uint32(100 + i)}}, false)
	}
	low := &remote{addr: hostB[0], cand: Candidate{Priority: 1}}
	if a.newPair(a.bases[0], low, false) != nil || a.drops.Pairs != 1 {
		t.Error("a lower pair got in")
	}
	for _, pr := range a.pairs {
		pr.state = PairSucceeded
	}
	a.selected = a.pairs[0]
	if a.newPair(a.bases[0], low, false) != nil {
		t.Error("a working pair made room for a guess")
	}
	if a.newPair(a.bases[0], low, true) == nil || len(a.pairs) != MaxPairs || a.pairs[0] != a.selected {
		t.Error("no room for a pair which the peer uses, or the selected one is gone")
	}
}

func TestCheckRTOGrowsWithTheList(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	for i := range 20 {
		a.newPair(a.bases[0], &remote{cand: Candidate{Priority: uint32(i)}}, false).state = PairWaiting
	}
	if got := a.checkRTO(); got != 20*50*time.Millisecond { // RFC 8445 §14.3
		t.Errorf("%v", got)
	}
	a.pairs = a.pairs[:3]
	if got := a.checkRTO(); got != 500*time.Millisecond {
		t.Errorf("%v", got)
	}
}

func TestConsentAnswerEndsOlderRequests(t *testing.T) {
	a, _ := New(Config{Hosts: hostA})
	a.AddRemoteCandidate(1, Candidate{Component: 1, Foundation: "1", Addr: hostB[0]})
	pr := a.pairs[0]
	for i := range 3 {
		a.begin(1, txConsent, pr, pr.path()).sent = mono.Time(10 * i)
	}
	newest := a.txs[2]
	a.consentGiven(a.txs[1])
	if len(a.txs) != 1 || a.txs[0] != newest {
		t.Errorf("%d requests left", len(a.txs))
	}
}
