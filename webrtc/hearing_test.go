package webrtc

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sctp"
)

// OnDataChannel, OnOpen and the messages come in this order however soon the
// messages follow the OPEN, and on an id that had another channel before.
func TestMessagesComeAfterTheirChannelIsOpen(t *testing.T) {
	a, b := couple(t)
	type step struct {
		label, what string
	}
	steps := make(chan step, 1000)
	b.OnDataChannel(func(in *DataChannel) {
		steps <- step{in.Label(), "channel"}
		in.OnOpen(func() { steps <- step{in.Label(), "open"} })
		in.OnMessage(func(m Message) { steps <- step{in.Label(), string(m.Data)} })
		in.OnClose(func() { steps <- step{in.Label(), "close"} })
	})
	first := must(a.CreateDataChannel("first", nil))(t)
	open := opened(first)
	negotiate(t, a, b, nil)
	await(t, "open", open)
	first.Close()
	for _, want := range []string{"channel", "open", "close"} {
		if s := await(t, want, steps); s != (step{"first", want}) {
			t.Fatalf("%v instead of %s", s, want)
		}
	}
	eventually(t, "end of the channel", func() bool { return first.ReadyState() == DataChannelClosed })
	const n = 50
	for range 20 {
		id := uint16(2)
		if !isEven(first) {
			id = 1
		}
		dc := must(a.CreateDataChannel("again", &DataChannelInit{ID: &id}))(t)
		closed := make(chan struct{})
		dc.OnClose(func() { close(closed) }) // before anything can happen: OnOpen begins it
		dc.OnOpen(func() {
			for i := range n {
				if err := dc.SendText(string(rune('A' + i))); err != nil {
					t.Error(err)
				}
			}
			dc.Close()
		})
		want := []string{"channel", "open"}
		for i := range n {
			want = append(want, string(rune('A'+i)))
		}
		for _, want := range append(want, "close") {
			if s := await(t, want, steps); s != (step{"again", want}) {
				t.Fatalf("%v instead of %q", s, want)
			}
		}
		await(t, "close", closed)
	}
}

func isEven(dc *DataChannel) bool {
	id, _ := dc.ID()
	return id%2 == 0
}

// Detach while messages come, whether or not OnMessage had some of them: each is
// had once, and in order.
func TestDetachWhileMessagesCome(t *testing.T) {
	for round := range 20 {
		_, _, dc, in := linked(t)
		const n = 2000
		var handled atomic.Uint32
		var wrong atomic.Bool
		if round%2 == 1 {
			in.OnMessage(func(m Message) {
				if handled.Add(1)-1 != binary.BigEndian.Uint32(m.Data) {
					wrong.Store(true)
				}
			})
		}
		sent := make(chan error, 1)
		go func() {
			for i := range uint32(n) {
				if err := dc.Send(binary.BigEndian.AppendUint32(nil, i)); err != nil {
					sent <- err
					return
				}
				if i%64 == 0 {
					runtime.Gosched()
				}
			}
			sent <- dc.Close()
		}()
		for range round * 50 {
			runtime.Gosched()
		}
		c := in.Detach()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 16)
		first, next := uint32(n), uint32(0)
		for {
			k, err := c.Read(b)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			i := binary.BigEndian.Uint32(b[:k])
			if first == n {
				first, next = i, i
			}
			if i != next {
				t.Fatalf("round %d: message %d instead of %d", round, i, next)
			}
			next++
		}
		if err := await(t, "sender", sent); err != nil {
			t.Fatal(err)
		}
		if first < n && next != n {
			t.Fatalf("round %d: the last message is %d", round, next-1)
		}
		if round%2 == 0 && first != 0 {
			t.Fatalf("round %d: the first message is %d", round, first)
		}
		if round%2 == 1 {
			eventually(t, "end of the handler", func() bool { return handled.Load() == first })
		}
		if wrong.Load() {
			t.Fatal("the handler had them out of order")
		}
	}
}

