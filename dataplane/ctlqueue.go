package dataplane

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/stun"
)

// ctlPacket is a packet on its way from the data lane to the ctl lane.
type ctlPacket struct {
	t           *Transport // nil: the address is unknown
	remote      netip.AddrPort
	local       netip.Addr
	at          mono.Time
	contentType uint8
	n           int
	buf         []byte // of the queue
}

// ctlQueue is a bounded queue of packets. Their memory is used again last in,
// first out: what is seldom needed is seldom touched.
type ctlQueue struct {
	*ring[uint16] // of cells
	cells         []ctlPacket
	pages         pages
	mem           []byte // of the cells

	// Producer.
	free      []uint16
	reclaimed uint32 // items before are back in free
}

func newCtlQueue(n int) *ctlQueue {
	q := &ctlQueue{ring: newRing[uint16](n), cells: make([]ctlPacket, n), free: make([]uint16, n)}
	q.pages.get(&q.mem, n*cellSize)
	for i := range q.free {
		q.free[i] = uint16(n - 1 - i)
		q.cells[i].buf = q.mem[i*cellSize : (i+1)*cellSize : (i+1)*cellSize]
	}
	return q
}

// cell is where the producer writes the next packet, or nil when the queue is
// full. push makes it visible.
func (q *ctlQueue) cell() *ctlPacket {
	for head := q.head.Load(); q.reclaimed != head; q.reclaimed++ {
		q.free = append(q.free, *q.ring.at(q.reclaimed))
	}
	if len(q.free) == 0 {
		return nil
	}
	return &q.cells[q.free[len(q.free)-1]]
}

func (q *ctlQueue) push() {
	last := len(q.free) - 1
	*q.slot() = q.free[last]
	q.free = q.free[:last]
	q.publish()
}

// at is packet i of the span.
func (q *ctlQueue) at(i uint32) *ctlPacket { return &q.cells[*q.ring.at(i)] }

// toCtl copies a packet to the ctl lane. Data lane.
func (s *Shard) toCtl(t *Transport, m *sockets.Message, contentType uint8, b []byte) {
	q := s.ctlKnown
	if t == nil {
		// Only STUN may introduce an address (RFC 8827 §6.5: no media or
		// DTLS before reachability is verified).
		if !stun.Is(b) {
			s.drop(DropUnknownAddr)
			return
		}
		q = s.ctlUnknown
	} else if t.records == nil && contentType == 0 && !stun.Is(b) {
		q = s.ctlHandshake
	}
	c := q.cell()
	if c == nil {
		s.drop(DropCtlFull)
		return
	}
	c.t, c.remote, c.local, c.at, c.contentType = t, m.Addr, m.Local, m.At, contentType
	c.n = copy(c.buf, b)
	q.push()
	s.ctlPending = true
}
