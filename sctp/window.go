package sctp

import "github.com/sluicertc/sluice/internal/mono"

// sentChunk is a DATA chunk which has a TSN and is not acknowledged
// cumulatively.
type sentChunk struct {
	msg    *message
	off, n int
	flags  uint8
	acked  bool // by a gap block
	marked bool // to be retransmitted; then it is not in flight
	fast   bool // has been retransmitted fast: once only (RFC 9260 §7.2.4)
	misses uint8
	sends  uint32
	ackSeq uint32 // the SACK which reported it
}

// inFlight reports whether the network may still carry it.
func (c *sentChunk) inFlight() bool { return !c.acked && !c.marked && !c.msg.gone }

// window is the sent chunks in a ring; TSNs are consecutive, so that a TSN is
// an index.
type window struct {
	ring   []sentChunk // a power of two long
	head   uint32
	count  uint32
	base   uint32 // TSN of the first
	flight int    // bytes in flight
	marked int    // bytes to be retransmitted
	from   uint32 // no chunk below this TSN is marked
	high   uint32 // highest TSN reported by a gap block; below base: none
	sacks  uint32
}

func (w *window) start(tsn uint32) {
	*w = window{base: tsn, from: tsn, high: tsn - 1}
}

// end is the TSN which the next chunk gets.
func (w *window) end() uint32 { return w.base + w.count }

func (w *window) at(tsn uint32) *sentChunk {
	return &w.ring[(w.head+(tsn-w.base))&uint32(len(w.ring)-1)]
}

func (w *window) contains(tsn uint32) bool { return tsn-w.base < w.count }

// add appends a chunk and returns its TSN.
func (w *window) add(c sentChunk) uint32 {
	if int(w.count) == len(w.ring) {
		ring := make([]sentChunk, max(16, 2*len(w.ring)))
		for i := range w.count {
			ring[i] = *w.at(w.base + i)
		}
		w.ring, w.head = ring, 0
	}
	tsn := w.end()
	w.count++
	*w.at(tsn) = c
	if c.inFlight() {
		w.flight += c.n
	}
	return tsn
}

// pop removes the first chunk, which is acknowledged.
func (w *window) pop() sentChunk {
	c := *w.at(w.base)
	w.settle(&c)
	*w.at(w.base) = sentChunk{}
	w.head = (w.head + 1) & uint32(len(w.ring)-1)
	w.count--
	w.base++
	if tsnLess(w.from, w.base) {
		w.from = w.base
	}
	if tsnLess(w.high, w.base-1) {
		w.high = w.base - 1
	}
	return c
}

// settle takes a chunk out of the counts of bytes in flight and marked.
func (w *window) settle(c *sentChunk) {
	if c.inFlight() {
		w.flight -= c.n
	}
	if c.marked {
		w.marked -= c.n
		c.marked = false
	}
}

// mark asks for the retransmission of a chunk which is in flight.
func (w *window) mark(tsn uint32) {
	c := w.at(tsn)
	w.flight -= c.n
	w.marked += c.n
	c.marked, c.misses = true, 0
	if tsnLess(tsn, w.from) {
		w.from = tsn
	}
}

// nextMarked returns the first chunk to be retransmitted.
func (w *window) nextMarked() (uint32, *sentChunk) {
	if w.marked == 0 {
		w.from = w.end()
		return 0, nil
	}
	for ; w.contains(w.from); w.from++ {
		if c := w.at(w.from); c.marked {
			return w.from, c
		}
	}
	return 0, nil
}

// resent notes that a marked chunk goes out again.
func (w *window) resent(c *sentChunk) {
	w.marked -= c.n
	w.flight += c.n
	c.marked = false
	c.sends++
}

// outstanding reports whether a SACK or a FORWARD TSN is still owed.
func (w *window) outstanding() bool { return w.count > 0 }

// startT3 starts the retransmission timer unless it runs, RFC 9260 §6.3.2 R1.
func (t *sender) startT3(now mono.Time, rto mono.Time) {
	if t.t3 == 0 {
		t.t3, t.heard = now+rto, false
	}
}
