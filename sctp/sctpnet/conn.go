package sctpnet

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// Conn is one association.
type Conn struct {
	e         *Endpoint
	alone     bool // the endpoint ends with it
	connected chan struct{}
	closed    chan struct{}

	// Of the endpoint's lock.
	key string
	tag uint32

	mu        sync.Mutex
	assoc     *sctp.Association
	remote    net.Addr
	timer     *time.Timer
	buf       []byte
	up        bool
	over      bool
	err       error // why it ended, nil after a graceful shutdown
	streams   map[uint16]*Stream
	fresh     []*Stream     // begun by the peer, not accepted
	freshened chan struct{} // closed and replaced when there are more
	room      chan struct{} // closed and replaced when Write may try again
}

func newConn(e *Endpoint, a *sctp.Association, remote net.Addr, key string) *Conn {
	c := &Conn{
		e: e, assoc: a, remote: remote, key: key, connected: make(chan struct{}), closed: make(chan struct{}),
		buf: make([]byte, max(e.cfg.SCTP.MTU, e.cfg.SCTP.MaxMTU, defaultMTU)), streams: make(map[uint16]*Stream),
		freshened: make(chan struct{}), room: make(chan struct{}),
	}
	c.timer = time.AfterFunc(time.Hour, c.onTimer)
	return c
}

// locked calls f with the lock held and does what follows from it.
func (c *Conn) locked(f func(now mono.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		now := mono.Now()
		f(now)
		c.drain(now)
	}
}

func (c *Conn) onTimer() { c.locked(func(now mono.Time) { c.assoc.HandleTimeout(now) }) }

// input takes a packet, which the endpoint keeps.
func (c *Conn) input(b []byte, from net.Addr, key string) {
	c.locked(func(now mono.Time) {
		if err := c.assoc.HandlePacket(now, b); err != nil {
			c.e.dropped.Add(1)
			return
		}
		if key != c.key && sameIP(from, c.remote) {
			// RFC 6951 §5.4: a NAT has given the peer another port. The tag was
			// right, or the packet had been dropped.
			c.remote = from
			c.e.retag(c, key)
		} else if c.assoc.Tag() != c.tag {
			c.e.retag(c, c.key)
		}
	})
}

func sameIP(a, b net.Addr) bool {
	x, ok1 := a.(*net.UDPAddr)
	y, ok2 := b.(*net.UDPAddr)
	return ok1 && ok2 && x.IP.Equal(y.IP)
}

// drain sends what is to be sent and takes events.
func (c *Conn) drain(now mono.Time) {
	for {
		for ev, ok := c.assoc.Event(); ok; ev, ok = c.assoc.Event() {
			c.handle(ev)
		}
		n := c.assoc.Transmit(now, c.buf)
		if n == 0 {
			break
		}
		_, _ = c.e.pc.WriteTo(c.buf[:n], c.remote) // lost, like any datagram
	}
	for ev, ok := c.assoc.Event(); ok; ev, ok = c.assoc.Event() {
		c.handle(ev)
	}
	if c.over {
		c.timer.Stop()
		c.e.remove(c)
		if c.alone {
			go c.e.Close() // which waits for the goroutine that may have brought us here
		}
	} else if at := c.assoc.Timeout(); at != 0 {
		c.timer.Reset(max(at.Sub(now), 0))
	} else {
		c.timer.Stop()
	}
}

func (c *Conn) handle(ev sctp.Event) {
	switch ev.Kind {
	case sctp.EventConnected:
		if !c.up {
			c.up = true
			close(c.connected)
		}
	case sctp.EventMessage:
		s := c.stream(ev.SID, true)
		if s.ended { // by Close
			c.assoc.Consume(ev.SID, len(ev.Data))
			return
		}
		s.queue = append(s.queue, Message{PPID: ev.PPID, Unordered: ev.Unordered, More: ev.More, Data: ev.Data})
		s.change()
	case sctp.EventMessageAborted:
		if s := c.streams[ev.SID]; s != nil {
			s.queue = append(s.queue, Message{PPID: ev.PPID, err: ErrMessageAborted})
			s.change()
		}
	case sctp.EventWritable:
		close(c.room)
		c.room = make(chan struct{})
	case sctp.EventStreamsReset:
		for _, s := range c.streams {
			if ev.AllStreams || contains(ev.SIDs, s.id) {
				s.peerDone = true
				s.change()
				s.forget()
			}
		}
	case sctp.EventResetDone:
		for _, sid := range ev.SIDs {
			if s := c.streams[sid]; s != nil {
				s.ourDone = true
				s.forget()
			}
		}
	case sctp.EventRestarted:
		c.endStreams(sctp.ErrRestarted)
	case sctp.EventClosed:
		c.finish(ev.Err)
	}
}

