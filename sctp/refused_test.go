package sctp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// A message that is too long closes its channel, with a reason, and no other.
func TestClass24_OversizeMessageClosesItsChannelAlone(t *testing.T) {
	const most = 50_000
	for _, interleave := range []bool{false, true} {
		for _, unordered := range []bool{false, true} {
			for _, parts := range []bool{false, true} {
				for _, loss := range []float64{0, .05} {
					name := fmt.Sprintf("interleave %v/unordered %v/parts %v/loss %v", interleave, unordered, parts, loss)
					t.Run(name, func(t *testing.T) {
						ab, ba := both(7, netem.Config{Delay: 10 * time.Millisecond, Loss: loss})
						cfg := Config{Interleave: interleave, MaxMessageSize: most, MaxPartsSize: most, ReadParts: parts, MaxSendMessageSize: 1 << 20}
						p := newChannelPair(t, cfg, ab, ba).connect()
						bad := p.opened(0, ChannelParams{Unordered: unordered})
						good := p.opened(0, ChannelParams{})
						p.send(0, bad, false, "before")
						p.send(0, bad, false, string(make([]byte, 300_000)))
						p.send(0, bad, false, "behind")
						p.send(0, good, false, string(make([]byte, most)))
						if !p.Run(time.Minute, func() bool {
							return p.count(0, ChannelClosed, bad) == 1 && p.count(1, ChannelClosed, bad) == 1
						}) {
							t.Fatalf("not closed: %v %v", p.ev[0], p.ev[1])
						}
						if p.count(1, ChannelClosing, bad) != 1 || !errors.Is(p.find(1, ChannelClosed, bad).Err, ErrPeerMessage) {
							t.Errorf("%v", p.ev[1])
						}
						p.Sleep(time.Second)
						got, size := "", 0
						for _, m := range p.got[1] {
							if m.ID == good {
								size += len(m.Data)
							} else if !m.More {
								got += string(m.Data)
							}
						}
						if size != most {
							t.Errorf("%d bytes on the other channel", size)
						}
						if got != "before" {
							t.Errorf("%q came", got)
						}
						q := &p.c[1].assoc.rx.data
						if q.bytes != 0 || q.entries != 0 || len(q.runs) != 0 {
							t.Errorf("%d bytes, %d entries, %d runs are held", q.bytes, q.entries, len(q.runs))
						}
						again := p.open(0, ChannelParams{ID: &bad, Label: "again"})
						p.got[1] = nil
						p.send(0, again, false, "fresh")
						if !p.Run(time.Minute, func() bool { return len(p.got[1]) == 1 }) || string(p.got[1][0].Data) != "fresh" {
							t.Errorf("the id cannot be used again: %v", p.ev[1])
						}
					})
				}
			}
		}
	}
}

// The negative twin: one of just the size is taken, on all of them.
func TestClass24_TwinMessageOfTheLargestSizeArrives(t *testing.T) {
	const most = 50_000
	for _, unordered := range []bool{false, true} {
		ab, ba := both(8, netem.Config{Delay: 10 * time.Millisecond, Loss: .05})
		p := newChannelPair(t, Config{MaxMessageSize: most}, ab, ba).connect()
		id := p.opened(0, ChannelParams{Unordered: unordered})
		want := body(3, most)
		p.send(0, id, false, string(want))
		if !p.Run(time.Minute, func() bool { return len(p.got[1]) == 1 }) || !bytes.Equal(p.got[1][0].Data, want) {
			t.Fatalf("%d messages, %v", len(p.got[1]), p.ev[1])
		}
		if p.count(1, ChannelClosed, id) != 0 {
			t.Error("closed")
		}
	}
}

// Nothing of a refused message is held while the rest of it comes, however long
// it goes on and whichever piece comes first.
func TestClass24_RefusedMessageHoldsNothing(t *testing.T) {
	const most = 4000
	for _, missing := range []uint32{0, 1, 5} {
		q := reassembly{limit: 1 << 20, maxSize: most, refuses: true, events: new(fifo[Event])}
		add := func(i uint32, flags uint8) {
			q.add(&dataChunk{tsn: 100 + i, sid: 1, flags: flags, payload: make([]byte, 1000)})
		}
		const n = 1000
		for i := range uint32(n) {
			if i != missing {
				flags := uint8(0)
				if i == 0 {
					flags = flagBegin
				}
				add(i, flags)
			}
			if held := q.bytes; held > 2*most+2000 {
				t.Fatalf("%d bytes are held after %d fragments", held, i)
			}
		}
		flags := uint8(0)
		if missing == 0 {
			flags = flagBegin
		}
		add(missing, flags)
		add(n, flagEnd)
		refused := 0
		for e, ok := q.events.pop(); ok; e, ok = q.events.pop() {
			if e.Kind != EventMessageRefused {
				t.Errorf("%+v", e)
			}
			refused++
		}
		if refused == 0 || q.bytes != 0 || q.entries != 0 || len(q.runs) != 0 || q.streams[1].next != 1 {
			t.Errorf("refused %d times; %d bytes, %d entries, %d runs; SSN %d is next", refused, q.bytes, q.entries, len(q.runs), q.streams[1].next)
		}
	}
}
