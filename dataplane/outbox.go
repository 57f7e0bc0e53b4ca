package dataplane

import (
	"sync"
	"sync/atomic"

	"github.com/sluicertc/sluice/internal/chain"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// outbox is what applications tell a transport's data channels: messages to
// send, and what they have consumed. What comes together reaches the data lane
// as one update, and a message needs no memory but its own.
type outbox struct {
	mu     sync.Mutex // of those who add; the data lane takes no lock
	items  chain.Queue[outgoing]
	added  atomic.Uint64 // to items, since ever
	taken  uint64        // from items; data lane
	posted atomic.Bool   // an update to take them is under way
	letter [2]letter[Update]
	turn   int          // which of them is next; of who has set posted
	lazy   atomic.Int32 // what has been consumed and not been told
	most   int32        // of lazy
}

func newOutbox(t *Transport, window int) *outbox {
	o := &outbox{most: int32(min(consumeMost, window/8))}
	update := func(_ *Shard, now mono.Time) {
		o.posted.Store(false) // first: who adds after the last look posts again
		t.takeOutbox(now)
		t.wantDrain()
	}
	o.letter[0].v, o.letter[1].v = update, update
	return o
}

// outgoing is a message on its way to the association, or, without a meter, n
// bytes that were consumed.
type outgoing struct {
	m    *Meter
	data []byte
	n    int
	id   uint16
	text bool
}

// Send sends a message, which it keeps, on the data channel with an id. One for
// which there is no memory at present waits, and those after it. What the
// association refuses is reported to m.Failed.
func (t *Transport) Send(m *Meter, id uint16, text bool, data []byte) {
	m.posted.Add(int64(len(data)))
	o := t.outbox
	o.add(outgoing{m: m, id: id, text: text, data: data})
	o.post(t.shard)
}

// Consume tells that n bytes of a channel's messages have been dealt with. The
// association hears of it with the next packet, or when it is worth a packet of
// its own.
func (t *Transport) Consume(id uint16, n int) {
	o := t.outbox
	o.add(outgoing{id: id, n: n})
	if o.lazy.Add(int32(min(n, consumeMost))+consumeCost) >= o.most {
		o.post(t.shard)
	}
}

func (o *outbox) add(item outgoing) {
	o.mu.Lock()
	o.items.Push(item)
	o.added.Add(1)
	o.mu.Unlock()
}

// post sees to it that the items are taken.
func (o *outbox) post(s *Shard) {
	if o.posted.Swap(true) {
		return
	}
	// The other one may still be read, by the turn that has just cleared posted;
	// this one was done with before that was put into the mail.
	l := &o.letter[o.turn]
	o.turn = 1 - o.turn
	s.mail.put(l)
	s.rouse()
}

// takeOutbox gives the association what there is, for one turn. Data lane.
func (t *Transport) takeOutbox(now mono.Time) {
	o := t.outbox
	o.lazy.Store(0)
	most := o.taken + outboxTurn
	if t.takeUntil(now, most); o.taken == most {
		o.post(t.shard)
	}
}

// takeUntil gives the association what there is up to item n. Data lane.
func (t *Transport) takeUntil(now mono.Time, n uint64) {
	for t.outbox.taken < n {
		o, ok := t.outbox.items.Pop()
		if !ok {
			return
		}
		t.outbox.taken++
		switch {
		case o.m == nil:
			if t.chans.c != nil {
				t.chans.c.Consume(o.id, o.n)
			}
		case t.chans.c == nil:
			o.m.applies(len(o.data), 0)
			o.m.Failed(sctp.ErrClosed)
		case len(t.chans.waiting) > 0 || !t.chans.give(now, &o):
			t.chans.waiting = append(t.chans.waiting, o)
		}
	}
}
