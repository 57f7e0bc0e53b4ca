package dataplane

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// letters counts what waits in a shard's mail.
func (s *Shard) mailed() (n int) {
	for l := s.mail.head.Load(); l != nil; l = l.next {
		n++
	}
	return n
}

// However many messages are sent before the data lane looks, it is told once,
// takes them a part at a time, and keeps their order.
func TestSentTogetherIsToldOnce(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	s, m := r.e.shards[0], newMeter(t)
	const n = 2*outboxTurn + 10
	for i := range uint32(n) {
		a.ends[0].tr.Send(m, id, false, binary.BigEndian.AppendUint32(nil, i))
	}
	if k := s.mailed(); k != 1 {
		t.Errorf("%d updates", k)
	}
	a.ends[0].tr.takeOutbox(r.now)
	if k := m.Buffered(); k != 4*n || m.applied != 4*outboxTurn {
		t.Errorf("%d bytes are buffered, %d with the association", k, m.applied)
	}
	a.pass(500 * time.Millisecond)
	got := a.messages(1)
	if len(got) != n || m.Buffered() != 0 {
		t.Fatalf("%d messages, %d bytes are buffered", len(got), m.Buffered())
	}
	for i, b := range got {
		if binary.BigEndian.Uint32(b) != uint32(i) {
			t.Fatalf("message %d is number %d", i, binary.BigEndian.Uint32(b))
		}
	}
}

// Whatever else is done with the channels comes behind what was sent before.
func TestCloseComesBehindWhatWasSent(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	m := newMeter(t)
	const n = 3*outboxTurn + 10
	for i := range uint32(n) {
		a.ends[0].tr.Send(m, id, false, binary.BigEndian.AppendUint32(nil, i))
	}
	a.ends[0].tr.Channels(func(c *sctp.Channels, now mono.Time) { c.Close(now, id) })
	a.pass(time.Second)
	if got := a.messages(1); len(got) != n {
		t.Errorf("%d messages of %d", len(got), n)
	}
	if last := a.events[1][len(a.events[1])-1]; last.Kind != sctp.ChannelClosed || last.Err != nil {
		t.Errorf("%+v", last)
	}
}

// What is consumed bit by bit is told with the next packet; the data lane is not
// woken for it until the peer might wait.
func TestConsumedIsToldWhenItMatters(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	s, m := r.e.shards[0], newMeter(t)
	const n, size = 400, 300
	for range n {
		a.ends[0].tr.Send(m, id, false, make([]byte, size))
	}
	a.pass(500 * time.Millisecond)
	held := func() (n int) {
		a.ends[1].tr.Post(func(*Shard, mono.Time) { n = a.ends[1].tr.chans.c.Stats().ReceiveBuffered })
		r.step()
		return n
	}
	if k := held(); k != n*size {
		t.Fatalf("%d bytes are held", k)
	}
	told, most := 0, 0
	for range n {
		a.ends[1].tr.Consume(id, size)
		if s.mailed() > 0 {
			r.step()
			told++
		}
		most = max(most, int(a.ends[1].tr.outbox.lazy.Load()))
	}
	if want := n * (size + consumeCost) / consumeMost; told < want-1 || told > want+1 || most >= consumeMost {
		t.Errorf("told %d times, not %d; %d bytes were kept back", told, want, most)
	}
	if k := held(); k == 0 || k >= consumeMost {
		t.Errorf("%d bytes are held", k)
	}
	a.ends[0].tr.Send(m, id, false, make([]byte, size)) // a packet, and the next one
	a.pass(500 * time.Millisecond)
	if k := held(); k != size {
		t.Errorf("%d bytes are held after a packet", k)
	}
}

// The smallest window is told of a part of what would fill it.
func TestConsumedMattersMoreToASmallWindow(t *testing.T) {
	for window, want := range map[int]int32{1 << 20: consumeMost, 4000: 500, 0: 0} {
		if o := newOutbox(nil, window); o.most != want {
			t.Errorf("window %d: %d bytes", window, o.most)
		}
	}
}

func TestSentAfterTheEndIsRefused(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	a.ends[0].tr.Close(nil)
	r.step()
	var refused []error
	m := &Meter{Failed: func(err error) { refused = append(refused, err) }}
	a.ends[0].tr.Send(m, id, false, []byte("late"))
	a.ends[0].tr.Consume(id, 1<<20)
	r.step()
	if len(refused) != 1 || !errors.Is(refused[0], sctp.ErrClosed) || m.Buffered() != 0 {
		t.Errorf("%v, %d bytes are buffered", refused, m.Buffered())
	}
}

func TestSendAndConsumeAllocateNothing(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	tr, m, data := a.ends[0].tr, newMeter(t), make([]byte, 100)
	take := func() {
		for l := tr.shard.mail.take(); l != nil; l = l.next {
			tr.outbox.posted.Store(false)
		}
		for {
			if _, ok := tr.outbox.items.Pop(); !ok {
				break
			}
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		tr.Send(m, id, false, data)
		tr.Send(m, id, true, data)
		tr.Consume(id, 100)
		take()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
