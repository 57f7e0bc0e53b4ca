package main

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/pion/logging"
	pionsctp "github.com/pion/sctp"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

const pionSCTP = "github.com/pion/sctp"

// pionPatience bounds waiting for Pion's goroutines.
const pionPatience = 10 * time.Second

// A pionQueue is an association of Pion's, whose queues only work within it,
// with one of ours at the other end, on virtual time: so its acknowledgements
// can be held back and come when they are to be measured. It is its net.Conn.
type pionQueue struct {
	a      *pionsctp.Association
	stream *pionsctp.Stream

	mu       sync.Mutex
	b        *sctp.Association
	now      mono.Time
	buf      []byte
	messages int      // received by b
	out      [][]byte // b's packets
	deaf     bool     // what Pion sends is dropped

	in      chan [][]byte // batches, of packets that Read returns
	idle    chan struct{} // a batch has been read and worked through
	batch   [][]byte      // Read's
	working bool          // Read's
	closed  chan struct{}
	once    sync.Once
}

func newPionQueue() *pionQueue {
	q := &pionQueue{
		b:   sctp.New(sctp.Config{MTU: sctpTwinMTU, MaxReceiveBuffer: 8 << 20}),
		now: 1, buf: make([]byte, sctpTwinMTU),
		in: make(chan [][]byte), idle: make(chan struct{}), closed: make(chan struct{}),
	}
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	connected := make(chan error, 1)
	go func() {
		var err error
		q.a, err = pionsctp.Client(pionsctp.Config{
			NetConn: q, LoggerFactory: logs, MTU: sctpTwinMTU, MaxReceiveBufferSize: 8 << 20,
			MinCwnd: 1 << 20, // as ours: all messages go at once
		})
		connected <- err
	}()
	for waiting := true; waiting; {
		select {
		case err := <-connected:
			must(err)
			waiting = false
		default:
			q.deliver(q.take())
		}
	}
	var err error
	q.stream, err = q.a.OpenStream(0, pionsctp.PayloadTypeWebRTCBinary)
	must(err)
	return q
}

// Read is called when Pion has done all that the packets before ask for.
func (q *pionQueue) Read(p []byte) (int, error) {
	for len(q.batch) == 0 {
		if q.working {
			q.working = false
			select {
			case q.idle <- struct{}{}:
			case <-q.closed:
				return 0, io.EOF
			}
		}
		select {
		case q.batch = <-q.in:
			q.working = true
		case <-q.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, q.batch[0])
	q.batch = q.batch[1:]
	return n, nil
}

func (q *pionQueue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.deaf {
		q.now = q.now.Add(time.Millisecond)
		_ = q.b.HandlePacket(q.now, p)
		q.answers()
	}
	return len(p), nil
}

// answers collects what b has to say.
func (q *pionQueue) answers() {
	for e, ok := q.b.Event(); ok; e, ok = q.b.Event() {
		if e.Kind == sctp.EventMessage {
			q.messages++
			q.b.Consume(e.SID, len(e.Data))
		}
	}
	for n := q.b.Transmit(q.now, q.buf); n > 0; n = q.b.Transmit(q.now, q.buf) {
		q.out = append(q.out, append([]byte(nil), q.buf[:n]...))
	}
}

// take returns b's packets.
func (q *pionQueue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.out
	q.out = nil
	return out
}

// deliver hands packets to Pion and returns when it has worked on them.
func (q *pionQueue) deliver(packets [][]byte) {
	if len(packets) == 0 {
		runtime.Gosched()
		return
	}
	q.in <- packets
	<-q.idle
}

// pause is beyond b's delayed acknowledgement, which it makes.
func (q *pionQueue) pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.now = q.now.Add(300 * time.Millisecond)
	q.b.HandleTimeout(q.now)
	q.answers()
}

// send writes n messages of a byte and returns when b has them.
func (q *pionQueue) send(n int) {
	q.mu.Lock()
	want := q.messages + n
	q.mu.Unlock()
	for range n {
		_, err := q.stream.WriteSCTP([]byte{1}, pionsctp.PayloadTypeWebRTCBinary)
		must(err)
	}
	for begun, there := time.Now(), 0; there < want; {
		runtime.Gosched()
		q.mu.Lock()
		there = q.messages
		q.mu.Unlock()
		if time.Since(begun) > pionPatience {
			panic("bench: pion/sctp keeps its messages")
		}
	}
}

// The rest of net.Conn.
func (q *pionQueue) Close() error                     { q.once.Do(func() { close(q.closed) }); return nil }
func (q *pionQueue) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (q *pionQueue) RemoteAddr() net.Addr             { return &net.UDPAddr{} }
func (q *pionQueue) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (q *pionQueue) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (q *pionQueue) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// work makes a contender of it. Pion's goroutines hand over to each other, so
// it works on one processor, where that is cheapest and where none of its work
// is done beside the clock, and on a goroutine that is bound to no thread.
func (q *pionQueue) work(c contender) microWork {
	c.turn = func(d time.Duration) (ns float64, err error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		done := make(chan struct{})
		go func() {
			defer close(done)
			once(c)
			var spent time.Duration
			n := 0
			for spent < d {
				if c.prepare != nil {
					c.prepare()
				}
				t := time.Now()
				n += c.run()
				spent += time.Since(t)
			}
			ns = float64(spent) / float64(n)
		}()
		<-done
		return ns, nil
	}
	return microWork{contender: c, close: func() { _ = q.a.Close() }}
}

// pionRemoval takes n messages in flight off by one acknowledgement.
func pionRemoval(n int) func() microWork {
	return func() microWork {
		q := newPionQueue()
		var sack []byte
		prepare := func() {
			q.pause()
			q.deliver(q.take()) // nothing, or a heartbeat
			q.send(n)
			q.pause()
			packets := q.take()
			sack = packets[len(packets)-1]
		}
		run := func() int {
			q.deliver([][]byte{sack})
			return n
		}
		prepare()
		run()
		if left := q.a.BufferedAmount(); left != 0 {
			panic("bench: pion/sctp was not told of all messages")
		}
		return q.work(contender{prepare: prepare, run: run})
	}
}

// pionLookup looks up a thousand numbers that have been received before.
func pionLookup() microWork {
	q := newPionQueue()
	var packets [][]byte
	q.mu.Lock()
	for range 1000 {
		must(q.b.Write(q.now, 0, 53, []byte{1}, sctp.SendOptions{}))
		q.answers()
	}
	q.deaf = true
	q.mu.Unlock()
	packets = q.take()
	q.deliver(packets)
	return q.work(contender{run: func() int {
		q.deliver(packets)
		return len(packets)
	}})
}

// pionAddRemove writes a message, sends it, and takes it off when it is
// acknowledged; the receiver's work is part of it, and is ours.
func pionAddRemove() microWork {
	q := newPionQueue()
	return q.work(contender{run: func() int {
		for range microRun {
			q.send(1)
			q.deliver(q.take())
		}
		return microRun
	}})
}
