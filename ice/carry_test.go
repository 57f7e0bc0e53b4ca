package ice

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/stun"
)

// dtlsOf makes a datagram that looks like DTLS.
func dtlsOf(n int, what string) []byte {
	b := bytes.Repeat([]byte{0x16}, n)
	copy(b[1:], what)
	return b
}

// flightOf makes count of them.
func flightOf(count, n int, what string) (list [][]byte) {
	for i := range count {
		list = append(list, dtlsOf(n, fmt.Sprint(what, i)))
	}
	return list
}

// carriedTo is what the checks have brought p, sorted.
func carriedTo(p *peer) (list []string) {
	for _, e := range p.events {
		if e.Kind == EventCarried {
			list = append(list, string(e.Data))
		}
	}
	slices.Sort(list)
	return list
}

func texts(flight [][]byte) (list []string) {
	for _, b := range flight {
		list = append(list, string(b))
	}
	slices.Sort(list)
	return list
}

// attributesOf are those of a message.
func attributesOf(b []byte) (list []stun.Attr) {
	m, _ := stun.Parse(b)
	m.All(func(t stun.Attr, _ []byte) bool {
		list = append(list, t)
		return true
	})
	return list
}

// Both say something before anything is known of the path; a lite agent says it
// in its answers.
func TestFlightsAreCarriedBothWays(t *testing.T) {
	for _, lite := range []bool{false, true} {
		for _, count := range []int{1, 2, 3, MaxCarryFlight} {
			w := newWorld(t, 1)
			x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
			y := w.peer(Config{Hosts: hostB, Lite: lite, Carry: true})
			x.a.SetRemoteLite(lite)
			there, back := flightOf(count, 900, "there"), flightOf(count, 900, "back")
			x.a.Carry(w.now, there, false)
			y.a.Carry(w.now, back, false)
			w.signal(x, y)
			want, wantBack := texts(there), texts(back)
			if !w.run(10*time.Second, func() bool {
				return slices.Equal(carriedTo(y), want) && (slices.Equal(carriedTo(x), wantBack) || count > 1)
			}) {
				t.Fatalf("lite %v: %d and %d of %d came; %+v", lite, len(carriedTo(y)), len(carriedTo(x)), count, x.a.CarryStats())
			}
			w.run(2*time.Second, nil)
			if s := x.a.CarryStats(); s.Acknowledged != uint64(count) || s.State != CarryAgreed || len(x.a.Carried(w.now)) != 0 {
				t.Errorf("lite %v: %+v", lite, s)
			}
			if got := carriedTo(x); len(got)+len(y.a.Carried(w.now)) < count {
				t.Errorf("lite %v: %d came back, %d are left of %d", lite, len(got), len(y.a.Carried(w.now)), count)
			}
		}
	}
}

// The whole flight leaves in the instant of the first check.
func TestLongFlightGoesInChecksOfItsOwn(t *testing.T) {
	w := newWorld(t, 2)
	x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
	y := w.peer(Config{Hosts: hostB, Carry: true})
	said := flightOf(4, 1000, "f")
	x.a.Carry(w.now, said, false)
	first, last := time.Duration(0), time.Duration(0)
	start := w.now
	w.tap = func(f flight) {
		m, err := stun.Parse(f.b)
		if v, _ := m.Get(attrCarried); err == nil && f.from == hostA[0] && len(v) > 0 {
			if first == 0 {
				first = w.now.Sub(start)
			}
			last = w.now.Sub(start)
		}
		if len(f.b) > MaxCarryPacket {
			t.Errorf("%d bytes", len(f.b))
		}
	}
	w.signal(x, y)
	if !w.run(time.Second, func() bool { return len(carriedTo(y)) == 4 }) {
		t.Fatal("it did not come")
	}
	if first != last || x.a.CarryStats().Sent != 4 {
		t.Errorf("the first left after %v, the last after %v; %+v", first, last, x.a.CarryStats())
	}
}

// A path of the owner's own ends the need for more checks.
func TestOwnersOwnPathSavesChecks(t *testing.T) {
	w := newWorld(t, 3)
	x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
	y := w.peer(Config{Hosts: hostB, Carry: true})
	w.signal(x, y)
	w.mustJoin(x, y, time.Second)
	before := x.a.Stats().Pairs[0].RequestsSent
	x.do(func() { x.a.Carry(w.now, flightOf(4, 900, "direct"), true) })
	w.run(100*time.Millisecond, nil)
	if n := x.a.Stats().Pairs[0].RequestsSent; n != before || x.a.CarryStats().Sent != 0 {
		t.Errorf("%d checks, %d before, %+v", n, before, x.a.CarryStats())
	}
	// What nobody acknowledges goes with the checks that there are.
	w.run(30*time.Second, nil)
	if len(carriedTo(y)) == 0 || x.a.CarryStats().Acknowledged == 0 {
		t.Errorf("%+v", x.a.CarryStats())
	}
	// What came directly is acknowledged.
	direct := dtlsOf(100, "last")
	if !y.a.HeardDirectly(direct) || y.a.HeardDirectly(direct) || !y.a.HeardDirectly([]byte("no DTLS")) {
		t.Error("HeardDirectly")
	}
	x.do(func() { x.a.Carry(w.now, [][]byte{direct}, true) })
	w.run(10*time.Second, nil)
	if len(x.a.Carried(w.now)) != 0 {
		t.Error("not acknowledged")
	}
}

