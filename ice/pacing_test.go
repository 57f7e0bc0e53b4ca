package ice

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// tell gives x what y has signalled, at once.
func (x *peer) tell(y *peer) {
	x.w.t.Helper()
	x.a.SetRemoteLite(y.a.cfg.Lite)
	x.credentials(y)
	local, _ := y.a.Candidates()
	for _, c := range local {
		if y.mute || c.Type == TypePeerReflexive {
			continue
		}
		x.do(func() {
			if err := x.a.AddRemoteCandidate(x.w.now, c); err != nil {
				x.w.t.Fatal(err)
			}
		})
	}
	x.do(func() { x.a.EndOfRemoteCandidates(x.w.now) })
}

// gathered begins gathering at both ends.
func (w *world) gathered(ps ...*peer) {
	for _, p := range ps {
		p.do(func() { p.a.Gather(w.now) })
	}
}

func TestNothingWaitsForTheClockOnAFastLink(t *testing.T) {
	for _, c := range []struct {
		name         string
		x, y         Config
		lost, silent bool // y's checks before x knows it; x signals no candidate
	}{
		{name: "plain", x: Config{Hosts: hostA}, y: Config{Hosts: hostB}},
		{name: "first check lost", x: Config{Hosts: hostA}, y: Config{Hosts: hostB}, lost: true},
		{name: "two families, three addresses", x: Config{Hosts: hostA6}, y: Config{Hosts: hostB6}},
		{name: "three addresses, first checks lost", x: Config{Hosts: hostA6}, y: Config{Hosts: hostB6}, lost: true},
		{name: "peer-reflexive", x: Config{Hosts: hostA}, y: Config{Hosts: hostB}, silent: true},
		{name: "lite answers", x: Config{Hosts: hostA6}, y: Config{Hosts: hostB6, Lite: true}},
		{name: "lite offers", x: Config{Hosts: hostA, Lite: true}, y: Config{Hosts: hostB}},
		{name: "both control", x: Config{Hosts: hostA}, y: Config{Hosts: hostB, Role: Controlling}},
		{name: "both control, first check lost", x: Config{Hosts: hostA}, y: Config{Hosts: hostB, Role: Controlling}, lost: true},
		{name: "the answering side controls", x: Config{Hosts: hostA, Role: Controlled}, y: Config{Hosts: hostB6, Role: Controlling}},
		{name: "nobody controls", x: Config{Hosts: hostA, Role: Controlled}, y: Config{Hosts: hostB}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 60)
			w.delay = 0
			if c.name[0] != 'n' && c.name != "the answering side controls" {
				c.x.Role = Controlling
			}
			x, y := w.peer(c.x), w.peer(c.y)
			x.mute = c.silent
			knows := false
			w.blocked = func(from, to netip.AddrPort) bool { return c.lost && !knows }
			w.gathered(x, y)
			y.tell(x)
			w.run(time.Microsecond, nil)
			knows = true
			start := w.now
			x.tell(y)
			w.mustJoin(x, y, time.Millisecond)
			if d := w.now.Sub(start); d != 0 {
				t.Errorf("took %v", d)
			}
			settled(w, x, y)
		})
	}
}

// at runs until an event of kind k has come, and gives the time since start.
func (p *peer) at(start mono.Time, k EventKind) time.Duration {
	p.w.t.Helper()
	if !p.w.run(10*time.Second, func() bool { return p.count(k) > 0 }) {
		p.w.t.Fatalf("no event %d", k)
	}
	return p.w.now.Sub(start)
}

// The answer arrives at 0; half a round trip is 50 ms. The first usable pair,
// on which DTLS may begin, costs one round trip, the selected one two.
func TestRoundTripsToASelectedPair(t *testing.T) {
	type times struct{ yUsable, xUsable, ySelected, xSelected int }
	for _, c := range []struct {
		name   string
		lite   bool
		lost   bool
		useful times // ms
	}{
		{"plain", false, false, times{50, 100, 150, 200}},
		{"the answering side's checks come too early", false, true, times{150, 100, 150, 200}},
		{"lite", true, false, times{50, 100, 150, 200}},
	} {
		w := newWorld(t, 61)
		w.delay = 50 * time.Millisecond
		x, y := w.peer(Config{Hosts: hostA6, Role: Controlling}), w.peer(Config{Hosts: hostB6, Lite: c.lite})
		knows := false
		w.blocked = func(from, to netip.AddrPort) bool { return c.lost && !knows }
		w.gathered(x, y)
		y.tell(x)
		w.run(50*time.Millisecond, nil) // the answer is on its way
		knows = true
		start := w.now
		x.tell(y)
		var got times
		ms := func(d time.Duration) int { return int(d / time.Millisecond) }
		if c.useful.yUsable < c.useful.xUsable {
			got.yUsable, got.xUsable = ms(y.at(start, EventUsable)), ms(x.at(start, EventUsable))
		} else {
			got.xUsable, got.yUsable = ms(x.at(start, EventUsable)), ms(y.at(start, EventUsable))
		}
		got.ySelected, got.xSelected = ms(y.at(start, EventSelected)), ms(x.at(start, EventSelected))
		if got != c.useful {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.useful)
		}
	}
}

