package sctp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

// from makes both ends begin with the given TSN.
func (p *pair) from(tsn uint32) *pair {
	for _, a := range p.a {
		a.tsn = tsn
		a.tx.window.start(tsn)
	}
	return p
}

func TestClass40_TSNWrap(t *testing.T) {
	for seed := range uint64(20) {
		ab, ba := both(seed, netem.Config{Loss: .1, Reorder: .1, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond})
		p := newPair(t, Config{}, ab, ba).from(0xffffffff - uint32(seed*5)).connect()
		exchange(p, seed)
		if p.a[0].rx.cum > 1<<30 {
			t.Fatal("did not wrap")
		}
	}
}

func TestClass40_SSNWrap(t *testing.T) {
	ab, ba := both(1, netem.Config{Delay: time.Millisecond})
	p := newPair(t, Config{}, ab, ba).connect()
	const total = 70000
	for n := 0; n < total; {
		for range 2000 {
			p.write(0, 1, body(n, 4), SendOptions{})
			n++
		}
		if !p.Run(time.Minute, func() bool { return len(p.got[1]) == n }) {
			t.Fatalf("stopped at %d of %d", len(p.got[1]), n)
		}
	}
	for n, e := range p.got[1] {
		if int(binary.BigEndian.Uint32(e.Data)) != n {
			t.Fatalf("%d at %d", binary.BigEndian.Uint32(e.Data), n)
		}
	}
}