func TestCarryingEndsWithTheLastAcknowledgement(t *testing.T) {
	for _, keep := range []bool{false, true} {
		w := newWorld(t, 4)
		x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
		y := w.peer(Config{Hosts: hostB, Carry: true})
		last := flightOf(1, 300, "last")
		x.a.Carry(w.now, last, false)
		x.a.EndCarry(w.now, keep)
		w.signal(x, y)
		w.run(time.Second, nil)
		if got := len(carriedTo(y)) == 1; got != keep {
			t.Errorf("keep %v: came %v", keep, got)
		}
		if x.a.Carrying() || !keep && y.a.CarryStats().State != CarryOff {
			t.Errorf("keep %v: %v and %v", keep, x.a.CarryStats().State, y.a.CarryStats().State)
		}
		y.a.EndCarry(w.now, false)
		w.tap = func(f flight) {
			if a := attributesOf(f.b); slices.Contains(a, attrCarried) || slices.Contains(a, attrCarriedAck) {
				t.Errorf("keep %v: a check of after the end has %x", keep, a)
			}
		}
		w.run(30*time.Second, nil)
		for _, p := range []*peer{x, y} {
			if s := p.a.CarryStats().State; s != CarryDone && s != CarryOff {
				t.Errorf("keep %v: %v", keep, s)
			}
		}
		x.a.Carry(w.now, flightOf(1, 10, "late"), false)
		if len(x.a.Carried(w.now)) != 0 {
			t.Error("carries on")
		}
	}
}

// The last flight is not carried for ever either.
func TestUnacknowledgedLastFlightIsGivenUp(t *testing.T) {
	w := newWorld(t, 5)
	x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
	x.a.Carry(w.now, flightOf(1, 300, "last"), false)
	x.a.EndCarry(w.now, true)
	if next := x.a.Timeout(); next != w.now.Add(endingCarry) {
		t.Errorf("the timeout is %v from now", next.Sub(w.now))
	}
	w.run(endingCarry+time.Second, nil)
	if x.a.CarryStats().State != CarryDone || len(x.a.Carried(w.now)) != 0 {
		t.Errorf("%+v", x.a.CarryStats())
	}
}

// One message without the attributes is enough, be it a check or an answer; what
// was to be carried is there for the owner.
func TestPeerWithoutCarryingIsKnownByItsFirstMessage(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w := newWorld(t, 6)
		x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
		y := w.peer(Config{Hosts: hostB, Lite: lite})
		x.a.SetRemoteLite(lite)
		said := flightOf(2, 900, "hello")
		x.a.Carry(w.now, said, false)
		w.signal(x, y)
		w.run(time.Second, func() bool {
			return x.count(EventUsable) > 0 || len(x.events) > 0 && x.a.CarryStats().State == CarryOff
		})
		if x.a.Carrying() || !slices.Equal(texts(x.a.Carried(w.now)), texts(said)) || len(x.a.Carried(w.now)) != 0 {
			t.Errorf("lite %v: %+v", lite, x.a.CarryStats())
		}
		w.tap = func(f flight) {
			if slices.Contains(attributesOf(f.b), attrCarried) {
				t.Errorf("lite %v: still carries", lite)
			}
		}
		w.mustJoin(x, y, time.Second)
		w.run(20*time.Second, nil)
		if len(y.errs) != 0 {
			t.Errorf("the peer says %v", y.errs)
		}
	}
}

