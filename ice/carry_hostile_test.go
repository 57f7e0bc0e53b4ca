package ice

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/stun"
)

// hostileAgent is an agent with a flight of two to be carried, and a puppet.
func hostileAgent(t *testing.T, cfg Config) (*world, *peer, *puppet) {
	w := newWorld(t, 20)
	cfg.Hosts, cfg.Carry = hostB, true
	y := w.peer(cfg)
	z := newPuppet(w, y, hostA)
	z.hello()
	w.tap = nil
	y.do(func() { y.a.Carry(w.now, flightOf(2, 500, "f"), false) })
	return w, y, z
}

func TestMalformedCarriedAttributes(t *testing.T) {
	ours := crc32.ChecksumIEEE(dtlsOf(500, "f0"))
	for name, c := range map[string]struct {
		data, acks []byte
		came, left int
		malformed  uint64
	}{
		"empty":                {nil, nil, 0, 2, 0},
		"one byte":             {[]byte{22}, nil, 1, 2, 0},
		"STUN":                 {[]byte{1, 2, 3, 4}, nil, 0, 2, 1},
		"SRTP":                 {bytes.Repeat([]byte{0x80}, 100), nil, 0, 2, 1},
		"below DTLS":           {[]byte{19, 1}, nil, 0, 2, 1},
		"above DTLS":           {[]byte{64, 1}, nil, 0, 2, 1},
		"longest":              {dtlsOf(1800, "l"), nil, 1, 2, 0},
		"half an ack":          {nil, ackList(ours)[:2], 0, 2, 1},
		"an ack and a half":    {nil, append(ackList(ours), 1, 2), 0, 2, 1},
		"ack":                  {nil, ackList(ours), 0, 1, 0},
		"the same twice":       {nil, ackList(ours, ours), 0, 1, 0},
		"foreign acks":         {nil, ackList(1, 2, 3, ours), 0, 1, 0},
		"a huge list":          {nil, append(bytes.Repeat([]byte{7}, 4*maxAcksRead), ackList(ours)...), 0, 2, 0},
		"a huge list of zeros": {nil, make([]byte, 1600), 0, 2, 0},
	} {
		w, y, z := hostileAgent(t, Config{})
		if err := z.check(hostA[0], hostB[0], false, func(m *stun.Builder) {
			m.Raw(attrCarried, c.data)
			m.Raw(attrCarriedAck, c.acks)
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if came, s := len(carriedTo(y)), y.a.CarryStats(); came != c.came || s.Malformed != c.malformed || len(y.a.Carried(w.now)) != c.left {
			t.Errorf("%s: %d came, %d left, %+v", name, came, len(y.a.Carried(w.now)), s)
		}
	}
}

// Only what MESSAGE-INTEGRITY covers counts, and only of a message that an
// answer or a check should be.
func TestClass32_CarriedWithoutIntegrityIsNothing(t *testing.T) {
	w, y, z := hostileAgent(t, Config{})
	nothing := func(name string) {
		t.Helper()
		if n, s := len(carriedTo(y)), y.a.CarryStats(); n != 0 || s.State != CarryOffered || s.Acknowledged != 0 || s.Malformed != 0 || len(y.a.carry.heard) != 0 {
			t.Errorf("%s: %d came, %+v", name, n, s)
		}
	}
	evilData := dtlsOf(200, "evil")
	acks := ackList(crc32.ChecksumIEEE(dtlsOf(500, "f0")), crc32.ChecksumIEEE(dtlsOf(500, "f1")))
	ufrag, _ := y.a.LocalCredentials()
	build := func(typ stun.Type, id stun.TransactionID, key *stun.Key, behind bool) []byte {
		m := stun.Begin(nil, typ, id)
		m.Username(ufrag + ":" + z.ufrag)
		m.ICEControlling(1)
		m.Priority(1)
		add := func() {
			m.Raw(attrCarried, evilData)
			m.Raw(attrCarriedAck, acks)
		}
		if !behind {
			add()
		}
		if key != nil {
			m.Integrity(key)
		}
		if behind {
			add()
		}
		m.Fingerprint()
		return m.Bytes()
	}
	wrong := stun.NewKey([]byte("wrongwrongwrongwrongwrong"))
	z.inject(evil, hostB[0], build(stun.BindingRequest, stun.TransactionID{1}, nil, false))
	nothing("no integrity")
	z.inject(evil, hostB[0], build(stun.BindingRequest, stun.TransactionID{2}, wrong, false))
	nothing("wrong integrity")
	z.inject(evil, hostB[0], build(stun.BindingIndication, stun.TransactionID{3}, z.theirs, false))
	nothing("indication")
	z.inject(evil, hostB[0], build(stun.BindingSuccess, stun.TransactionID{4}, z.theirs, false))
	nothing("answer to nothing")
	// A check of ours, answered from elsewhere or without the password.
	y.do(func() { y.a.AddRemoteCandidate(w.now, Candidate{Component: 1, Addr: hostA[0], Priority: 1}) })
	if len(y.a.txs) == 0 {
		t.Fatal("no check")
	}
	id := y.a.txs[0].id
	z.inject(hostA[0], hostB[0], build(stun.BindingSuccess, id, wrong, false))
	nothing("answer, wrong integrity")
	z.inject(evil, hostB[0], build(stun.BindingSuccess, id, z.key, false))
	nothing("answer from elsewhere")
	// Behind MESSAGE-INTEGRITY an attribute does not exist: this peer does not carry.
	if err := z.inject(hostA[0], hostB[0], build(stun.BindingRequest, stun.TransactionID{5}, z.theirs, true)); err != nil {
		t.Error(err)
	}
	if n, s := len(carriedTo(y)), y.a.CarryStats(); n != 0 || s.State != CarryOff {
		t.Errorf("behind integrity: %d came, %+v", n, s)
	}
}

// The twin: the same attributes, signed, are believed.
func TestClass32_CarriedWithIntegrityIsTaken(t *testing.T) {
	_, y, z := hostileAgent(t, Config{})
	if err := z.check(hostA[0], hostB[0], false, func(m *stun.Builder) {
		m.Raw(attrCarried, dtlsOf(200, "good"))
		m.Raw(attrCarriedAck, ackList(crc32.ChecksumIEEE(dtlsOf(500, "f0"))))
	}); err != nil {
		t.Error(err)
	}
	if s := y.a.CarryStats(); len(carriedTo(y)) != 1 || s.State != CarryAgreed || s.Acknowledged != 1 {
		t.Errorf("%+v", s)
	}
}

// A peer that knows the password, and writes other people's addresses on its
// checks, gets no more sent there than it sends itself, times three, and what
// a few checks are.
func TestClass31_CarryingIsNoAmplifier(t *testing.T) {
	for _, lite := range []bool{false, true} {
		w, y, z := hostileAgent(t, Config{Lite: lite, Ta: 5 * time.Millisecond})
		received, carried, longest := 0, 0, 0
		w.tap = func(f flight) {
			m, err := stun.Parse(f.b)
			if v, _ := m.Get(attrCarried); err == nil {
				carried += len(v)
			}
			longest = max(longest, len(f.b))
		}
		for i := range 2000 {
			y.do(func() { y.a.Carry(w.now, flightOf(2, 1000, fmt.Sprint("flight", i)), false) })
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 99)
			m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{1, byte(i >> 8), byte(i)})
			ufrag, _ := y.a.LocalCredentials()
			m.Username(ufrag + ":" + z.ufrag)
			m.ICEControlling(1)
			m.Priority(1)
			m.Raw(attrCarried, nil)
			m.Integrity(z.theirs)
			received += len(m.Bytes())
			if err := z.inject(from, hostB[0], m.Bytes()); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				w.now = w.now.Add(100 * time.Millisecond)
				y.do(func() { y.a.HandleTimeout(w.now) })
			}
		}
		if carried > 3*received+MaxBlind || longest > MaxCarryPacket || y.a.CarryStats().Withheld == 0 {
			t.Errorf("lite %v: %d bytes carried for %d received, the longest message %d, %+v", lite, carried, received, longest, y.a.CarryStats())
		}
		if y.a.carry.blind < 0 || y.a.carry.blind > MaxBlind {
			t.Errorf("lite %v: %d left", lite, y.a.carry.blind)
		}
	}
}