// Neither end of a connection waits for ever, nor is a handler called after
// OnClose, when it ends while messages come.
func TestEndWhileMessagesCome(t *testing.T) {
	for round := range 10 {
		a, b, dc, in := linked(t)
		var over atomic.Bool
		var late atomic.Int32
		in.OnMessage(func(Message) {
			if over.Load() {
				late.Add(1)
			}
		})
		closed := make(chan struct{})
		in.OnClose(func() {
			over.Store(true)
			close(closed)
		})
		go func() {
			for dc.Send(make([]byte, 100)) == nil {
				runtime.Gosched()
			}
		}()
		for range 100 * round {
			runtime.Gosched()
		}
		bounded(t, func() { b.Close() })
		await(t, "OnClose", closed)
		bounded(t, func() { a.Close() })
		if n := late.Load(); n != 0 {
			t.Fatalf("%d messages after OnClose", n)
		}
	}
}

func TestEventsAreCalledInOrder(t *testing.T) {
	var q eventQueue
	gate, got := make(chan struct{}), make(chan int, 100)
	q.push(func() { <-gate })
	add := func(i int) { q.push(func() { got <- i }) }
	add(1)
	add(2)
	q.unshift(func() { got <- 0 }, 3)
	add(3)
	q.unshift(func() { got <- -1 }, 1)
	q.unshift(func() { got <- -2 }, 0)
	q.push(runtime.Goexit)
	add(4)
	close(gate)
	for _, want := range []int{-1, 0, 0, 0, 1, 2, 3, 4} {
		if i := await(t, "event", got); i != want {
			t.Fatalf("%d instead of %d", i, want)
		}
	}
}

// Many goroutines add: each one's functions are called once and in its order, one
// at a time.
func TestEventsOfManyGoroutines(t *testing.T) {
	var q eventQueue
	const from, n = 8, 2000
	var inside atomic.Int32
	var next [from]int // of the goroutine that drains
	done := make(chan struct{})
	left := from * n
	for k := range from {
		go func() {
			for i := range n {
				q.push(func() {
					if inside.Add(1) != 1 || next[k] != i {
						t.Errorf("%d of %d: %d at once, %d is next", i, k, inside.Load(), next[k])
					}
					next[k]++
					if left--; left == 0 {
						close(done)
					}
					inside.Add(-1)
				})
			}
		}()
	}
	await(t, "all events", done)
}

// Goroutines that drained queues end when they are not needed any more.
func TestEventWorkersEnd(t *testing.T) {
	eventually(t, "end of those of other tests", func() bool { return idleWorkers.Load() == 0 })
	var queues [2 * maxIdleWorkers]eventQueue
	gate, ran := make(chan struct{}), make(chan struct{}, len(queues))
	for i := range queues {
		queues[i].push(func() { <-gate; ran <- struct{}{} })
	}
	close(gate)
	for range queues {
		await(t, "event", ran)
	}
	eventually(t, "end of the goroutines", func() bool { return idleWorkers.Load() == 0 })
	queues[0].push(func() { ran <- struct{}{} })
	await(t, "event after that", ran)
}

// A message that is too long ends the channel on which it came, both ends are
// told, and the others go on.
func TestMessageTooLongClosesItsChannelAlone(t *testing.T) {
	dc, in := streamed(t, 1<<20, 0, &DataChannelInit{Unordered: true})
	incoming := make(chan *DataChannel, 1)
	in.pc.OnDataChannel(func(dc *DataChannel) { incoming <- dc })
	other := must(dc.pc.CreateDataChannel("other", nil))(t)
	r, w := in.Detach(), dc.Detach()
	_ = r.SetReadDeadline(time.Now().Add(patience))
	_ = w.SetReadDeadline(time.Now().Add(patience))
	closed := make(chan struct{})
	dc.OnClose(func() { close(closed) })
	// What goes before the peer was heard goes in order, and could be read in parts.
	if n, err := r.Write([]byte("heard")); err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.Read(make([]byte, 100)); err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.Write(make([]byte, 300<<10)); err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Read(make([]byte, 1<<20)); !errors.Is(err, sctp.ErrPeerMessage) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	await(t, "close", closed)
	far := await(t, "the other channel", incoming).Detach()
	if _, err := other.Detach().Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := far.Read(b); err != nil || string(b[:n]) != "still here" {
		t.Errorf("%q, %v", b[:n], err)
	}
}