// notes makes the network keep what the puppet is sent, unanswered.
func (z *puppet) notes() *[]stun.Message {
	var got []stun.Message
	z.w.tap = func(f flight) {
		m, err := stun.Parse(f.b)
		if err != nil {
			z.w.t.Fatal(err)
		}
		got = append(got, m)
	}
	return &got
}

func requests(ms []stun.Message) (n int) {
	for _, m := range ms {
		if m.Type() == stun.BindingRequest {
			n++
		}
	}
	return n
}

func TestFirstCheckWasLost(t *testing.T) {
	w := newWorld(t, 62)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	got := z.notes()
	y.do(func() {
		y.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1, Addr: hostA[0]})
	})
	if requests(*got) != 1 || y.a.pairs[0].state != PairInProgress {
		t.Fatalf("%d checks", requests(*got))
	}
	*got = nil
	z.check(hostA[0], hostB[0], false, nil)
	if len(*got) != 2 || (*got)[0].Type() != stun.BindingSuccess || (*got)[1].Type() != stun.BindingRequest {
		t.Fatalf("not an answer and a check at once: %d messages", len(*got))
	}
	// Repeated, because our answer was lost: the answer alone again.
	*got = nil
	again := z.request(false, nil)
	z.inject(hostA[0], hostB[0], again)
	z.inject(hostA[0], hostB[0], again)
	if len(*got) != 3 || requests(*got) != 1 {
		t.Errorf("%d messages, %d requests", len(*got), requests(*got))
	}
}

// A peer may nominate when a check of ours follows the answer to its own.
func TestPairThatWorksIsCheckedOnceMoreForThePeer(t *testing.T) {
	w := newWorld(t, 63)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	y.do(func() {
		y.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1, Addr: hostA[0]})
	})
	w.run(time.Second, nil)
	if y.a.pairs[0].state != PairSucceeded {
		t.Fatal(y.a.pairs[0].state)
	}
	for i, want := range []int{1, 0, 0} {
		got := z.notes()
		z.check(hostA[0], hostB[0], false, nil)
		if n := requests(*got); n != want || len(*got) != want+1 {
			t.Errorf("request %d: %d messages, %d requests", i, len(*got), n)
		}
	}
	z.check(hostA[0], hostB[0], true, nil)
	if _, ok := y.a.Selected(); !ok {
		t.Error("not selected")
	}
}

func TestGuessesArePaced(t *testing.T) {
	w := newWorld(t, 64)
	x := w.peer(Config{Hosts: hostA, Role: Controlling})
	z := newPuppet(w, x, nil)
	z.hello()
	type sent struct {
		at mono.Time
		id stun.TransactionID
	}
	var first []sent
	seen := map[stun.TransactionID]bool{}
	w.tap = func(f flight) {
		if id := idOf(f.b); !seen[id] {
			seen[id] = true
			first = append(first, sent{w.now, id})
		}
	}
	start := w.now
	x.do(func() {
		for i := range 20 {
			x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: fmt.Sprint(i), Priority: uint32(i), Addr: netip.AddrPortFrom(hostB[0].Addr(), uint16(1000+i))})
		}
	})
	w.run(10*time.Second, nil)
	if len(first) != 20 {
		t.Fatalf("%d checks", len(first))
	}
	for i, s := range first {
		want := time.Duration(max(0, i-burstNew+1)) * 50 * time.Millisecond
		if d := s.at.Sub(start); d != want {
			t.Errorf("check %d after %v, want %v", i, d, want)
		}
	}
}

