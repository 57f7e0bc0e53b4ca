package dataplane

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sockets"
)

// handover is an item between two shards. Its packet lies in a cell of the
// producer's slab, which the consumer reads until it releases the item.
type handover struct {
	kind handoverKind
	cell int32 // -1: none

	// handDatagram: as it was received.
	t      *Transport
	buf    []byte
	remote netip.AddrPort
	local  netip.Addr
	at     mono.Time

	// handPacket, handReport, handKeyframe.
	stream *Stream // the consumer's: its mirror, or the home stream of a request
	packet packet
	report senderReport
}

type handoverKind uint8

const (
	handDatagram handoverKind = iota // a datagram for a transport of the consumer's
	handPacket                       // plaintext for the legs of the consumer's mirror
	handReport                       // the sender report that goes with it
	handKeyframe                     // a receiver of the producer's needs a key frame
)

// packet is one RTP packet of a burst, in plaintext.
type packet struct {
	v        rtp.View
	seq      int64 // extended
	keyframe bool  // begins a key frame
	fresh    bool  // the first of another source, whose numbering is its own
	first    bool  // nothing of its sequence number, or a later one, has come before
	cell     int32 // of the home shard's slab; -1: not in one
}

// toShard is the next free item towards another shard, or nil.
func (s *Shard) toShard(to *Shard) *handover {
	h := s.out[to.index].ring.slot()
	if h == nil {
		s.drop(DropHandover)
		return nil
	}
	*h = handover{cell: -1}
	return h
}

func (s *Shard) published(to *Shard) {
	o := &s.out[to.index]
	o.ring.publish()
	o.wake = true
}

// hold keeps a received cell for the consumer of h. Every cell of the batch
// being read that is held needs a free one in its place.
func (s *Shard) hold(h *handover, cell int32) bool {
	if cell < 0 {
		return true
	}
	if s.slab.refs[cell] == 0 {
		if len(s.slab.free) <= s.holding {
			s.drop(DropHandover)
			return false
		}
		s.holding++
	}
	s.slab.refs[cell]++
	h.cell = cell
	return true
}

// handOver passes a datagram to the shard on which its transport lives: the
// kernel's hash sends a second address of one peer anywhere.
func (s *Shard) handOver(t *Transport, m *sockets.Message, cell int32) {
	h := s.toShard(t.shard)
	if h == nil || !s.hold(h, cell) {
		return
	}
	h.kind, h.t, h.buf, h.remote, h.local, h.at = handDatagram, t, m.Buf, m.Addr, m.Local, m.At
	s.published(t.shard)
	bump(&s.count.handedOver, 1)
}

func (s *Shard) pendingIn() bool {
	for _, r := range s.in {
		if r != nil && !r.empty() {
			return true
		}
	}
	return false
}

// takeIn works through what other shards have published. The items stay
// theirs to read until releaseIn.
func (s *Shard) takeIn(now mono.Time) {
	for i, r := range s.in {
		if r == nil {
			continue
		}
		from, to := r.span()
		for ; from != to; from++ {
			s.takeItem(now, r.at(from))
		}
		s.taken[i] = to
	}
}

func (s *Shard) takeItem(now mono.Time, h *handover) {
	switch h.kind {
	case handDatagram:
		s.current = h.t
		h.t.receiveHandedOver(now, h)
	case handPacket:
		h.stream.enqueue(h.packet)
	case handReport:
		h.stream.report = h.report
	case handKeyframe:
		h.stream.requestKeyframe(now)
	}
}

// releaseIn gives the cells of everything taken back to their shards.
func (s *Shard) releaseIn() {
	for i, r := range s.in {
		if r != nil {
			r.release(s.taken[i])
		}
	}
}

// reclaim frees the cells which other shards have released.
func (s *Shard) reclaim() {
	for i := range s.out {
		o := &s.out[i]
		if o.ring == nil {
			continue
		}
		head, _ := o.ring.span()
		for ; o.reclaimed != head; o.reclaimed++ {
			h := o.ring.at(o.reclaimed)
			if h.cell >= 0 {
				s.slab.unref(h.cell)
				h.cell = -1
			}
			h.t, h.stream = nil, nil // what they name may be gone long before the slot's turn
		}
	}
}

func (s *Shard) rouseOthers() {
	for i := range s.out {
		if o := &s.out[i]; o.wake {
			o.wake = false
			s.engine.shards[i].rouse()
		}
	}
}
