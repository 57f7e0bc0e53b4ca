package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// A path is a link with a bottleneck of 50 Mb/s and a queue of 256 KiB.
type path struct {
	rtt  time.Duration
	loss float64
}

// share is what arrives over a path within d, the handshake included, in
// percent of its rate.
func (l path) share(t testing.TB, cfg Config, seed uint64, d time.Duration) (float64, *pair) {
	n := netem.Config{Seed: seed, Loss: l.loss, Delay: l.rtt / 2, Rate: 50e6, Queue: 256 << 10}
	back := n
	back.Seed += 1000
	p := newPair(t, cfg, n, back)
	arrived := 0
	data := make([]byte, 64<<10)
	drain := p.Drain
	p.Drain = func(i int) {
		drain(i)
		for _, e := range p.got[1] {
			arrived += len(e.Data)
		}
		p.got[1] = p.got[1][:0]
		for i == 0 && p.a[0].BufferedAmount(1) < 1<<20 {
			p.write(0, 1, data, SendOptions{})
		}
	}
	p.a[0].Start(p.Now)
	p.Run(d, func() bool { return false })
	return float64(arrived) * 800 / 50e6 / d.Seconds(), p
}

// What the kernel's cubic TCP has of the same paths within 1.5 s, with packets
// a third longer: 95, 89, 61, 24, 48, 36 and 13 percent.
func TestLinkIsFilledWithinSeconds(t *testing.T) {
	for _, c := range []struct {
		path
		d    time.Duration
		want float64
	}{
		{path{0, 0}, 1500 * time.Millisecond, 96},
		{path{0, .01}, 1500 * time.Millisecond, 95},
		{path{20 * time.Millisecond, 0}, 1500 * time.Millisecond, 88},
		{path{20 * time.Millisecond, 0}, 10 * time.Second, 95},
		{path{20 * time.Millisecond, .001}, 1500 * time.Millisecond, 68},
		{path{20 * time.Millisecond, .01}, 1500 * time.Millisecond, 25},
		{path{100 * time.Millisecond, 0}, 1500 * time.Millisecond, 47},
		{path{100 * time.Millisecond, 0}, 10 * time.Second, 88},
		{path{100 * time.Millisecond, .001}, 3 * time.Second, 36},
		{path{100 * time.Millisecond, .01}, 1500 * time.Millisecond, 11},
	} {
		sum := 0.0
		for seed := range uint64(3) {
			s, p := c.share(t, Config{}, seed+1, c.d)
			if st := p.a[0].Stats(); st.Timeouts > 0 && c.loss == 0 {
				t.Errorf("%v: %d timeouts", c.path, st.Timeouts)
			}
			sum += s
		}
		if got := sum / 3; got < c.want {
			t.Errorf("%v, %v: %.1f %% of the link, want %.0f", c.path, c.d, got, c.want)
		}
	}
}

func TestNewRenoIsSelectable(t *testing.T) {
	l := path{20 * time.Millisecond, .001}
	reno, p := l.share(t, Config{Congestion: NewReno}, 1, 5*time.Second)
	cubic, _ := l.share(t, Config{}, 1, 5*time.Second)
	if !p.a[0].cc.newReno || reno < 20 || reno >= cubic {
		t.Errorf("NewReno %.1f, CUBIC %.1f %%", reno, cubic)
	}
}

// Config.Flows gets about so many shares of a lossy path, with either algorithm,
// and never more than its bound.
func TestFlowsCountAsSoMany(t *testing.T) {
	rate := func(c Config) (sum float64) {
		for seed := range uint64(4) {
			mbps, _ := path{100 * time.Millisecond, .01}.share(t, c, seed, 10*time.Second)
			sum += mbps
		}
		return sum
	}
	for _, algorithm := range []Congestion{Cubic, NewReno} {
		one := rate(Config{Congestion: algorithm})
		four := rate(Config{Congestion: algorithm, Flows: 4})
		if four < 2.2*one || four > 4.4*one {
			t.Errorf("algorithm %d: 1 flow %.1f, 4 flows %.1f %%", algorithm, one, four)
		}
		if most, beyond := rate(Config{Congestion: algorithm, Flows: maxFlows}), rate(Config{Congestion: algorithm, Flows: 1000}); most != beyond {
			t.Errorf("algorithm %d: %d flows %.1f, 1000 flows %.1f %%", algorithm, maxFlows, most, beyond)
		}
	}
}

