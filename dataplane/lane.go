package dataplane

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/stun"
)

// Lane is a ctl lane: one goroutine that runs posted functions in order,
// timers, and the control packets of its shard.
type Lane struct {
	engine *Engine
	shard  *Shard
	mail   mailbox[func(now mono.Time)]
	wake   chan struct{}
	ended  chan struct{} // closed when run has returned

	// forwarded counts packets that other lanes have passed on and that wait.
	forwarded atomic.Int32

	// Ctl lane.
	timers  timers[*Timer]
	gate    gate
	writers []sockets.Writer // by shard, made at first use
	out     [1]sockets.Message
	scratch [cellSize]byte
}

func newLane(s *Shard) *Lane {
	l := &Lane{engine: s.engine, shard: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	l.gate = gate{places: maxHandshakes, timer: l.NewTimer(l.gate.expire)}
	return l
}

// Post queues f. Any goroutine; it never blocks. After Engine.Close f may
// never run.
func (l *Lane) Post(f func(now mono.Time)) {
	if l.mail.push(f) {
		l.signal()
	}
}

// Do runs f on the lane and waits for it, or for the lane's end after
// Engine.Close. When it returns f has run whole or never will. It must not be
// called on a lane.
func (l *Lane) Do(f func(now mono.Time)) {
	done := make(chan struct{})
	l.Post(func(now mono.Time) {
		defer close(done)
		f(now)
	})
	select {
	case <-done:
	case <-l.ended:
	}
}

func (l *Lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Timer calls a function on its lane. Ctl lane.
type Timer struct {
	lane *Lane
	f    func(now mono.Time)
	node timerNode
}

func (t *Timer) timerNode() *timerNode { return &t.node }

// NewTimer makes a timer that is not set. Ctl lane.
func (l *Lane) NewTimer(f func(now mono.Time)) *Timer { return &Timer{lane: l, f: f} }

// Set replaces the instant of the next call; zero means none. Ctl lane.
func (t *Timer) Set(at mono.Time) { t.lane.timers.set(t, at) }

// Write sends a datagram from shard s's socket. Loss of it is as on any
// network. Ctl lane.
func (l *Lane) Write(s *Shard, b []byte, local netip.Addr, remote netip.AddrPort) {
	if l.writers == nil {
		l.writers = make([]sockets.Writer, len(l.engine.shards))
	}
	w := l.writers[s.index]
	if w == nil {
		w = s.conn.Writer(len(l.out))
		l.writers[s.index] = w
	}
	l.out[0] = sockets.Message{Buf: b, Addr: remote, Local: local}
	if _, err := w.WriteBatch(l.out[:]); err != nil {
		s.ctlSendErrors.Add(1)
	}
}

// Scratch is memory for a datagram on its way to Write: whoever runs on the lane
// may use it, until it calls what may use it too. Ctl lane.
func (l *Lane) Scratch() []byte { return l.scratch[:] }

// Shard is the shard whose control packets this lane takes.
func (l *Lane) Shard() *Shard { return l.shard }

func (l *Lane) run() {
	defer l.engine.running.Done()
	defer close(l.ended)
	label(l.shard.index, "ctl")
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		more := l.turn(mono.Now())
		if more {
			select {
			case <-l.engine.quit:
				return
			default:
				continue
			}
		}
		wait := time.Hour
		if at := l.timers.next(); at != 0 {
			wait = at.Sub(mono.Now())
		}
		clock.Reset(wait)
		select {
		case <-l.engine.quit:
			return
		case <-l.wake:
		case <-clock.C:
		}
	}
}

// turn does what is due and reports whether something is left.
func (l *Lane) turn(now mono.Time) (more bool) {
	for m := l.mail.take(); m != nil; m = m.next {
		l.guard(nil, func() { m.v(now) })
	}
	for n := 1; ; n++ {
		t, ok := l.timers.pop(now)
		if !ok {
			break
		}
		l.guard(nil, func() { t.f(now) })
		if n%ctlTimers == 0 {
			runtime.Gosched() // the consent checks of thousands are due at once, and media is not to wait for them
		}
	}
	s := l.shard
	// First: an answer to what the others begin is for the next turn, whose timers
	// come before it.
	l.packets(now, s.ctlHandshake, ctlHandshakeTurn)
	l.packets(now, s.ctlKnown, ctlKnownRing)
	l.packets(now, s.ctlUnknown, ctlTurn)
	return !l.mail.empty() || !s.ctlUnknown.empty() || !s.ctlHandshake.empty() || !s.ctlKnown.empty()
}

// guard keeps a broken invariant of one endpoint from ending the others.
func (l *Lane) guard(ep Endpoint, f func()) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("dataplane: panic on the ctl lane: %v", r)
			l.engine.log.Error("ctl lane recovered", "panic", r, "stack", string(debug.Stack()))
			if ep != nil {
				ep.HandleFailure(mono.Now(), err)
			}
		}
	}()
	f()
}

// packets handles up to limit packets of a queue.
func (l *Lane) packets(now mono.Time, q *ctlQueue, limit uint32) {
	from, to := q.span()
	to = min(to, from+limit)
	for ; from != to; from++ {
		c := q.at(from)
		l.packet(now, c)
		c.t = nil // the cell may wait long for its next packet
		q.release(from + 1)
	}
}

func (l *Lane) packet(now mono.Time, c *ctlPacket) {
	p := Packet{
		Buf: c.buf[:c.n], Remote: c.remote, Shard: l.shard,
		Local:       netip.AddrPortFrom(c.local, l.engine.addr.Port()),
		ContentType: c.contentType, At: c.at,
	}
	lane, ep := l.owner(c)
	if ep == nil {
		l.shard.strangers.Add(1)
		return
	}
	p.Known = c.t != nil && ep == c.t.endpoint
	if lane == l {
		l.guard(ep, func() { ep.HandlePacket(now, &p) })
		return
	}
	if lane.forwarded.Load() >= ctlForwarded {
		l.shard.ctlOverflow.Add(1)
		return
	}
	lane.forwarded.Add(1)
	p.Buf = append([]byte(nil), p.Buf...)
	lane.Post(func(now mono.Time) {
		lane.forwarded.Add(-1)
		lane.guard(ep, func() { ep.HandlePacket(now, &p) })
	})
}

// owner is whose a packet is. STUN names its endpoint, which may be another
// than the one its address had before: a peer may use a port again.
func (l *Lane) owner(c *ctlPacket) (*Lane, Endpoint) {
	if b := c.buf[:c.n]; c.contentType == 0 && stun.Is(b) {
		if r, ok := l.engine.owner(b); ok {
			return r.lane, r.ep
		}
	}
	if c.t != nil {
		return c.t.lane, c.t.endpoint
	}
	return nil, nil
}
