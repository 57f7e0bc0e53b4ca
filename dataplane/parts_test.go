package dataplane

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
)

func TestMailboxKeepsTheOrderOfEachProducer(t *testing.T) {
	var m mailbox[[2]int]
	const producers, each = 4, 2000
	var wg sync.WaitGroup
	for p := range producers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				m.push([2]int{p, i})
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var next [producers]int
	for total := 0; total < producers*each; {
		for l := m.take(); l != nil; l = l.next {
			if l.v[1] != next[l.v[0]] {
				t.Fatalf("producer %d: %d after %d", l.v[0], l.v[1], next[l.v[0]]-1)
			}
			next[l.v[0]]++
			total++
		}
	}
	<-done
	if !m.empty() {
		t.Fatal("something is left")
	}
}

func TestRingIsBoundedAndOrdered(t *testing.T) {
	r := newRing[int](8)
	next, want := 0, 0
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		if rng.IntN(2) == 0 {
			if s := r.slot(); s != nil {
				*s = next
				next++
				r.publish()
			} else if next-want != 8 {
				t.Fatalf("full with %d items", next-want)
			}
			continue
		}
		from, to := r.span()
		for ; from != to && rng.IntN(3) > 0; from++ {
			if *r.at(from) != want {
				t.Fatalf("got %d, want %d", *r.at(from), want)
			}
			want++
		}
		r.release(from)
	}
}

func TestRingBetweenGoroutines(t *testing.T) {
	r := newRing[int](64)
	const n = 20000
	go func() {
		for i := 0; i < n; {
			if s := r.slot(); s != nil {
				*s = i
				r.publish()
				i++
			}
		}
	}()
	for want := 0; want < n; {
		from, to := r.span()
		for ; from != to; from++ {
			if *r.at(from) != want {
				t.Errorf("got %d, want %d", *r.at(from), want)
				return
			}
			want++
		}
		r.release(from)
	}
}

func TestCtlQueueIsBoundedOrderedAndTouchesLittle(t *testing.T) {
	q := newCtlQueue(8)
	next, want := 0, 0
	touched := map[*ctlPacket]bool{}
	push := func() bool {
		c := q.cell()
		if c != nil {
			touched[c] = true
			c.n = next
			next++
			q.push()
		}
		return c != nil
	}
	take := func(n int) {
		t.Helper()
		from, to := q.span()
		for ; from != to && n > 0; from, n = from+1, n-1 {
			if q.at(from).n != want {
				t.Fatalf("got %d, want %d", q.at(from).n, want)
			}
			want++
		}
		q.release(from)
	}
	for range 1000 {
		push()
		push()
		take(2)
	}
	if len(touched) > 4 {
		t.Errorf("%d cells were touched for two packets at a time", len(touched))
	}
	rng := rand.New(rand.NewPCG(1, 3))
	for range 10000 {
		if rng.IntN(2) == 0 {
			take(rng.IntN(4))
		} else if !push() && next-want != 8 {
			t.Fatalf("full with %d packets", next-want)
		}
	}
}

func TestCtlQueueBetweenGoroutines(t *testing.T) {
	q := newCtlQueue(64)
	const n = 20000
	go func() {
		for i := 0; i < n; {
			if c := q.cell(); c != nil {
				c.n = i
				q.push()
				i++
			}
		}
	}()
	for want := 0; want < n; {
		from, to := q.span()
		for ; from != to; from++ {
			if q.at(from).n != want {
				t.Errorf("got %d, want %d", q.at(from).n, want)
				return
			}
			want++
		}
		q.release(from)
	}
}

type timerItem struct {
	node timerNode
	id   int
}

func (i *timerItem) timerNode() *timerNode { return &i.node }

func TestTimersFireInOrderWhateverIsMoved(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var h timers[*timerItem]
	items := make([]*timerItem, 50)
	for i := range items {
		items[i] = &timerItem{id: i}
	}
	for range 20000 {
		it := items[rng.IntN(len(items))]
		switch rng.IntN(4) {
		case 0:
			h.set(it, 0)
		case 1:
			h.advance(it, mono.Time(1+rng.IntN(1000)))
		default:
			h.set(it, mono.Time(1+rng.IntN(1000)))
		}
		earliest := mono.Time(0)
		n := 0
		for _, x := range items {
			if x.node.at != 0 {
				n++
				earliest = mono.Earliest(earliest, x.node.at)
			}
		}
		if h.next() != earliest || len(h.heap) != n {
			t.Fatalf("next %d of %d, want %d of %d", h.next(), len(h.heap), earliest, n)
		}
	}
	var fired []mono.Time
	for {
		at := h.next()
		if _, ok := h.pop(1000); !ok {
			break
		}
		fired = append(fired, at)
	}
	if !slices.IsSorted(fired) || h.next() != 0 {
		t.Fatal(fired)
	}
}

func TestSlabGivesEachCellOnce(t *testing.T) {
	s := newSlab(16)
	seen := map[int32]bool{}
	for {
		c := s.get()
		if c < 0 {
			break
		}
		b := s.buf(c)
		if seen[c] || len(b) != cellSize-cellHeadroom-cellTailroom || cap(b) != len(b) {
			t.Fatalf("cell %d: %d bytes", c, len(b))
		}
		seen[c] = true
		s.refs[c] = 2
	}
	if len(seen) != 16 {
		t.Fatalf("%d cells", len(seen))
	}
	for c := range seen {
		s.unref(c)
	}
	if s.get() >= 0 {
		t.Fatal("a cell with a reader was given out")
	}
	for c := range seen {
		s.unref(c)
	}
	if len(s.free) != 16 {
		t.Fatalf("%d free", len(s.free))
	}
}