// The slow start of a long path overshoots: hundreds of packets are lost in one
// window, which is reduced once for all of them, and all are mended without a
// timeout.
func TestOneReductionForTheLossesOfAWindow(t *testing.T) {
	_, p := path{100 * time.Millisecond, 0}.share(t, Config{}, 1, 1300*time.Millisecond)
	st := p.a[0].Stats()
	if st.Retransmissions < 100 || st.Reductions != 1 || st.Timeouts != 0 {
		t.Errorf("%d retransmissions, %d reductions, %d timeouts", st.Retransmissions, st.Reductions, st.Timeouts)
	}
}

// A message whose last packet is lost does not wait for the timeout of 400 ms.
func TestLostTailIsProbed(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.write(0, 1, body(1, 8000), SendOptions{})
	p.Sleep(time.Second)
	start := p.Now
	p.write(0, 1, body(2, 4000), SendOptions{})
	p.Links[0].SetDown(true)
	sent := 0
	p.Tap = func(from int, _ []byte) {
		if from == 0 {
			if sent++; sent == 3 { // of 4
				p.Links[0].SetDown(true)
			}
		}
	}
	p.Links[0].SetDown(false)
	p.Flush()
	p.Tap = nil
	p.Links[0].SetDown(false)
	if !p.Run(time.Second, func() bool { return len(p.got[1]) == 2 }) {
		t.Fatal("lost")
	}
	st := p.a[0].Stats()
	if d := p.Now.Sub(start); d > 150*time.Millisecond || st.Timeouts != 0 || st.TailProbes == 0 {
		t.Errorf("took %v, %d timeouts, %d probes", d, st.Timeouts, st.TailProbes)
	}
	p.Sleep(time.Second)
	p.idle()
}

// A burst at a rate of 50 Mb/s is a few packets, not the window.
func TestBurstsAreBoundedByTheRate(t *testing.T) {
	n := netem.Config{Seed: 1, Delay: 25 * time.Millisecond, Rate: 50e6, Queue: 256 << 10}
	p := newPair(t, Config{}, n, n).connect()
	p.Burst = true
	var at, most, now int64
	p.Tap = func(from int, b []byte) {
		if from == 1 {
			return
		}
		if int64(p.Now) != at {
			at, now = int64(p.Now), 0
		}
		now++
		most = max(most, now)
	}
	for range 60 {
		p.write(0, 1, make([]byte, 64<<10), SendOptions{})
	}
	if !p.Run(10*time.Second, func() bool { return len(p.got[1]) == 60 }) {
		t.Fatal("not delivered")
	}
	if most > runPackets+4 {
		t.Errorf("%d packets at once", most)
	}
}

func TestReceiveWindowGrowsForAReaderWhichKeepsUp(t *testing.T) {
	n := netem.Config{Seed: 1, Delay: 50 * time.Millisecond, Rate: 200e6, Queue: 4 << 20}
	p := newPair(t, Config{}, n, n).connect()
	for range 8 {
		for range 64 {
			p.write(0, 1, make([]byte, 64<<10), SendOptions{})
		}
		p.Run(10*time.Second, func() bool { return p.a[0].tx.cost < 1<<20 })
	}
	if w := p.a[1].rx.data.limit; w < 4<<20 || w > DefaultMaxReceiveMemory {
		t.Errorf("window %d", w)
	}
	if w := p.a[0].rx.data.limit; w != DefaultMaxReceiveBuffer {
		t.Errorf("window %d of the side which receives nothing", w)
	}
}