// The twin: who shows that it receives there is sent all there is.
func TestClass31_WhoReceivesIsCarriedEverything(t *testing.T) {
	w, y, z := hostileAgent(t, Config{Lite: true})
	for i := range 100 {
		flight := flightOf(1, 1000, fmt.Sprint("flight", i))
		y.do(func() { y.a.Carry(w.now, flight, false) })
		sent := y.a.CarryStats().Sent
		z.check(hostA[0], hostB[0], false, func(m *stun.Builder) { m.Raw(attrCarried, nil) })
		if y.a.CarryStats().Sent != sent+1 {
			t.Fatalf("flight %d stayed here: %+v", i, y.a.CarryStats())
		}
		z.check(hostA[0], hostB[0], false, func(m *stun.Builder) {
			m.Raw(attrCarriedAck, ackList(crc32.ChecksumIEEE(flight[0])))
		})
	}
}

// A check that was captured and is sent from elsewhere leads nowhere.
func TestClass31_ReplayedCheckCarriesNothing(t *testing.T) {
	w, y, z := hostileAgent(t, Config{})
	b := z.request(false, func(m *stun.Builder) { m.Raw(attrCarried, dtlsOf(100, "captured")) })
	if err := z.inject(hostA[0], hostB[0], b); err != nil {
		t.Fatal(err)
	}
	sent, came := 0, len(carriedTo(y))
	w.tap = func(flight) { sent++ }
	if err := z.inject(evil, hostB[0], b); err != ErrReplay {
		t.Error(err)
	}
	if sent != 0 || len(carriedTo(y)) != came {
		t.Errorf("%d messages left", sent)
	}
	// From where it came before it is answered again, and delivered once.
	if err := z.inject(hostA[0], hostB[0], b); err != nil || sent != 1 || len(carriedTo(y)) != came {
		t.Errorf("%v, %d messages, %d came", err, sent, len(carriedTo(y))-came)
	}
}

