package webrtc

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sluicertc/sluice/internal/deadline"
)

// Bounds of what a detached channel writes before it waits for the network.
const (
	detachedHigh = 1 << 20
	detachedLow  = detachedHigh / 2
)

// DataChannelConn is a data channel as a net.Conn. Read returns one message,
// or the part of one that fits; the rest comes with the next Read. Write sends
// one binary message and waits while a mebibyte or more is buffered.
type DataChannelConn struct {
	dc *DataChannel

	mu       sync.Mutex
	queue    []Message
	err      error         // why reading ends, after the queue
	closed   bool          // by Close: what still comes is dropped
	changed  chan struct{} // closed and replaced with each change
	readEnd  deadline.Deadline
	writeEnd deadline.Deadline
}

// Detach turns the channel into a net.Conn. OnMessage is not called any more.
func (dc *DataChannel) Detach() *DataChannelConn {
	dc.mu.Lock()
	if dc.detached == nil {
		c := &DataChannelConn{dc: dc, changed: make(chan struct{}), queue: dc.inbox}
		dc.inbox, dc.passed, dc.detached = nil, 0, c
		if dc.ReadyState() == DataChannelClosed {
			c.err = io.EOF
		}
	}
	c := dc.detached
	dc.mu.Unlock()
	dc.SetBufferedAmountLowThreshold(detachedLow)
	return c
}

func (c *DataChannelConn) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *DataChannelConn) push(m Message) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.queue = append(c.queue, m)
		c.change()
	}
	c.mu.Unlock()
	if closed {
		c.dc.consume(len(m.Data))
	}
}

// end lets Read return what is queued and then the reason. It is called once.
func (c *DataChannelConn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = io.EOF
		if err != nil {
			c.err = err
		}
	}
	c.change()
	c.mu.Unlock()
}

// writable wakes a Write that waits for the network.
func (dc *DataChannel) writable() {
	dc.mu.Lock()
	c := dc.detached
	dc.mu.Unlock()
	if c != nil {
		c.mu.Lock()
		c.change()
		c.mu.Unlock()
	}
}

// Read implements net.Conn. It returns io.EOF when the peer has closed the
// channel. An empty message reads as 0 and nil.
func (c *DataChannelConn) Read(b []byte) (int, error) {
	_, n, err := c.read(b, false)
	return n, err
}

// ReadMessage reads a whole message and tells whether it is text. When b is
// too short, the message stays and the error is io.ErrShortBuffer.
func (c *DataChannelConn) ReadMessage(b []byte) (text bool, n int, err error) { return c.read(b, true) }

func (c *DataChannelConn) read(b []byte, whole bool) (text bool, n int, err error) {
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			m := &c.queue[0]
			text = m.Text
			if whole && len(m.Data) > len(b) {
				c.mu.Unlock()
				return text, 0, io.ErrShortBuffer
			}
			n = copy(b, m.Data)
			if m.Data = m.Data[n:]; len(m.Data) == 0 {
				c.queue[0] = Message{}
				c.queue = c.queue[1:]
			}
			c.mu.Unlock()
			c.dc.consume(n)
			return text, n, nil
		}
		err, changed := c.err, c.changed
		c.mu.Unlock()
		if err != nil {
			return false, 0, err
		}
		select {
		case <-changed:
		case <-c.readEnd.Wait():
			return false, 0, os.ErrDeadlineExceeded
		case <-c.dc.pc.engine.Done():
			return false, 0, net.ErrClosed
		}
	}
}

// Write implements net.Conn. A message larger than the peer takes is refused.
func (c *DataChannelConn) Write(b []byte) (int, error) { return c.write(b, c.dc.Send) }

// WriteText sends a message as text.
func (c *DataChannelConn) WriteText(s string) (int, error) {
	return c.write([]byte(s), func([]byte) error { return c.dc.SendText(s) })
}

func (c *DataChannelConn) write(b []byte, send func([]byte) error) (int, error) {
	for {
		c.mu.Lock()
		changed, err := c.changed, c.err
		c.mu.Unlock()
		if err != nil {
			return 0, net.ErrClosed
		}
		select {
		case <-c.writeEnd.Wait():
			return 0, os.ErrDeadlineExceeded
		default:
		}
		if c.dc.BufferedAmount() < detachedHigh {
			break
		}
		select {
		case <-changed:
		case <-c.writeEnd.Wait():
			return 0, os.ErrDeadlineExceeded
		case <-c.dc.pc.engine.Done():
			return 0, net.ErrClosed
		}
	}
	if err := send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close closes the channel; what was written is still delivered, what was not
// read is lost.
func (c *DataChannelConn) Close() error {
	err := c.dc.Close()
	c.mu.Lock()
	unread := 0
	for i := range c.queue {
		unread += len(c.queue[i].Data)
	}
	c.queue, c.closed, c.err = nil, true, net.ErrClosed
	c.change()
	c.mu.Unlock()
	if unread > 0 {
		// Otherwise the window that all channels share stays closed.
		c.dc.consume(unread)
	}
	return err
}

// LocalAddr and RemoteAddr name the channel: it has no address of its own.
func (c *DataChannelConn) LocalAddr() net.Addr  { return channelAddr{c.dc} }
func (c *DataChannelConn) RemoteAddr() net.Addr { return channelAddr{c.dc} }

type channelAddr struct{ dc *DataChannel }

func (channelAddr) Network() string { return "webrtc-datachannel" }

func (a channelAddr) String() string { return fmt.Sprintf("%s/%s", a.dc.pc.id, a.dc.label) }

// SetDeadline implements net.Conn.
func (c *DataChannelConn) SetDeadline(t time.Time) error {
	c.readEnd.Set(t)
	c.writeEnd.Set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *DataChannelConn) SetReadDeadline(t time.Time) error {
	c.readEnd.Set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *DataChannelConn) SetWriteDeadline(t time.Time) error {
	c.writeEnd.Set(t)
	return nil
}
