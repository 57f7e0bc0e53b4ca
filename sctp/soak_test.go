package sctp

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

var soak = flag.Uint64("soak", 100, "seeds of TestEverySeedKeepsItsPromises")

// TestEverySeedKeepsItsPromises draws a path and both sides' configurations
// from a seed, and wants every message once, whole and in order. -soak 10000
// takes some minutes.
func TestEverySeedKeepsItsPromises(t *testing.T) {
	seeds := *soak
	if raceEnabled {
		seeds = min(seeds, 15)
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 99))
		some := func(p float64) bool { return rng.Float64() < p }
		n := netem.Config{Delay: time.Duration(rng.IntN(300)) * time.Millisecond}
		if some(.5) {
			n.Loss = rng.Float64() * .1
		}
		if some(.3) {
			n.Reorder, n.Jitter = rng.Float64()*.2, time.Duration(rng.IntN(30))*time.Millisecond
		}
		if some(.2) {
			n.Duplicate = rng.Float64() * .2
		}
		dtls := some(.5)
		if some(.2) && !dtls { // DTLS lets nothing through that is corrupt
			n.Corrupt = rng.Float64() * .05
		}
		if some(.3) {
			n.Rate, n.Queue = 1e6+rng.Int64N(50e6), 16<<10+rng.IntN(256<<10)
		}
		ab, ba := both(seed, n)
		p := newPair(t, Config{}, ab, ba)
		for i := range p.a {
			p.a[i] = New(Config{
				Rand: seeded(seed*2 + uint64(i)), MaxInitRetransmits: 50, DTLS: dtls,
				Interleave: some(.7), Scheduler: Scheduler(rng.IntN(3)), Congestion: Congestion(rng.IntN(2)),
				MTU: 512 + rng.IntN(1000), MaxReceiveBuffer: 1 + rng.IntN(2<<20),
			})
			p.Ends[i] = p.a[i]
		}
		if some(.3) {
			p.from(0xffffffff - rng.Uint32N(500))
		}
		p.Burst = some(.5)
		exchange(p.connect(), seed)
		for _, a := range p.a {
			a.invariants(t)
		}
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, n)
		}
	}
}
