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

// DataChannelConn is a data channel as a net.Conn.
//
// Read returns one message, or the part of one that has come and fits; the rest
// comes with the next Read. ReadMessage and NextReader keep messages apart.
// Write sends one binary message, however long, as far as the peer takes it; it
// waits while a mebibyte or more is buffered, and writes in parts what is longer
// than 256 KiB, so that a message may be far larger than any buffer. NextWriter
// writes a message whose length is not known yet. What the peer sends and nobody
// reads closes the receive window, which all channels share.
type DataChannelConn struct {
	dc     *DataChannel
	writer chan struct{} // who holds it writes

	mu       sync.Mutex
	queue    []piece
	within   bool          // a message has been begun to be read
	message  uint64        // how many have been read
	err      error         // why reading ends, after the queue
	closed   bool          // by Close: what still comes is dropped
	changed  chan struct{} // closed and replaced with each change
	readEnd  deadline.Deadline
	writeEnd deadline.Deadline
}

// piece is a message, or a part of one.
type piece struct {
	Message
	more     bool // the message goes on
	aborted  bool // its rest will not come
	consumed bool // it does not count against the window any more
}

func newChannelConn(dc *DataChannel) *DataChannelConn {
	return &DataChannelConn{dc: dc, changed: make(chan struct{}), writer: make(chan struct{}, 1)}
}

// Detach turns the channel into a net.Conn. OnMessage is not called any more.
func (dc *DataChannel) Detach() *DataChannelConn {
	dc.mu.Lock()
	if dc.detached == nil {
		c := newChannelConn(dc)
		dc.isDetached.Store(true) // first: what comes after the inbox was emptied is moved, too
		dc.emptyInbox(func(m Message) { c.queue = append(c.queue, piece{Message: m}) })
		dc.detached = c
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

func (c *DataChannelConn) push(p piece) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.queue = append(c.queue, p)
		c.change()
	}
	c.mu.Unlock()
	if closed {
		c.dc.consume(len(p.Data))
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

// Close closes the channel; what was written is still delivered, but for a
// message whose writer has not been closed, and what was not read is lost.
func (c *DataChannelConn) Close() error {
	err := c.dc.Close()
	c.mu.Lock()
	unread := 0
	for i := range c.queue {
		if p := &c.queue[i]; !p.consumed {
			unread += len(p.Data)
		}
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

// wait returns when something has changed since changed was taken, or with the
// reason for which there is nothing to wait for.
func (c *DataChannelConn) wait(changed <-chan struct{}, end *deadline.Deadline) error {
	select {
	case <-changed:
		return nil
	case <-end.Wait():
		return os.ErrDeadlineExceeded
	case <-c.dc.pc.engine.Done():
		return net.ErrClosed
	}
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

// SetWriteDeadline implements net.Conn. A message that has been written in part
// when it comes is given up; the next one can be written.
func (c *DataChannelConn) SetWriteDeadline(t time.Time) error {
	c.writeEnd.Set(t)
	return nil
}