// Nobody makes the agent keep more than a few datagrams, even if its owner sleeps.
func TestClass37_CarriedFloodIsBounded(t *testing.T) {
	w, y, z := hostileAgent(t, Config{})
	ufrag, _ := y.a.LocalCredentials()
	for i := range 3000 {
		m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{2, byte(i >> 8), byte(i)})
		m.Username(ufrag + ":" + z.ufrag)
		m.ICEControlling(1)
		m.Priority(1)
		m.Raw(attrCarried, dtlsOf(1500, fmt.Sprint(i)))
		m.Integrity(z.theirs)
		if err := y.a.HandlePacket(w.now, m.Bytes(), Path{Local: hostB[0], Remote: hostA[0]}); err != nil {
			t.Fatal(err)
		}
	}
	a := y.a
	if n := len(a.events) - a.eventHead; n > MaxEvents || len(a.carry.heard) > maxHeard || a.drops.Events == 0 {
		t.Errorf("%d events, %d heard, %+v", n, len(a.carry.heard), a.drops)
	}
	queued := uint64(0)
	for _, e := range a.events[a.eventHead:] {
		if e.Kind == EventCarried {
			queued++
		}
	}
	if s := a.CarryStats(); s.Received != queued || crc32.ChecksumIEEE(dtlsOf(1500, "2999")) == a.carry.heard[len(a.carry.heard)-1] {
		t.Errorf("%d are acknowledged, %d are there", s.Received, queued)
	}
	many := make([][]byte, 1000)
	for i := range many {
		many[i] = dtlsOf(100, fmt.Sprint(i))
	}
	a.Carry(w.now, many, false)
	a.Carry(w.now, append([][]byte{nil, []byte("no DTLS"), dtlsOf(5000, "long")}, many...), false)
	if n := len(a.carry.pending); n != MaxCarryFlight {
		t.Errorf("%d are carried", n)
	}
	if len(a.txs) > MaxTransactions || len(a.out)-a.outHead > MaxQueue {
		t.Errorf("%+v", retain(a))
	}
}

// A peer that has ended carries no more, which says that it has our last flight.
func TestPeerThatHasEndedEndsUs(t *testing.T) {
	w, y, z := hostileAgent(t, Config{})
	z.check(hostA[0], hostB[0], false, func(m *stun.Builder) { m.Raw(attrCarried, nil) })
	y.a.EndCarry(w.now, true)
	if s := y.a.CarryStats().State; s != CarryEnding || len(y.a.Carried(w.now)) != 2 {
		t.Fatal(s)
	}
	z.check(hostA[0], hostB[0], false, nil)
	if s := y.a.CarryStats().State; s != CarryDone || len(y.a.Carried(w.now)) != 0 {
		t.Errorf("%v, %d are carried on", s, len(y.a.Carried(w.now)))
	}
}

// An answer to a check that carried nothing says nothing: the peer may still wait
// for an acknowledgement of its last flight, and gets it.
func TestAnswerWithoutNeedEndsNothing(t *testing.T) {
	w, y, z := hostileAgent(t, Config{})
	w.tap = func(f flight) { z.receive(f) }
	z.check(hostA[0], hostB[0], true, func(m *stun.Builder) { m.Raw(attrCarried, nil) })
	w.run(time.Second, nil)
	if _, ok := y.a.Selected(); !ok {
		t.Fatal("nothing is selected")
	}
	y.a.EndCarry(w.now, false)
	asked := y.a.Stats().Pairs[0].ResponsesReceived
	w.run(endingCarry-time.Second, nil)
	if y.a.Stats().Pairs[0].ResponsesReceived == asked || y.a.CarryStats().State != CarryEnding {
		t.Errorf("%v, %d answers", y.a.CarryStats().State, y.a.Stats().Pairs[0].ResponsesReceived-asked)
	}
	last := dtlsOf(200, "last")
	sent := w.serial
	z.check(hostA[0], hostB[0], false, func(m *stun.Builder) { m.Raw(attrCarried, last) })
	answered := false
	for _, f := range w.queue {
		m, err := stun.Parse(f.b)
		if v, _ := m.Get(attrCarriedAck); err == nil && f.serial > sent && bytes.Equal(v, ackList(crc32.ChecksumIEEE(last))) {
			answered = true
		}
	}
	if !answered {
		t.Error("the peer's last flight is not acknowledged")
	}
}
