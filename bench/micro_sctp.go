package main

import (
	queue "container/list"
	"fmt"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// sctpTwins are two associations with nothing between them, on virtual time.
type sctpTwins struct {
	a, b *sctp.Association
	now  mono.Time
	buf  []byte
}

// sctpTwinMTU makes the first congestion window large enough for 5000 messages of
// a byte: an association that was idle has no other.
const sctpTwinMTU = 4000

func newSCTPTwins() *sctpTwins {
	c := sctp.Config{MTU: sctpTwinMTU, MaxReceiveBuffer: 8 << 20}
	t := &sctpTwins{a: sctp.New(c), b: sctp.New(c), now: 1, buf: make([]byte, sctpTwinMTU)}
	t.a.Start(t.now)
	t.settle()
	return t
}

// settle lets both talk until neither has more to say.
func (t *sctpTwins) settle() {
	for quiet := 0; quiet < 2; {
		quiet++
		if t.cross(t.a, t.b) {
			quiet = 0
		}
		if t.cross(t.b, t.a) {
			quiet = 0
		}
		t.now = t.now.Add(300 * time.Millisecond) // beyond a delayed acknowledgement
		t.a.HandleTimeout(t.now)
		t.b.HandleTimeout(t.now)
	}
}

func (t *sctpTwins) cross(from, to *sctp.Association) (any bool) {
	for {
		n := from.Transmit(t.now, t.buf)
		if n == 0 {
			break
		}
		any = true
		_ = to.HandlePacket(t.now, t.buf[:n]) // what it drops, the results tell
	}
	t.drain(from)
	t.drain(to)
	return any
}

func (t *sctpTwins) drain(a *sctp.Association) {
	for {
		e, ok := a.Event()
		if !ok {
			return
		}
		if e.Kind == sctp.EventMessage {
			a.Consume(e.SID, len(e.Data))
		}
	}
}

// send puts n messages of a byte in flight and returns the packets.
func (t *sctpTwins) send(n int) (packets [][]byte) {
	for range n {
		must(t.a.Write(t.now, 0, 53, []byte{1}, sctp.SendOptions{}))
	}
	for {
		k := t.a.Transmit(t.now, t.buf)
		if k == 0 {
			return packets
		}
		packets = append(packets, append([]byte(nil), t.buf[:k]...))
	}
}

// receive hands packets to b and returns its last acknowledgement.
func (t *sctpTwins) receive(packets [][]byte) (sack []byte) {
	for _, p := range packets {
		_ = t.b.HandlePacket(t.now, p)
		for {
			n := t.b.Transmit(t.now, t.buf)
			if n == 0 {
				break
			}
			sack = append(sack[:0], t.buf[:n]...)
		}
	}
	t.drain(t.b)
	return sack
}

// microSCTP measures the queues where they work: in the calls of an
// association, ours, Pion's and werift's alike. go-stdlib is the containers
// alone, which is what webrtc_dart's tests of these names measure of theirs.
func microSCTP() []microCase {
	return []microCase{
		{path: "sctp/queue-batch-removal-1000", slow: true, module: pionSCTP, sluice: sctpRemoval(1000), pion: pionRemoval(1000), stdlib: listRemoval(1000)},
		{path: "sctp/queue-tsn-lookup", module: pionSCTP, sluice: sctpLookup, pion: pionLookup, stdlib: mapLookup},
		{path: "sctp/queue-remove-range-5000", slow: true, module: pionSCTP, sluice: sctpRemoval(5000), pion: pionRemoval(5000), stdlib: listRemoval(5000)},
		{path: "sctp/queue-add-remove", module: pionSCTP, sluice: sctpAddRemove, pion: pionAddRemove, stdlib: listAddRemove},
	}
}

// sctpRemoval takes n messages in flight off by one acknowledgement.
func sctpRemoval(n int) func() microWork {
	return func() microWork {
		t := newSCTPTwins()
		var sack []byte
		prepare := func() {
			t.settle()
			sack = t.receive(t.send(n))
		}
		run := func() int {
			must(t.a.HandlePacket(t.now, sack))
			return n
		}
		prepare()
		run()
		if s := t.a.Stats(); s.Buffered != 0 {
			panic(fmt.Sprintf("bench: %d bytes did not fit in flight or were not acknowledged", s.Buffered))
		}
		return microWork{contender: contender{prepare: prepare, run: run}}
	}
}

// sctpLookup looks up a thousand numbers that have been received before: packets
// of one chunk, each a duplicate, and what answers them.
func sctpLookup() microWork {
	t := newSCTPTwins()
	var packets [][]byte
	for range 1000 {
		packets = append(packets, t.send(1)...)
	}
	t.receive(packets)
	return microWork{contender: contender{run: func() int {
		for _, p := range packets {
			_ = t.b.HandlePacket(t.now, p)
		}
		for t.b.Transmit(t.now, t.buf) > 0 {
		}
		t.now = t.now.Add(time.Millisecond)
		return len(packets)
	}}}
}

// sctpAddRemove writes a message, sends it, and takes it off when it is
// acknowledged; the receiver's work is part of it.
func sctpAddRemove() microWork {
	t := newSCTPTwins()
	data := []byte{1}
	return repeat(func() {
		must(t.a.Write(t.now, 0, 53, data, sctp.SendOptions{}))
		t.cross(t.a, t.b)
		t.cross(t.b, t.a)
		t.now = t.now.Add(time.Millisecond)
	}, nil)
}

// sctpItem has the size of what such a queue holds.
type sctpItem struct {
	tsn uint32
	_   []byte
}

func listRemoval(n int) func() microWork {
	return func() microWork {
		q := queue.New()
		return microWork{contender: contender{
			prepare: func() {
				for i := range n {
					q.PushBack(&sctpItem{tsn: uint32(i)})
				}
			},
			run: func() int {
				for e := q.Front(); e != nil && e.Value.(*sctpItem).tsn < uint32(n); e = q.Front() {
					q.Remove(e)
				}
				return n
			},
		}}
	}
}

func mapLookup() microWork {
	m := map[uint32]*sctpItem{}
	for i := range uint32(1000) {
		m[i] = &sctpItem{tsn: i}
	}
	var found *sctpItem
	tsn := uint32(0)
	return repeat(func() {
		tsn = (tsn + 7) % 1000
		found = m[tsn]
	}, func() string { return fmt.Sprint(found != nil) })
}

func listAddRemove() microWork {
	q, tsn := queue.New(), uint32(0)
	return repeat(func() {
		tsn++
		q.PushBack(&sctpItem{tsn: tsn})
		q.Remove(q.Front())
	}, nil)
}