func TestPartialReliabilityKeepsItsPromises(t *testing.T) {
	cases := map[string]struct {
		cfg netem.Config
		opt SendOptions
	}{
		"no retransmission":            {netem.Config{Loss: .2, Delay: 20 * time.Millisecond}, SendOptions{Reliability: Rexmit}},
		"no retransmission, unordered": {netem.Config{Loss: .2, Delay: 20 * time.Millisecond}, SendOptions{Reliability: Rexmit, Unordered: true}},
		"two retransmissions":          {netem.Config{Loss: .2, Reorder: .1, Delay: 20 * time.Millisecond}, SendOptions{Reliability: Rexmit, Value: 2}},
		"100 ms":                       {netem.Config{Loss: .2, Delay: 20 * time.Millisecond}, SendOptions{Reliability: Timed, Value: 100}},
		"100 ms, narrow":               {netem.Config{Rate: 1e6, Delay: 20 * time.Millisecond, Queue: 1 << 20}, SendOptions{Reliability: Timed, Value: 100}},
		"0 ms, unordered":              {netem.Config{Loss: .1, Duplicate: .1, Delay: 20 * time.Millisecond}, SendOptions{Reliability: Timed, Unordered: true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(15) {
				ab, ba := both(seed, c.cfg)
				p := newPair(t, Config{MaxInitRetransmits: 50}, ab, ba).connect()
				partial(p, seed, c.opt)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// partial sends 150 partially reliable messages on two streams, and reliable
// ones on a third which must all arrive.
func partial(p *pair, seed uint64, opt SendOptions) {
	const each = 150
	copies := map[uint32]int{} // TSN of partially reliable data: transmissions
	p.Tap = func(from int, b []byte) {
		for b = b[headerLen:]; len(b) > 0; {
			c, rest, _ := nextChunk(b)
			if d, ok := parseData(c); ok && c.typ == typeData && from == 0 && d.sid < 2 {
				copies[d.tsn]++
			}
			b = rest
		}
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	for n := range each {
		p.write(0, uint16(n%2), body(n, 4+rng.IntN(6000)), opt)
		p.write(0, 2, body(n, 500), SendOptions{})
		if n%5 == 0 {
			p.Sleep(5 * time.Millisecond)
		}
	}
	p.Sleep(3 * time.Minute)
	seen := map[uint32]bool{}
	last := map[uint16]uint32{}
	reliable := 0
	for _, e := range p.got[1] {
		n := binary.BigEndian.Uint32(e.Data)
		if string(body(int(n), len(e.Data))) != string(e.Data) {
			p.t.Errorf("message %d altered", n)
		}
		if prev, ok := last[e.SID]; ok && n <= prev && !e.Unordered {
			p.t.Errorf("stream %d: %d after %d", e.SID, n, prev)
		}
		last[e.SID] = n
		if e.SID == 2 {
			reliable++
			continue
		}
		if seen[n] {
			p.t.Errorf("message %d twice", n)
		}
		seen[n] = true
	}
	if reliable != each {
		p.t.Errorf("%d reliable messages of %d", reliable, each)
	}
	st := p.a[0].Stats()
	if int(st.MessagesAbandoned)+len(seen) < each {
		p.t.Errorf("%d arrived and %d abandoned of %d", len(seen), st.MessagesAbandoned, each)
	}
	if st.MessagesAbandoned == 0 {
		p.t.Errorf("nothing was abandoned: %+v", st)
	}
	if opt.Reliability == Rexmit {
		for tsn, n := range copies {
			if n > int(opt.Value)+1 {
				p.t.Errorf("TSN %d sent %d times", tsn, n)
			}
		}
	}
	p.idle()
}

func TestPartialReliabilityWithoutThePeersConsentIsReliable(t *testing.T) {
	ab, ba := both(1, netem.Config{Loss: .2, Delay: 10 * time.Millisecond})
	p := newPair(t, Config{}, ab, ba).connect()
	p.a[0].peer.forwardTSN = false
	for n := range 100 {
		p.write(0, 1, body(n, 2000), SendOptions{Reliability: Rexmit})
	}
	if !p.Run(5*time.Minute, func() bool { return len(p.got[1]) == 100 }) {
		t.Fatal(len(p.got[1]))
	}
}

func TestShutdownDeliversEverything(t *testing.T) {
	for seed := range uint64(30) {
		ab, ba := both(seed, netem.Config{Loss: .1, Reorder: .1, Delay: 20 * time.Millisecond})
		p := newPair(t, Config{MaxInitRetransmits: 50}, ab, ba).connect()
		for n := range 50 {
			p.write(0, 1, body(n, 3000), SendOptions{})
			p.write(1, 1, body(n, 3000), SendOptions{})
		}
		p.Sleep(time.Duration(seed) * 5 * time.Millisecond)
		p.a[0].Shutdown(p.Now)
		if seed%3 == 0 {
			p.a[1].Shutdown(p.Now)
		}
		if err := p.a[0].Write(p.Now, 1, 53, []byte{1}, SendOptions{}); err != ErrClosed {
			t.Error(err)
		}
		p.Run(10*time.Minute, func() bool {
			_, a := p.closed(0)
			_, b := p.closed(1)
			return a && b
		})
		err, ok := p.closed(0)
		err1, ok1 := p.closed(1)
		if !ok || !ok1 || err != nil || err1 != nil && err1 != ErrPeerAborted {
			t.Errorf("seed %d: %v %v, %v %v", seed, ok, err, ok1, err1)
		}
		if len(p.got[0]) != 50 || len(p.got[1]) != 50 {
			t.Errorf("seed %d: %d and %d messages", seed, len(p.got[0]), len(p.got[1]))
		}
	}
}

func TestAbortTellsThePeer(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.a[0].Abort(p.Now, "enough")
	p.Sleep(time.Second)
	if err, ok := p.closed(0); !ok || err != ErrAborted {
		t.Error(err)
	}
	if err, ok := p.closed(1); !ok || err != ErrPeerAborted || p.other[1][1].Cause != causeUserAbort {
		t.Error(err, p.other[1])
	}
	p.a[1].Abort(p.Now, "again")
	p.a[1].Shutdown(p.Now)
	p.a[1].Start(p.Now)
	p.Sleep(time.Second)
	if p.count(1, EventClosed) != 1 {
		t.Error("closed twice")
	}
}

func TestSendBufferIsBoundedAndReportsRoom(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxSendBuffer: 100000}, ab, ba).connect()
	n := 0
	for ; p.a[0].Write(p.Now, 1, 53, make([]byte, 1000), SendOptions{}) == nil; n++ {
	}
	if n < 80 || n > 100 {
		t.Errorf("%d messages of 1000 bytes in 100000", n)
	}
	if err := p.a[0].Write(p.Now, 1, 53, []byte{1, 2}, SendOptions{}); err != nil && err != ErrSendBufferFull {
		t.Error(err)
	}
	if !p.Run(time.Minute, func() bool { return p.count(0, EventWritable) == 1 }) {
		t.Fatal("never writable")
	}
	if err := p.a[0].Write(p.Now, 1, 53, make([]byte, 1000), SendOptions{}); err != nil {
		t.Error(err)
	}
	if p.count(0, EventBufferedAmountLow) != 1 {
		t.Error("no BufferedAmountLow")
	}
}

func TestWriteRefusesWhatCannotBeSent(t *testing.T) {
	a := established(t, Config{MaxSendMessageSize: 1000, MaxStreams: 10})
	for _, c := range []struct {
		sid  uint16
		size int
		want error
	}{{0, 1000, nil}, {0, 1001, ErrMessageTooLarge}, {0, 0, ErrEmptyMessage}, {10, 1, ErrInvalidStream}, {9, 1, nil}} {
		if err := a.Write(simtest.Epoch, c.sid, 53, make([]byte, c.size), SendOptions{}); err != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	a.SetMaxSendMessageSize(0)
	if err := a.Write(simtest.Epoch, 0, 53, make([]byte, 1<<20), SendOptions{}); err != nil {
		t.Error(err)
	}
}

func TestSlowReaderClosesItsWindowAndHarmsNobody(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxReceiveBuffer: 400 << 10}, ab, ba).connect()
	p.manual = true
	for n := range 100 {
		p.write(0, 1, body(n, 20000), SendOptions{})
	}
	p.Sleep(2 * time.Hour) // far longer than any number of timeouts
	if !p.up(0) || !p.up(1) {
		t.Fatal("a slow reader ended the association")
	}
	held := p.a[1].rx.data.bytes
	if held > 400<<10 || held < 350<<10 {
		t.Errorf("%d bytes held", held)
	}
	if n := p.a[0].stats.PacketsSent; n > 3000 {
		t.Errorf("%d packets sent at a closed window", n)
	}
	read := 0
	for read < 100 {
		for ; read < len(p.got[1]); read++ {
			p.a[1].Consume(1, len(p.got[1][read].Data))
		}
		if !p.Run(30*time.Second, func() bool { return len(p.got[1]) > read || read == 100 }) {
			t.Fatalf("stuck at %d", read)
		}
	}
	p.Sleep(time.Second)
	p.idle()
}

func TestLostWindowUpdateIsFoundByProbing(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxReceiveBuffer: 400 << 10}, ab, ba).connect()
	p.manual = true
	for n := range 60 {
		p.write(0, 1, body(n, 10000), SendOptions{})
	}
	p.Sleep(10 * time.Second)
	p.Links[1].SetDown(true) // the update is lost
	p.manual = false
	for _, e := range p.got[1] {
		p.a[1].Consume(1, len(e.Data))
	}
	p.Sleep(100 * time.Millisecond)
	p.Links[1].SetDown(false)
	if !p.Run(time.Minute, func() bool { return len(p.got[1]) == 60 }) {
		t.Fatal("stuck")
	}
}

func TestTinyMessagesToASlowReader(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.manual = true
	const total = 40000
	for n := range total {
		p.write(0, 1, body(n, 4), SendOptions{})
	}
	p.Sleep(5 * time.Minute)
	if n := len(p.got[1]); n > 2*DefaultMaxReceiveBuffer/entrySize {
		t.Errorf("%d tiny messages taken", n)
	}
	p.manual = false
	for _, e := range p.got[1] {
		p.a[1].Consume(1, len(e.Data))
	}
	if !p.Run(10*time.Minute, func() bool { return len(p.got[1]) == total }) {
		t.Fatalf("%d of %d, %+v", len(p.got[1]), total, p.a[0].Stats())
	}
	p.Sleep(time.Second)
	p.idle()
}

func TestStreamsShareByWeight(t *testing.T) {
	ab, ba := both(1, netem.Config{Rate: 2e6, Queue: 1 << 20, Delay: 10 * time.Millisecond})
	p := newPair(t, Config{}, ab, ba).connect()
	p.a[0].SetPriority(1, 128)
	p.a[0].SetPriority(2, 512)
	for n := range 400 {
		p.write(0, 1, body(n, 1000), SendOptions{})
		p.write(0, 2, body(n, 1000), SendOptions{})
	}
	p.Run(time.Minute, func() bool { return len(p.got[1]) >= 300 })
	per := map[uint16]int{}
	for _, e := range p.got[1] {
		per[e.SID]++
	}
	if r := float64(per[2]) / float64(per[1]); r < 3.5 || r > 4.5 {
		t.Errorf("shares %v, ratio %.1f, want 4", per, r)
	}
}

// However large the window is, a drain ends after maxBurst bytes: what it sends
// lands in the peer's socket buffer all at once.
func TestBurstStaysBelowASocketBuffer(t *testing.T) {
	a := established(t, Config{})
	a.cc.cwnd, a.tx.peerWindow = 1<<20, 1<<20
	now := simtest.Epoch
	for n := range 8 {
		must(t, a.Write(now, 0, 53, body(n, 100<<10), SendOptions{}))
	}
	buf := make([]byte, DefaultMTU)
	flush := func() (bytes int) {
		for n := a.Transmit(now, buf); n > 0; n = a.Transmit(now, buf) {
			bytes += n
		}
		return bytes
	}
	for range 3 {
		if n := flush(); n < maxBurst || n > maxBurst+maxBurst/8 {
			t.Fatalf("%d bytes at once, want about %d", n, maxBurst)
		}
		if n := flush(); n != 0 {
			t.Fatalf("%d bytes more without a pause", n)
		}
		if at := a.Timeout(); at > now.Add(time.Second) {
			t.Fatalf("goes on at %v", at)
		}
		now = a.Timeout()
		a.HandleTimeout(now)
	}
}

func TestOneSackPerBurst(t *testing.T) {
	a := established(t, Config{})
	for n := range uint32(40) {
		must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 3, tsn: 1000 + n, ssn: uint16(n), ppid: 53, payload: []byte("x")}))))
	}
	out, _ := drain(a, simtest.Epoch)
	if len(out) != 1 || out[0].typ != typeSack {
		t.Fatalf("%+v", out)
	}
	if s, _ := parseSack(out[0]); s.cum != 1039 || len(s.gaps) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhenASackIsSent(t *testing.T) {
	data := func(tsn uint32, flags uint8) []byte {
		return appendData(nil, &dataChunk{flags: flags, tsn: tsn, ssn: uint16(tsn - 1000), ppid: 53, payload: []byte("x")})
	}
	for name, c := range map[string]struct {
		packets [][]byte
		now     bool
	}{
		"one":             {[][]byte{data(1000, 3)}, false},
		"two":             {[][]byte{data(1000, 3), data(1001, 3)}, true},
		"immediate":       {[][]byte{data(1000, 3|flagImmediate)}, true},
		"gap":             {[][]byte{data(1001, 3)}, true},
		"forward of old":  {[][]byte{appendForward(nil, typeForwardTSN, 999, nil)}, true},
		"stream too high": {nil, false},
	} {
		a := established(t, Config{})
		for _, b := range c.packets {
			must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, b)))
		}
		out, _ := drain(a, simtest.Epoch)
		if (has(out, typeSack) != nil) != c.now {
			t.Errorf("%s: %+v", name, out)
		}
		if !c.now && c.packets != nil {
			if at := a.rx.sackTimer; at != simtest.Epoch.Add(200*time.Millisecond) {
				t.Errorf("%s: timer at %v", name, at)
			}
			a.HandleTimeout(a.rx.sackTimer)
			if out, _ := drain(a, simtest.Epoch); has(out, typeSack) == nil {
				t.Errorf("%s: none after the delay", name)
			}
		}
	}
	a := established(t, Config{}) // a duplicate
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, data(1000, 3), data(1001, 3))))
	drain(a, simtest.Epoch)
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, data(1000, 3))))
	out, _ := drain(a, simtest.Epoch)
	if len(out) == 0 {
		t.Fatal("a duplicate is not acknowledged at once")
	}
	if s, _ := parseSack(out[0]); len(s.dups) != 4 || binary.BigEndian.Uint32(s.dups) != 1000 {
		t.Errorf("%+v", s)
	}
}

