package sctp

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

var worlds = flag.Uint64("worlds", 10_000, "seeds of TestTenThousandWorlds")

// A world is a path whose quality changes, two configurations, and messages of
// all kinds both ways, drawn from a seed.
type world struct {
	*pair
	rng  *rand.Rand
	net  netem.Config
	sent [2]map[uint32]sentMessage
}

type sentMessage struct {
	size, sid int
	opt       SendOptions
}

func newWorld(t testing.TB, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	some := func(p float64) bool { return rng.Float64() < p }
	n := netem.Config{Delay: time.Duration(500+rng.IntN(299_500)) * time.Microsecond} // RTT 1 to 600 ms
	if some(.5) {
		n.Loss = rng.Float64() * .1
	}
	if some(.3) {
		n.Reorder, n.Jitter = rng.Float64()*.2, time.Duration(rng.IntN(30))*time.Millisecond
	}
	if some(.2) {
		n.Duplicate = rng.Float64() * .3
	}
	dtls := some(.5)
	if some(.2) && !dtls { // DTLS lets nothing through that is corrupt
		n.Corrupt = rng.Float64() * .05
	}
	if some(.4) {
		n.Rate, n.Queue = 2e5+rng.Int64N(20e6), 8<<10+rng.IntN(64<<10)
	}
	ab, ba := both(seed, n)
	w := &world{pair: newPair(t, Config{}, ab, ba), rng: rng, net: n}
	for i := range w.a {
		w.a[i] = New(Config{
			Rand: seeded(seed*2 + uint64(i)), MaxInitRetransmits: 100, MaxRetransmits: 100, DTLS: dtls,
			Interleave: some(.6), Scheduler: Scheduler(rng.IntN(3)), Congestion: Congestion(rng.IntN(2)),
			MTU: 512 + rng.IntN(900), MaxReceiveBuffer: 1 + rng.IntN(2<<20),
		})
		w.Ends[i] = w.a[i]
		w.sent[i] = map[uint32]sentMessage{}
	}
	if some(.2) {
		w.from(0xffffffff - rng.Uint32N(60))
	}
	w.Burst = some(.5)
	return w
}

// weather changes the path: a burst of losses, a blackout, another rate or
// another round trip.
func (w *world) weather() {
	c := w.net
	switch w.rng.IntN(5) {
	case 0:
		c.Loss = .6
	case 1:
		c.Loss = 1
	case 2:
		c.Rate, c.Queue = 1e5+w.rng.Int64N(10e6), 8<<10+w.rng.IntN(64<<10)
	case 3:
		c.Delay = time.Duration(500+w.rng.IntN(299_500)) * time.Microsecond
	}
	for i := range w.Links {
		if w.rng.IntN(3) > 0 {
			w.Links[i].SetConfig(c)
		}
	}
}

func (w *world) clear() {
	for i := range w.Links {
		w.Links[i].SetConfig(w.net)
	}
}

func (w *world) run() error {
	w.a[0].Start(w.Now)
	if w.rng.IntN(2) == 0 {
		w.a[1].Start(w.Now)
	}
	if !w.Run(20*time.Minute, func() bool { return w.up(0) && w.up(1) }) {
		return fmt.Errorf("not connected")
	}
	const each = 12
	for n := range uint32(each) {
		for i := range 2 {
			size := 4 + w.rng.IntN(3000)
			if w.rng.IntN(10) == 0 {
				size = 30_000
			}
			sid := w.rng.IntN(5)
			opt := SendOptions{Unordered: sid >= 3}
			if sid&1 == 1 {
				opt.Reliability, opt.Value = Reliability(1+w.rng.IntN(2)), uint32(w.rng.IntN(4))
				if opt.Reliability == Timed {
					opt.Value = 20 + w.rng.Uint32N(1000)
				}
			}
			if err := w.a[i].Write(w.Now, uint16(sid), n, body(int(n), size), opt); err != nil {
				return err
			}
			w.sent[i][n] = sentMessage{size, sid, opt}
		}
		if n%4 == 0 {
			w.Sleep(time.Duration(w.rng.IntN(300)) * time.Millisecond)
			w.weather()
			w.Sleep(time.Duration(w.rng.IntN(1500)) * time.Millisecond)
			w.clear()
		}
	}
	quiet := func() bool {
		for i := range w.a {
			if a := w.a[i]; a.tx.pending > 0 || a.tx.outstanding() || a.tx.forwardDue {
				return false
			}
		}
		return true
	}
	if !w.Run(20*time.Minute, quiet) {
		return fmt.Errorf("does not come to rest: %+v %+v", w.a[0].Stats(), w.a[1].Stats())
	}
	w.Sleep(time.Second)
	for i := range w.a {
		if err := w.check(i); err != nil {
			return err
		}
	}
	return nil
}

// check wants each reliable message once, each other one at most once, all as
// they were sent, those of an ordered stream in order, and nothing left behind.
func (w *world) check(to int) error {
	sent, last := w.sent[1-to], map[uint16]uint32{}
	for _, e := range w.got[to] {
		n := binary.BigEndian.Uint32(e.Data)
		m, ok := sent[n]
		if !ok || m.size != len(e.Data) || m.sid != int(e.SID) || e.PPID != n || e.Unordered != m.opt.Unordered || !bytes.Equal(e.Data, body(int(n), m.size)) {
			return fmt.Errorf("end %d: message %d twice or altered: %v", to, n, e.SID)
		}
		delete(sent, n)
		if prev, ok := last[e.SID]; ok && !e.Unordered && n < prev {
			return fmt.Errorf("end %d: stream %d: %d after %d", to, e.SID, n, prev)
		}
		last[e.SID] = n
	}
	for n, m := range sent {
		if m.opt.Reliability == Reliable {
			return fmt.Errorf("end %d: message %d is missing: %+v", to, n, m)
		}
	}
	if got, lost := len(w.got[to]), len(sent); w.net.Loss == 0 && lost > 0 && got == 0 {
		return fmt.Errorf("end %d: nothing came", to)
	}
	a := w.a[to]
	d := &a.rx.data
	if a.tx.cost != 0 || a.tx.flight != 0 || a.tx.marked != 0 || d.bytes != 0 || d.entries != 0 || len(d.runs) != 0 || len(a.rx.ranges) != 0 {
		return fmt.Errorf("end %d holds: cost %d flight %d marked %d, bytes %d entries %d runs %d ranges %d", to,
			a.tx.cost, a.tx.flight, a.tx.marked, d.bytes, d.entries, len(d.runs), len(a.rx.ranges))
	}
	return nil
}

// TestTenThousandWorlds keeps the promises of SCTP in as many networks.
func TestTenThousandWorlds(t *testing.T) {
	n := *worlds
	if testing.Short() || raceEnabled {
		n = min(n, 500)
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < n && !t.Failed(); seed = next.Add(1) - 1 {
				if err := newWorld(t, seed).run(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	wg.Wait()
}
