package sctp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

// seeded is a deterministic Config.Rand.
func seeded(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// pair is two associations, what they reported, and the world between them.
type pair struct {
	*simtest.World
	t      testing.TB
	a      [2]*Association
	got    [2][]Event // messages
	other  [2][]Event // everything else
	manual bool       // messages are not consumed
}

func newPair(t testing.TB, cfg Config, ab, ba netem.Config) *pair {
	p := &pair{t: t}
	for i := range p.a {
		c := cfg
		if c.Rand == nil {
			c.Rand = seeded(ab.Seed*2 + uint64(i))
		}
		p.a[i] = New(c)
	}
	p.World = simtest.New(p.a[0], p.a[1], ab, ba)
	p.Drain = func(i int) {
		for {
			e, ok := p.a[i].Event()
			if !ok {
				return
			}
			if e.Kind != EventMessage {
				p.other[i] = append(p.other[i], e)
				continue
			}
			p.got[i] = append(p.got[i], e)
			if !p.manual {
				p.a[i].Consume(e.SID, len(e.Data))
			}
		}
	}
	return p
}

// connect brings both sides up.
func (p *pair) connect() *pair {
	p.t.Helper()
	p.a[0].Start(p.Now)
	p.a[1].Start(p.Now)
	if !p.Run(2*time.Minute, func() bool { return p.up(0) && p.up(1) }) {
		p.t.Fatal("not connected")
	}
	return p
}

func (p *pair) up(i int) bool { return p.a[i].state == stateEstablished }

func (p *pair) count(i int, k EventKind) (n int) {
	for _, e := range p.other[i] {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (p *pair) closed(i int) (error, bool) {
	for _, e := range p.other[i] {
		if e.Kind == EventClosed {
			return e.Err, true
		}
	}
	return nil, false
}

func (p *pair) write(i int, sid uint16, data []byte, opt SendOptions) {
	p.t.Helper()
	if err := p.a[i].Write(p.Now, sid, 53, data, opt); err != nil {
		p.t.Fatal(err)
	}
}

// body is a message which tells its number and whose content can be checked.
func body(n, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n + i*7)
	}
	if size >= 4 {
		binary.BigEndian.PutUint32(b, uint32(n))
	}
	return b
}

func both(seed uint64, c netem.Config) (ab, ba netem.Config) {
	ab, ba = c, c
	ab.Seed, ba.Seed = seed, seed^0xabcdef
	return ab, ba
}

func plain() (ab, ba netem.Config) { return both(1, netem.Config{Delay: 10 * time.Millisecond}) }

// idle checks that a finished pair holds nothing and is waiting for nothing
// but heartbeats.
func (p *pair) idle() {
	p.t.Helper()
	for i, a := range p.a {
		if a.tx.cost != 0 || a.tx.pending != 0 || a.tx.flight != 0 || a.tx.marked != 0 || a.tx.count != 0 {
			p.t.Errorf("end %d still sends: cost %d pending %d flight %d marked %d count %d", i,
				a.tx.cost, a.tx.pending, a.tx.flight, a.tx.marked, a.tx.count)
		}
		d := &a.rx.data
		if d.bytes != 0 || d.entries != 0 || len(d.runs) != 0 || len(a.rx.ranges) != 0 {
			p.t.Errorf("end %d still holds: bytes %d entries %d runs %d ranges %d", i, d.bytes, d.entries, len(d.runs), len(a.rx.ranges))
		}
	}
}

func TestBothSidesStartAndExchangeMessages(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	if got := p.Now.Sub(simtest.Epoch); got > 40*time.Millisecond {
		t.Errorf("connected after %v, want two round trips", got)
	}
	for i := range 2 {
		p.write(i, 3, []byte("hello"), SendOptions{})
	}
	if !p.Run(time.Second, func() bool { return len(p.got[0]) == 1 && len(p.got[1]) == 1 }) {
		t.Fatal("no message")
	}
	for i := range 2 {
		e := p.got[i][0]
		if e.SID != 3 || e.PPID != 53 || e.Unordered || string(e.Data) != "hello" {
			t.Errorf("%+v", e)
		}
		if p.count(i, EventConnected) != 1 {
			t.Error("connected more than once")
		}
	}
	p.Sleep(time.Second)
	p.idle()
}

func TestOneSideStarts(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	p.a[0].Start(p.Now)
	if !p.Run(time.Minute, func() bool { return p.up(0) && p.up(1) }) {
		t.Fatal("not connected")
	}
}

func TestDataGoesWithTheCookie(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	p.write(0, 0, []byte("early"), SendOptions{})
	p.a[0].Start(p.Now)
	if !p.Run(time.Minute, func() bool { return len(p.got[1]) == 1 }) || p.Now.Sub(simtest.Epoch) != 30*time.Millisecond {
		t.Fatalf("%d messages after %v", len(p.got[1]), p.Now.Sub(simtest.Epoch))
	}
}

var impairments = []struct {
	name  string
	seeds uint64
	cfg   netem.Config
}{
	{"clean", 4, netem.Config{Delay: 5 * time.Millisecond}},
	{"loss1", 40, netem.Config{Loss: .01, Delay: 20 * time.Millisecond}},
	{"loss5", 40, netem.Config{Loss: .05, Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond}},
	{"loss20", 40, netem.Config{Loss: .2, Delay: 30 * time.Millisecond}},
	{"reorder", 30, netem.Config{Reorder: .2, Jitter: 20 * time.Millisecond, Delay: time.Millisecond}},
	{"duplicate", 20, netem.Config{Duplicate: .3, Jitter: 5 * time.Millisecond, Delay: 300 * time.Millisecond}},
	{"corrupt", 30, netem.Config{Corrupt: .1, Delay: 10 * time.Millisecond}},
	{"narrow", 10, netem.Config{Rate: 2e6, Queue: 16 << 10, Delay: 20 * time.Millisecond}},
	{"all", 60, netem.Config{Loss: .05, Reorder: .05, Duplicate: .05, Corrupt: .02, Delay: 40 * time.Millisecond, Jitter: 15 * time.Millisecond}},
}

// TestReliableMessagesArriveOnceAndInOrder sends messages of all sizes on
// several streams, both ways, and wants each exactly once, in the order of its
// stream if it is ordered.
func TestReliableMessagesArriveOnceAndInOrder(t *testing.T) {
	for _, im := range impairments {
		t.Run(im.name, func(t *testing.T) {
			seeds := im.seeds
			if testing.Short() || raceEnabled {
				seeds = min(seeds, 5)
			}
			for seed := range seeds {
				ab, ba := both(seed, im.cfg)
				p := newPair(t, Config{MaxInitRetransmits: 100}, ab, ba)
				p.Burst = seed&1 == 1
				exchange(p.connect(), seed)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func exchange(p *pair, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	type key struct {
		from int
		n    uint32
	}
	sizes := []int{4, 5, 100, 1119, 1120, 1121, 2500, 16 << 10, 40 << 10}
	sent := map[key]int{}
	const each = 60
	for n := range each {
		for from := range 2 {
			size := sizes[rng.IntN(len(sizes))]
			if n == 10 {
				size = 256 << 10
			}
			sid := uint16(rng.IntN(6))
			p.write(from, sid, body(n, size), SendOptions{Unordered: sid >= 4})
			sent[key{from, uint32(n)}] = size
		}
		if n%10 == 0 {
			p.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		}
	}
	done := func() bool { return len(p.got[0]) >= each && len(p.got[1]) >= each }
	if !p.Run(30*time.Minute, done) {
		p.t.Errorf("only %d and %d messages; closed: %v %v", len(p.got[0]), len(p.got[1]), p.other[0], p.other[1])
		return
	}
	p.Sleep(10 * time.Second)
	for to := range 2 {
		last := map[uint16]uint32{}
		for _, e := range p.got[to] {
			n := binary.BigEndian.Uint32(e.Data)
			size, ok := sent[key{1 - to, n}]
			if !ok || !bytes.Equal(e.Data, body(int(n), size)) {
				p.t.Errorf("message %d twice or altered", n)
			}
			delete(sent, key{1 - to, n})
			if prev, ok := last[e.SID]; ok && !e.Unordered && n < prev {
				p.t.Errorf("stream %d: %d after %d", e.SID, n, prev)
			}
			last[e.SID] = n
		}
	}
	if len(sent) > 0 {
		p.t.Errorf("%d messages missing", len(sent))
	}
	p.idle()
}

func TestBlackoutOfThirtySecondsIsSurvived(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	for n := range 200 {
		p.write(0, 1, body(n, 5000), SendOptions{})
	}
	p.Sleep(15 * time.Millisecond)
	for i := range 2 {
		p.Links[i].SetDown(true)
	}
	p.Sleep(30 * time.Second)
	for i := range 2 {
		p.Links[i].SetDown(false)
	}
	if !p.Run(20*time.Second, func() bool { return len(p.got[1]) == 200 }) {
		t.Fatalf("%d messages, closed %v", len(p.got[1]), p.other)
	}
	p.Sleep(5 * time.Second)
	p.idle()
}

func TestVanishedPeerEndsTheAssociation(t *testing.T) {
	for _, sending := range []bool{true, false} {
		t.Run(fmt.Sprint(sending), func(t *testing.T) {
			ab, ba := plain()
			p := newPair(t, Config{}, ab, ba).connect()
			if sending {
				p.write(0, 1, body(1, 100), SendOptions{})
			}
			p.Links[0].SetDown(true)
			p.Links[1].SetDown(true)
			p.Run(time.Hour, func() bool { _, ok := p.closed(0); return ok })
			if err, ok := p.closed(0); !ok || err != ErrTimeout {
				t.Fatalf("closed %v %v", ok, err)
			}
			if p.a[0].Timeout() != 0 || p.a[0].Write(p.Now, 1, 53, []byte{1}, SendOptions{}) != ErrClosed {
				t.Error("still alive")
			}
		})
	}
}

func TestHandshakeWithoutPeerTimesOut(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	p.Links[0].SetDown(true)
	p.a[0].Start(p.Now)
	p.Run(time.Hour, func() bool { _, ok := p.closed(0); return ok })
	if err, ok := p.closed(0); !ok || err != ErrTimeout {
		t.Fatalf("closed %v %v", ok, err)
	}
}

func TestThroughputFillsANarrowLink(t *testing.T) {
	// 10 Mbit/s, 50 ms round trip, a queue of about one round trip: the window
	// must keep the bottleneck busy most of the time.
	ab, ba := both(3, netem.Config{Rate: 10e6, Queue: 64 << 10, Delay: 25 * time.Millisecond})
	p := newPair(t, Config{}, ab, ba).connect()
	const total = 4 << 20
	start := p.Now
	for n := range total / (64 << 10) {
		p.write(0, 1, body(n, 64<<10), SendOptions{})
	}
	if !p.Run(time.Minute, func() bool { return len(p.got[1]) == total/(64<<10) }) {
		t.Fatal("not delivered")
	}
	rate := float64(total*8) / p.Now.Sub(start).Seconds()
	if rate < 7e6 {
		t.Errorf("%.1f Mbit/s of 10; %+v", rate/1e6, p.a[0].Stats())
	}
}

// BenchmarkTransfer moves 64 KiB messages one way over a path of 2 ms.
func BenchmarkTransfer(b *testing.B) {
	ab, ba := both(1, netem.Config{Delay: time.Millisecond})
	p := newPair(b, Config{}, ab, ba).connect()
	p.Burst = true
	const size = 64 << 10
	msg := make([]byte, size)
	b.SetBytes(size)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p.write(0, 1, msg, SendOptions{})
		if !p.Run(time.Minute, func() bool { return len(p.got[1]) > 0 }) {
			b.Fatal("lost")
		}
		p.got[1] = p.got[1][:0]
	}
}