func TestThreeMissIndicationsRetransmit(t *testing.T) {
	a := established(t, Config{})
	base := a.tx.base
	for n := range 8 {
		must(t, a.Write(simtest.Epoch, 1, 53, body(n, 1000), SendOptions{}))
	}
	drain(a, simtest.Epoch)
	cwnd := a.cc.cwnd
	for n := range uint32(3) {
		// TSN base is missing; base+1 to base+1+n have arrived.
		cwnd = a.cc.cwnd
		s := appendSack(nil, base-1, 1<<20, []tsnRange{{base + 1, base + 1 + n}}, nil)
		must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, s)))
		out, _ := drain(a, simtest.Epoch)
		d := has(out, typeData)
		if (d != nil) != (n == 2) {
			t.Fatalf("after %d indications: %v", n+1, d != nil)
		}
		if d != nil {
			if got, _ := parseData(*d); got.tsn != base {
				t.Errorf("TSN %d", got.tsn-base)
			}
		}
	}
	if want := int(float64(cwnd) * cubicBeta); !a.cc.recovering || a.cc.ssthresh != want {
		t.Errorf("threshold %d after %d, recovering %v", a.cc.ssthresh, cwnd, a.cc.recovering)
	}
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendSack(nil, base+7, 1<<20, nil, nil))))
	if a.cc.recovering || a.cc.cwnd != a.cc.ssthresh || a.tx.flight != 0 || a.tx.t3 != 0 {
		t.Error("recovery does not end")
	}
}