// Class 31: what a request makes us send is bounded: nothing if nobody signed
// it; else one answer and one check, and of checks 12 at once and one each Ta.
func TestClass31_ChecksForRequestsAreBounded(t *testing.T) {
	w := newWorld(t, 65)
	y := w.peer(Config{Hosts: hostB})
	z := newPuppet(w, y, hostA)
	z.hello()
	got := z.notes()
	for range 1000 {
		b := z.request(false, nil)
		b[len(b)-20] ^= 1 // of the integrity
		if z.inject(hostA[0], hostB[0], b) == nil {
			t.Fatal("taken")
		}
	}
	if len(*got) != 0 {
		t.Errorf("%d messages for requests that nobody signed", len(*got))
	}
	n := 0
	request := func(from netip.AddrPort) {
		n++
		m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{9, byte(n), byte(n >> 8)})
		ufrag, _ := y.a.LocalCredentials()
		m.Username(ufrag + ":" + z.ufrag)
		m.ICEControlling(1)
		m.Priority(1)
		m.Integrity(z.theirs)
		if err := z.inject(from, hostB[0], m.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		request(netip.AddrPortFrom(hostA[0].Addr(), uint16(1000+i)))
	}
	if c := requests(*got); len(*got)-c != 100 || c != burstTriggered {
		t.Errorf("100 requests: %d answers, %d checks", len(*got)-c, c)
	}
	// A flood from one address, which answers nothing.
	w.run(20*time.Second, nil)
	start := w.now
	old := map[stun.TransactionID]bool{}
	for _, m := range *got {
		old[m.TransactionID()] = true
	}
	*got, n = nil, 1000
	for w.now.Sub(start) < 10*time.Second {
		request(hostA[0])
		w.run(5*time.Millisecond, nil)
	}
	fresh := map[stun.TransactionID]bool{}
	for _, m := range *got {
		if m.Type() == stun.BindingRequest && !old[m.TransactionID()] {
			fresh[m.TransactionID()] = true
		}
	}
	if limit := burstTriggered + int(w.now.Sub(start)/y.a.cfg.Ta); len(fresh) > limit || len(fresh) < limit/2 || len(*got) > 2*(n-1000) {
		t.Errorf("%d requests: %d messages, %d checks, not %d", n-1000, len(*got), len(fresh), limit)
	}
}

// A peer that answers each check with a role conflict is not asked again at
// the rate of its answers.
func TestClass32_RoleConflictsWithoutEndArePaced(t *testing.T) {
	w := newWorld(t, 66)
	w.delay = 0
	x := w.peer(Config{Hosts: hostA, Role: Controlling})
	z := newPuppet(w, x, hostB)
	z.hello()
	asked := 0
	w.tap = func(f flight) {
		m, _ := stun.Parse(f.b)
		if m.Type() != stun.BindingRequest {
			return
		}
		asked++
		r := stun.Begin(nil, stun.BindingError, m.TransactionID())
		r.ErrorCode(stun.CodeRoleConflict, "")
		r.Integrity(z.key)
		w.later(0, func() { z.inject(f.to, f.from, r.Bytes()) })
	}
	x.do(func() {
		x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1, Addr: hostB[0]})
	})
	w.run(10*time.Second, nil)
	if limit := 16 + int(10*time.Second/x.a.cfg.Ta); asked > limit || asked < 20 {
		t.Errorf("%d checks, not at most %d", asked, limit)
	}
}

func TestRoundTripIsFromSendingToArrival(t *testing.T) {
	for _, c := range []struct{ left, arrived, handled, want time.Duration }{
		{0, 0, 0, minRTT}, {10, 7, 20, minRTT}, // one turn; clocks that differ
		{300 * time.Microsecond, 900 * time.Microsecond, 5 * time.Millisecond, 600 * time.Microsecond},
	} {
		w := newWorld(t, 67)
		x := w.peer(Config{Hosts: hostA, Role: Controlling})
		z := newPuppet(w, x, hostB)
		x.a.SetRemoteCredentials(w.now, z.ufrag, z.pwd)
		x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1, Addr: hostB[0]})
		n, _ := x.a.Transmit(w.now.Add(c.left), x.buf[:])
		r := stun.Begin(nil, stun.BindingSuccess, idOf(x.buf[:n]))
		r.XORMappedAddress(hostA[0])
		r.Integrity(z.key)
		if err := x.a.HandlePacketAt(w.now.Add(c.handled), w.now.Add(c.arrived), r.Bytes(), Path{Local: hostA[0], Remote: hostB[0]}); err != nil {
			t.Fatal(err)
		}
		if p := x.a.Stats().Pairs[0]; p.CurrentRTT != c.want || p.RTTSamples != 1 {
			t.Errorf("%+v: %v", c, p.CurrentRTT)
		}
	}
}

func TestFailedTimeoutIsKeptThoughChecksAreUnanswered(t *testing.T) {
	for _, late := range []time.Duration{0, 2 * time.Second} {
		w := newWorld(t, 68)
		x := w.peer(Config{Hosts: hostA, FailedTimeout: 3 * time.Second})
		z := newPuppet(w, x, nil)
		start := w.now
		z.hello()
		add := func(port uint16) {
			x.do(func() {
				x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Foundation: "1", Priority: 1, Addr: netip.AddrPortFrom(hostB[0].Addr(), port)})
			})
		}
		add(1)
		if late > 0 {
			w.later(late, func() { add(2) })
		}
		if !w.run(time.Minute, func() bool { return x.a.State() == StateFailed }) || w.now.Sub(start) != 3*time.Second+late {
			t.Errorf("candidate after %v: %v after %v", late, x.a.State(), w.now.Sub(start))
		}
	}
}