func contains(sids []uint16, sid uint16) bool {
	for _, v := range sids {
		if v == sid {
			return true
		}
	}
	return false
}

func (c *Conn) finish(err error) {
	c.over, c.err = true, err
	c.endStreams(err)
	close(c.closed)
	close(c.room)
	c.room = make(chan struct{})
}

// endStreams ends all streams there are with err, nil: io.EOF.
func (c *Conn) endStreams(err error) {
	for _, s := range c.streams {
		s.peerDone, s.gone, s.stale = true, true, true
		close(s.done)
		if s.err == nil {
			s.err = err
		}
		s.change()
	}
	clear(c.streams)
}

// stream returns a stream, and makes it if need be.
func (c *Conn) stream(id uint16, byPeer bool) *Stream {
	s := c.streams[id]
	if s == nil {
		s = &Stream{c: c, id: id, changed: make(chan struct{}), done: make(chan struct{})}
		c.streams[id] = s
		if byPeer {
			c.fresh = append(c.fresh, s)
			close(c.freshened)
			c.freshened = make(chan struct{})
		}
	}
	return s
}

// Stream returns the stream with an id, both directions of it. Nothing is sent
// until something is written. Errors: that of the association when it has ended.
func (c *Conn) Stream(id uint16) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil, c.why()
	}
	return c.stream(id, false), nil
}

// AcceptStream waits for a stream on which the peer has sent something and
// which was not asked for by Stream.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	for {
		c.mu.Lock()
		more := c.freshened
		if len(c.fresh) > 0 {
			s := c.fresh[0]
			c.fresh = c.fresh[1:]
			c.mu.Unlock()
			return s, nil
		}
		c.mu.Unlock()
		select {
		case <-more:
		case <-c.closed:
			return nil, c.reason()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// why is the error of an association which has ended; the lock is held.
func (c *Conn) why() error {
	if c.err != nil {
		return c.err
	}
	return net.ErrClosed
}

func (c *Conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why()
}

// Done is closed when the association has ended, and Err says why.
func (c *Conn) Done() <-chan struct{} { return c.closed }

// Err is nil while the association lasts, net.ErrClosed after a graceful
// shutdown of either side, and otherwise one of package sctp.
func (c *Conn) Err() error {
	select {
	case <-c.closed:
		return c.reason()
	default:
		return nil
	}
}

// Close delivers what was written, ends the association (RFC 9260 §9.2) and
// waits for that, for Config.CloseTimeout at most; then it aborts.
func (c *Conn) Close() error {
	d := c.e.cfg.CloseTimeout
	if d < 0 {
		c.Abort("")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return c.Shutdown(ctx)
}

// Shutdown is Close with a limit of its own. It returns ctx's error when the
// association had to be aborted.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.locked(func(now mono.Time) { c.assoc.Shutdown(now) })
	select {
	case <-c.closed:
		if err := c.reason(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	case <-ctx.Done():
		c.Abort("")
		return ctx.Err()
	}
}

// Abort ends the association at once.
func (c *Conn) Abort(reason string) {
	c.locked(func(now mono.Time) { c.assoc.Abort(now, reason) })
}

// Stats returns a snapshot.
func (c *Conn) Stats() sctp.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.assoc.Stats()
}

// LocalAddr is that of the net.PacketConn.
func (c *Conn) LocalAddr() net.Addr { return c.e.pc.LocalAddr() }

// RemoteAddr is the peer's.
func (c *Conn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remote
}