// Off, or refused by descriptions, not a byte differs from what was there before.
func TestWithoutCarryingNotAByteDiffers(t *testing.T) {
	transcript := func(configured, lite bool) (all []byte) {
		w := newWorld(t, 7)
		x := w.peer(Config{Role: Controlling, Hosts: hostA6, Carry: configured})
		y := w.peer(Config{Hosts: hostB6, Lite: lite, Carry: configured})
		x.a.SetRemoteLite(lite)
		for _, p := range []*peer{x, y} {
			p.a.StopCarry()
			p.a.Carry(w.now, flightOf(1, 100, "x"), false)
			p.a.EndCarry(w.now, true)
		}
		w.loss = 0.1
		w.tap = func(f flight) {
			all = append(append(all, f.b...), fmt.Sprint(f.from, f.to, f.at)...)
			for _, at := range attributesOf(f.b) {
				if at >= 0xc000 {
					t.Errorf("attribute %x", at)
				}
			}
			if len(f.b) > MaxPacket {
				t.Errorf("%d bytes", len(f.b))
			}
		}
		w.signal(x, y)
		w.run(time.Minute, nil)
		return all
	}
	for _, lite := range []bool{false, true} {
		if a, b := transcript(false, lite), transcript(true, lite); !bytes.Equal(a, b) || len(a) == 0 {
			t.Errorf("lite %v: %d bytes and %d", lite, len(a), len(b))
		}
	}
}

// A restart takes the flight along, to checks with the new credentials; what comes
// with the old ones is no longer listened to.
func TestRestartCarriesOn(t *testing.T) {
	w := newWorld(t, 8)
	x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
	y := w.peer(Config{Hosts: hostB, Carry: true})
	w.blocked = func(from, _ netip.AddrPort) bool { return from == hostA[0] }
	said := flightOf(2, 700, "f")
	x.a.Carry(w.now, said, false)
	w.signal(x, y)
	w.run(time.Second, nil)
	if len(carriedTo(y)) != 0 {
		t.Fatal("came through a wall")
	}
	w.blocked = nil
	for _, p := range []*peer{x, y} {
		if err := p.a.Restart(w.now, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.signal(x, y)
	w.mustJoin(x, y, 2*time.Second)
	if !slices.Equal(carriedTo(y), texts(said)) {
		t.Errorf("%d came", len(carriedTo(y)))
	}
	z := newPuppet(w, y, hostA)
	z.ufrag, z.pwd = "", ""
	old := y.a.prev
	m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{9})
	m.Username(old.localUfrag + ":" + old.remoteUfrag)
	m.ICEControlling(9)
	m.Priority(1)
	m.Raw(attrCarried, dtlsOf(50, "old"))
	m.Integrity(old.localKey)
	if err := z.inject(hostA[0], hostB[0], m.Bytes()); err != nil {
		t.Error(err)
	}
	if n := len(carriedTo(y)); n != 2 {
		t.Errorf("%d came", n)
	}
}

// The longest datagram leaves room for the longest names and every attribute.
func TestCarryMTULeavesRoomForAllElse(t *testing.T) {
	for _, n := range []int{4, 5, 22, 128} {
		w := newWorld(t, 9)
		x := w.peer(Config{Role: Controlling, Hosts: hostA6[1:], Carry: true, LocalUfrag: strings.Repeat("u", n)})
		y := w.peer(Config{Hosts: hostB6[1:2], Carry: true, LocalUfrag: strings.Repeat("v", n)})
		if before := x.a.CarryMTU(); before < 600 {
			t.Errorf("%d bytes before the peer's name is known", before)
		}
		x.credentials(y)
		y.credentials(x)
		for _, p := range []*peer{x, y} {
			for i := range maxHeard {
				p.a.HeardDirectly(dtlsOf(20, fmt.Sprint(i)))
			}
			p.a.Carry(w.now, [][]byte{dtlsOf(p.a.CarryMTU(), "longest"+fmt.Sprint(n))}, false)
		}
		longest := 0
		w.tap = func(f flight) { longest = max(longest, len(f.b)) }
		w.signal(x, y)
		w.mustJoin(x, y, 2*time.Second)
		if len(carriedTo(x))+len(carriedTo(y)) == 0 || longest > MaxCarryPacket || longest < MaxCarryPacket-64 {
			t.Errorf("names of %d: the longest message has %d bytes, MTU %d", n, longest, x.a.CarryMTU())
		}
	}
}

// A buffer without room for it gets a check all the same.
func TestSmallBufferCarriesNothing(t *testing.T) {
	w := newWorld(t, 10)
	x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
	y := w.peer(Config{Hosts: hostB})
	x.credentials(y)
	x.a.Carry(w.now, flightOf(1, 900, "f"), false)
	if err := x.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Addr: hostB[0]}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, MaxPacket)
	n, _ := x.a.Transmit(w.now, b)
	m, err := stun.Parse(b[:n])
	v, ok := m.Get(attrCarried)
	if err != nil || !ok || len(v) != 0 || x.a.Stats().Drops.Queue != 0 {
		t.Errorf("%d bytes, %v, %d carried", n, err, len(v))
	}
}

