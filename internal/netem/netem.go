// Package netem is a network for tests: one direction of a path, on virtual
// time, with loss, delay, jitter, reordering, duplication, corruption and a
// bottleneck with a bounded queue. The same seed and the same calls give the
// same packets at the same instants. It starts no goroutine, reads no clock
// and opens no socket; it does not model competing traffic.
package netem

import (
	"math/rand/v2"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Config describes one direction. The zero value delivers every packet at the
// instant it is pushed, in order. Probabilities are in [0, 1] and drawn
// independently for each packet.
type Config struct {
	Seed      uint64
	Loss      float64
	Duplicate float64       // a second copy follows, with its own jitter
	Corrupt   float64       // one to three bits of the packet are flipped
	Reorder   float64       // the packet may be overtaken for up to ReorderBy
	ReorderBy time.Duration // 0: 2*Jitter + 10 ms
	Delay     time.Duration // one way
	Jitter    time.Duration // uniform in [0, Jitter], order preserved
	Rate      int64         // bottleneck in bits per second; 0: none
	Queue     int           // bytes which may wait for the bottleneck, 0: 64 KiB; tail drop
	MTU       int           // packets longer than this are dropped; 0: none
}

// Stats counts packets since the link was made.
type Stats struct {
	Pushed, Delivered, Lost, Overflowed, Oversized, Duplicated, Corrupted, Reordered uint64
}

// Link is one direction of a path. Use it from one goroutine.
type Link struct {
	cfg   Config
	rng   *rand.Rand
	heap  []packet
	seq   uint64
	last  mono.Time // no packet in order arrives before this
	free  mono.Time // the bottleneck is busy until then
	down  bool
	stats Stats
}

type packet struct {
	at  mono.Time
	seq uint64
	b   []byte
}

// New makes a link.
func New(cfg Config) *Link {
	if cfg.ReorderBy == 0 {
		cfg.ReorderBy = 2*cfg.Jitter + 10*time.Millisecond
	}
	if cfg.Queue == 0 {
		cfg.Queue = 64 << 10
	}
	return &Link{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15))}
}

// SetDown cuts the link (true), so that every packet pushed is lost, or mends it.
func (l *Link) SetDown(down bool) { l.down = down }

// SetConfig changes the link's behaviour for packets pushed from now on. The
// seed is not used again.
func (l *Link) SetConfig(cfg Config) {
	fresh := New(cfg)
	l.cfg = fresh.cfg
}

// Stats returns the counters.
func (l *Link) Stats() Stats { return l.stats }

// Push offers a packet to the link, which copies it.
func (l *Link) Push(now mono.Time, b []byte) {
	l.stats.Pushed++
	// Every packet draws the same number of random values, so that changing
	// one probability does not change the fate of other packets.
	loss, dup, cor, reo := l.rng.Float64(), l.rng.Float64(), l.rng.Float64(), l.rng.Float64()
	jitter, again, flips := l.rng.Float64(), l.rng.Float64(), l.rng.Uint64()
	switch {
	case l.cfg.MTU > 0 && len(b) > l.cfg.MTU:
		l.stats.Oversized++
		return
	case l.down || loss < l.cfg.Loss:
		l.stats.Lost++
		return
	}
	depart, ok := l.bottleneck(now, len(b))
	if !ok {
		l.stats.Overflowed++
		return
	}
	b = append([]byte(nil), b...)
	if cor < l.cfg.Corrupt && len(b) > 0 {
		l.stats.Corrupted++
		for range 1 + flips>>62%3 {
			b[flips%uint64(len(b))] ^= 1 << (flips >> 32 & 7)
			flips = flips*6364136223846793005 + 1442695040888963407
		}
	}
	at := depart.Add(l.cfg.Delay + scale(l.cfg.Jitter, jitter))
	if reo < l.cfg.Reorder {
		l.stats.Reordered++
		at = at.Add(scale(l.cfg.ReorderBy, again))
	} else {
		at = max(at, l.last)
		l.last = at
	}
	l.add(at, b)
	if dup < l.cfg.Duplicate {
		l.stats.Duplicated++
		l.add(at.Add(scale(l.cfg.Jitter, again)), append([]byte(nil), b...))
	}
}

// bottleneck returns the instant at which the packet has left the queue.
func (l *Link) bottleneck(now mono.Time, n int) (mono.Time, bool) {
	if l.cfg.Rate <= 0 {
		return now, true
	}
	l.free = max(l.free, now)
	waiting := l.free.Sub(now).Seconds() * float64(l.cfg.Rate) / 8
	if int(waiting)+n > l.cfg.Queue {
		return 0, false
	}
	l.free = l.free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / l.cfg.Rate))
	return l.free, true
}

// Next returns when the earliest packet arrives; 0: none is under way.
func (l *Link) Next() mono.Time {
	if len(l.heap) == 0 {
		return 0
	}
	return l.heap[0].at
}

// Pop returns a packet which has arrived by now. The caller owns it.
func (l *Link) Pop(now mono.Time) ([]byte, bool) {
	if len(l.heap) == 0 || l.heap[0].at > now {
		return nil, false
	}
	b := l.heap[0].b
	last := len(l.heap) - 1
	l.heap[0] = l.heap[last]
	l.heap[last] = packet{}
	l.heap = l.heap[:last]
	l.sift(0)
	l.stats.Delivered++
	return b, true
}

func (l *Link) add(at mono.Time, b []byte) {
	l.heap = append(l.heap, packet{at, l.seq, b})
	l.seq++
	for i := len(l.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if !l.heap[i].before(l.heap[p]) {
			return
		}
		l.heap[i], l.heap[p] = l.heap[p], l.heap[i]
		i = p
	}
}

// sift restores the heap below i.
func (l *Link) sift(i int) {
	for {
		c := 2*i + 1
		if c >= len(l.heap) {
			return
		}
		if c+1 < len(l.heap) && l.heap[c+1].before(l.heap[c]) {
			c++
		}
		if !l.heap[c].before(l.heap[i]) {
			return
		}
		l.heap[i], l.heap[c] = l.heap[c], l.heap[i]
		i = c
	}
}

func (p packet) before(q packet) bool { return p.at < q.at || (p.at == q.at && p.seq < q.seq) }

func scale(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }
