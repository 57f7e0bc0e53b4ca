package sctp

import (
	"math"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// sentChunk is a DATA chunk which has a TSN and is not acknowledged
// cumulatively.
type sentChunk struct {
	msg        *message
	at         mono.Time // when it went out last
	prev, next uint32    // its neighbours in the list it is in
	off, n     int32
	fsn        uint32 // RFC 8260 §2.1
	sends      uint32
	flags      uint8
	where      place
	acked      bool // by a gap block
	again      bool // sent more than once: an acknowledgment may mean either
	long       bool // in a packet about as long as may be
}

// place is the list a chunk is in.
type place uint8

const (
	nowhere place = iota // acknowledged, or its message is abandoned
	flying               // the network may still carry it
	lost                 // to be sent again
)

// inFlight reports whether the network may still carry it.
func (c *sentChunk) inFlight() bool { return c.where == flying }

// tsnList is a list of chunks of the window, linked by their TSNs.
type tsnList struct {
	first, last uint32 // if n > 0
	n           int
}

// window is the sent chunks in a ring; TSNs are consecutive, so that a TSN is
// an index. Chunks in flight are linked in the order in which they were sent,
// and lost ones in the order in which that was found, so that no step depends
// on how many are outstanding.
type window struct {
	ring    []sentChunk // a power of two long
	head    uint32
	count   uint32
	base    uint32 // TSN of the first
	flight  int    // bytes in flight
	marked  int    // bytes to be retransmitted
	lists   [3]tsnList
	gaps    []tsnRange // acknowledged above base; ascending, disjoint
	scratch []tsnRange // scratch, for the next gaps
	visits  uint64     // chunks looked at, for tests
}

func (w *window) start(tsn uint32) { *w = window{base: tsn} }

// end is the TSN which the next chunk gets.
func (w *window) end() uint32 { return w.base + w.count }

func (w *window) at(tsn uint32) *sentChunk {
	return &w.ring[(w.head+(tsn-w.base))&uint32(len(w.ring)-1)]
}

func (w *window) contains(tsn uint32) bool { return tsn-w.base < w.count }

// link appends a chunk to a list.
func (w *window) link(p place, tsn uint32) {
	l, c := &w.lists[p], w.at(tsn)
	w.visits++
	if l.n == 0 {
		l.first = tsn
	} else {
		w.at(l.last).next = tsn
		c.prev = l.last
	}
	l.last, c.where = tsn, p
	l.n++
	if p == flying {
		w.flight += int(c.n)
	} else {
		w.marked += int(c.n)
	}
}

// settle takes a chunk out of its list.
func (w *window) settle(tsn uint32) {
	c := w.at(tsn)
	w.visits++
	if c.where == nowhere {
		return
	}
	l := &w.lists[c.where]
	if tsn == l.first {
		l.first = c.next
	} else {
		w.at(c.prev).next = c.next
	}
	if tsn == l.last {
		l.last = c.prev
	} else {
		w.at(c.next).prev = c.prev
	}
	l.n--
	if c.where == flying {
		w.flight -= int(c.n)
	} else {
		w.marked -= int(c.n)
	}
	c.where = nowhere
}

// add appends a chunk and returns its TSN. It is in flight unless it is
// acknowledged already.
func (w *window) add(now mono.Time, c sentChunk) uint32 {
	if int(w.count) == len(w.ring) {
		ring := make([]sentChunk, max(16, 2*len(w.ring)))
		for i := range w.count {
			ring[i] = *w.at(w.base + i)
		}
		w.ring, w.head = ring, 0
	}
	tsn := w.end()
	w.count++
	c.at, c.where = now, nowhere
	*w.at(tsn) = c
	if !c.acked {
		w.link(flying, tsn)
	}
	return tsn
}

// pop removes the first chunk, which is acknowledged.
func (w *window) pop() sentChunk {
	w.settle(w.base)
	c := w.at(w.base)
	first := *c
	*c = sentChunk{}
	w.head = (w.head + 1) & uint32(len(w.ring)-1)
	w.count--
	w.base++
	return first
}

// mark asks for the retransmission of a chunk which is in flight.
func (w *window) mark(tsn uint32) {
	w.settle(tsn)
	w.link(lost, tsn)
}

// markAll asks for the retransmission of all that is in flight, the earliest
// TSN first (RFC 9260 §6.1 C). What is acknowledged from here on tells nothing
// of the round trip.
func (w *window) markAll() {
	for tsn := w.base; tsn != w.end(); tsn++ {
		c := w.at(tsn)
		if c.again = true; c.where != nowhere {
			w.mark(tsn)
		}
	}
}

// nextMarked returns the chunk to be retransmitted next.
func (w *window) nextMarked() (uint32, *sentChunk) {
	if l := &w.lists[lost]; l.n > 0 {
		return l.first, w.at(l.first)
	}
	return 0, nil
}

// resent notes that a marked chunk goes out again.
func (w *window) resent(now mono.Time, tsn uint32) {
	w.settle(tsn)
	w.link(flying, tsn)
	c := w.at(tsn)
	c.at, c.again = now, true
	c.sends++
}

// reneged notes that the peer has dropped a chunk it had reported. A SACK
// overtaken by a later one looks the same, so that it counts as sent now, and
// is lost if what is sent after it arrives first.
func (w *window) reneged(now mono.Time, tsn uint32) {
	c := w.at(tsn)
	if c.acked = false; !c.msg.gone {
		c.at, c.again = now, true
		w.link(flying, tsn)
	}
}

// trim drops gaps below base, which cumulative acknowledgment has filled.
func (w *window) trim() {
	n := 0
	for n < len(w.gaps) && tsnLess(w.gaps[n].last, w.base) {
		n++
	}
	if n > 0 {
		w.gaps = w.gaps[:copy(w.gaps, w.gaps[n:])]
	}
	if len(w.gaps) > 0 && tsnLess(w.gaps[0].first, w.base) {
		w.gaps[0].first = w.base
	}
}

// subtract calls f for the parts of the ranges a which are not in b. Both are
// ascending and disjoint; the work is their length and what f does.
func subtract(a, b []tsnRange, f func(first, last uint32)) {
	j := 0
	for _, r := range a {
		first := r.first
		for j < len(b) && tsnLess(b[j].last, first) {
			j++
		}
		for k := j; ; k++ {
			if k == len(b) || tsnLess(r.last, b[k].first) {
				f(first, r.last)
				break
			}
			if tsnLess(first, b[k].first) {
				f(first, b[k].first-1)
			}
			if first = b[k].last + 1; tsnLess(r.last, first) {
				break
			}
			j = k
		}
	}
}

// outstanding reports whether a SACK or a FORWARD TSN is still owed.
func (w *window) outstanding() bool { return w.count > 0 }

// startT3 starts the retransmission timer unless it runs, RFC 9260 §6.3.2 R1.
func (t *sender) startT3(now mono.Time, rto mono.Time) {
	if t.t3 == 0 {
		t.t3, t.heard = now+rto, false
	}
}

// minFilter is the least of what was seen in the last 10 to 20 s.
type minFilter struct {
	now, before time.Duration
	since       mono.Time
}

const filterTime = 10 * time.Second

func (f *minFilter) sample(now mono.Time, d time.Duration) {
	switch {
	case f.since == 0:
		f.now, f.before, f.since = d, math.MaxInt64, now
	case now.Sub(f.since) > filterTime:
		f.before, f.now, f.since = f.now, d, now
	default:
		f.now = min(f.now, d)
	}
}

// get returns 0 before the first sample.
func (f *minFilter) get() time.Duration {
	if f.since == 0 {
		return 0
	}
	return min(f.now, f.before)
}