// TestClass25_AcksOfUnsentTSNsAreIgnored: an optimistic peer cannot open the
// window, nor make us forget what it has not received.
func TestClass25_AcksOfUnsentTSNsAreIgnored(t *testing.T) {
	a := established(t, Config{})
	base := a.tx.base
	must(t, a.Write(simtest.Epoch, 1, 53, body(0, 100000), SendOptions{}))
	drain(a, simtest.Epoch)
	cwnd, flight, count := a.cc.cwnd, a.tx.flight, a.tx.count
	for name, s := range map[string][]byte{
		"cumulative":     appendSack(nil, base+count, 1<<20, nil, nil),
		"far":            appendSack(nil, base+1<<30, 1<<20, nil, nil),
		"gap beyond":     appendSack(nil, base-1, 1<<20, []tsnRange{{base + 1, base + count}}, nil),
		"gap reversed":   appendSack(nil, base-1, 1<<20, []tsnRange{{base + 3, base + 2}}, nil),
		"gaps unordered": appendSack(nil, base-1, 1<<20, []tsnRange{{base + 3, base + 4}, {base + 1, base + 1}}, nil),
		"gap of nothing": appendSack(nil, base-1, 1<<20, []tsnRange{{base - 1, base - 1}}, nil),
		"shutdown":       appendChunk(nil, typeShutdown, 0, be32(base+count)),
	} {
		if err := a.HandlePacket(simtest.Epoch, packet(a.tag, s)); err != ErrProtocol {
			t.Errorf("%s: %v", name, err)
		}
		if a.cc.cwnd != cwnd || a.tx.flight != flight || a.tx.count != count || a.state != stateEstablished {
			t.Errorf("%s had an effect", name)
		}
	}
	if a.Stats().BogusSacks != 7 {
		t.Error(a.Stats().BogusSacks)
	}
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendSack(nil, base+count-1, 1<<20, nil, nil))))
	if a.tx.flight != 0 || a.cc.cwnd <= cwnd {
		t.Error("the honest SACK has no effect")
	}
}

func TestRenegedChunksAreSentAgain(t *testing.T) {
	a := established(t, Config{})
	base := a.tx.base
	for n := range 4 {
		must(t, a.Write(simtest.Epoch, 1, 53, body(n, 1000), SendOptions{}))
	}
	drain(a, simtest.Epoch)
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendSack(nil, base, 1<<20, []tsnRange{{base + 2, base + 3}}, nil))))
	if a.tx.flight != 1000 {
		t.Fatal(a.tx.flight)
	}
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendSack(nil, base, 1<<20, nil, nil))))
	if a.tx.flight != 3000 || a.tx.t3 == 0 {
		t.Fatal(a.tx.flight)
	}
	a.HandleTimeout(a.tx.t3)
	out, _ := drain(a, simtest.Epoch)
	if d := has(out, typeData); d == nil {
		t.Error("not sent again")
	}
}