// Whoever does not carry pays nothing for those who do; and who has done so, no
// more than before.
func TestCarryingCostsNoAllocations(t *testing.T) {
	cost := func(carry, done bool) float64 {
		w := newWorld(t, 11)
		x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: carry})
		y := w.peer(Config{Hosts: hostB, Carry: carry})
		w.signal(x, y)
		w.mustJoin(x, y, time.Second)
		if done {
			x.a.EndCarry(w.now, false)
			y.a.EndCarry(w.now, false)
			w.run(30*time.Second, nil)
		}
		z := newPuppet(w, y, hostA)
		ufrag, pwd := x.a.LocalCredentials()
		z.ufrag, z.pwd = ufrag, pwd
		b := z.request(true, nil)
		path := Path{Local: hostB[0], Remote: hostA[0]}
		return testing.AllocsPerRun(200, func() {
			if err := y.a.HandlePacket(w.now, b, path); err != nil {
				t.Fatal(err)
			}
			for n, _ := y.a.Transmit(w.now, y.buf[:]); n > 0; n, _ = y.a.Transmit(w.now, y.buf[:]) {
			}
		})
	}
	if off, done, on := cost(false, false), cost(true, true), cost(true, false); done != off || on != off {
		t.Errorf("a check costs %v allocations without, %v while and %v after carrying", off, on, done)
	}
}

func ackList(crcs ...uint32) (b []byte) {
	for _, c := range crcs {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	return b
}

// FuzzCarried: whatever an authentic check or answer has in the attributes, the
// owner gets DTLS or nothing, once; what leaves is well formed and acknowledges
// it.
func FuzzCarried(f *testing.F) {
	f.Add([]byte{0x16, 1, 2}, []byte{1, 2, 3, 4}, true)
	f.Add([]byte{}, []byte{}, false)
	f.Add([]byte{0x80}, []byte{1}, true)
	f.Add(dtlsOf(1000, "x"), ackList(crc32.ChecksumIEEE(dtlsOf(100, "f0")), 1, 2, 3, 4, 5), false)
	f.Fuzz(func(t *testing.T, data, acks []byte, early bool) {
		if len(data)+len(acks) > 1500 {
			return
		}
		w := newWorld(t, 12)
		y := w.peer(Config{Hosts: hostB, Carry: true})
		z := newPuppet(w, y, hostA)
		if !early {
			z.hello()
		}
		w.tap = nil
		y.a.Carry(w.now, flightOf(2, 100, "f"), false)
		for range 2 {
			if err := z.check(hostA[0], hostB[0], false, func(m *stun.Builder) {
				m.Raw(attrCarried, data)
				m.Raw(attrCarriedAck, acks)
			}); err != nil {
				t.Fatal(err)
			}
		}
		want := 0
		if isDTLS(data) {
			want = 1
		}
		got := carriedTo(y)
		if len(got) != want || want == 1 && got[0] != string(data) {
			t.Fatalf("%d came of %x", len(got), data)
		}
		if (want == 1) != slices.Contains(y.a.carry.heard, crc32.ChecksumIEEE(data)) {
			t.Fatal("the wrong is acknowledged")
		}
		if len(acks)%4 != 0 && len(y.a.carry.pending) != 2 {
			t.Fatal("a list of a wrong length was taken")
		}
		for _, fl := range w.queue {
			if m, err := stun.Parse(fl.b); err != nil || len(fl.b) > MaxCarryPacket {
				t.Fatalf("%d bytes, %v", len(fl.b), err)
			} else if v, ok := m.Get(attrCarriedAck); !ok || len(v) > 4*maxAcks {
				t.Fatalf("acknowledges %x", v)
			}
		}
	})
}

// Where nobody answers, a flight of several datagrams is not repeated for ever:
// what MaxBlind allows, then checks at their own pace, until ICE gives up.
func TestSilenceIsNotFlooded(t *testing.T) {
	for _, size := range []int{1000, MaxCarryPacket} { // the latter never fits
		w := newWorld(t, 13)
		x := w.peer(Config{Role: Controlling, Hosts: hostA, Carry: true})
		y := w.peer(Config{Hosts: hostB, Carry: true})
		requests := uint64(0)
		w.blocked = func(from, _ netip.AddrPort) bool {
			if from == hostA[0] {
				requests++
			}
			return true
		}
		x.a.Carry(w.now, flightOf(3, size, "f"), false)
		w.signal(x, y)
		w.run(time.Minute, nil)
		sent := x.a.CarryStats().Sent
		if x.a.State() != StateFailed || int(sent)*size > MaxBlind || requests > sent+10 || requests < 7 || size == MaxCarryPacket && sent != 0 {
			t.Errorf("datagrams of %d: %v, %d checks, of which %d carried", size, x.a.State(), requests, sent)
		}
	}
}
