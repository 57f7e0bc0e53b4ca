package webrtc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"unicode/utf8"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

const (
	// longWrite is what is written as a whole; longer messages go in parts.
	longWrite = 256 << 10
	// partSize is that of the parts.
	partSize = 64 << 10
)

// Write implements net.Conn: b is one binary message. One that is longer than
// the peer takes is refused. After an error a message longer than 256 KiB may
// have been sent in part: it is given up.
func (c *DataChannelConn) Write(b []byte) (int, error) { return c.write(b, false) }

// WriteText sends a message as text, which must be UTF-8.
func (c *DataChannelConn) WriteText(s string) (int, error) { return c.write([]byte(s), true) }

func (c *DataChannelConn) write(b []byte, text bool) (int, error) {
	if n := c.dc.maxMessage(); len(b) > n {
		return 0, fmt.Errorf("%w: a message of %d bytes; the peer takes %d", ErrType, len(b), n)
	}
	if len(b) > longWrite && c.dc.reliable() {
		w := c.NextWriter(text)
		n, err := w.Write(b)
		if e := w.Close(); err == nil {
			err = e
		}
		if err != nil {
			return min(n, len(b)-1), err // it is given up
		}
		return n, nil
	}
	if err := c.hold(); err != nil {
		return 0, err
	}
	defer c.release()
	if err := c.await(func() bool { return c.dc.BufferedAmount() < detachedHigh }); err != nil {
		return 0, err
	}
	send := c.dc.Send
	if text {
		send = func(b []byte) error { return c.dc.SendText(string(b)) }
	}
	if err := send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// hold waits until nobody else writes.
func (c *DataChannelConn) hold() error {
	for {
		c.mu.Lock()
		changed, err := c.changed, c.err
		c.mu.Unlock()
		switch {
		case err != nil:
			return net.ErrClosed
		case c.writeEnd.Past():
			return os.ErrDeadlineExceeded
		}
		select {
		case c.writer <- struct{}{}:
			return nil
		case <-changed:
		case <-c.writeEnd.Wait():
		case <-c.dc.pc.engine.Done():
			return net.ErrClosed
		}
	}
}

func (c *DataChannelConn) release() { <-c.writer }

// await returns when ready reports true, which a change may bring about.
func (c *DataChannelConn) await(ready func() bool) error {
	for {
		c.mu.Lock()
		changed, err := c.changed, c.err
		c.mu.Unlock()
		switch {
		case err != nil:
			return net.ErrClosed
		case c.writeEnd.Past():
			return os.ErrDeadlineExceeded
		case ready():
			return nil
		}
		if err := c.wait(changed, &c.writeEnd); err != nil {
			return err
		}
	}
}

// NextWriter returns what writes one message, which ends with Close, of any
// length that the peer takes. Memory is bounded: Write waits for the network. The
// channel must be reliable. Nothing else is written to it meanwhile; Writes wait.
// Unless I-DATA was negotiated (DataChannelOptions.Interleave), the other
// channels wait, too, from the first 64 KiB on (RFC 9260 §6.9), so write without
// delay. After an error the message is given up.
func (c *DataChannelConn) NextWriter(text bool) io.WriteCloser {
	return &messageWriter{c: c, text: text}
}

// reliable reports whether messages are delivered whatever it takes.
func (dc *DataChannel) reliable() bool {
	return dc.init.MaxRetransmits == nil && dc.init.MaxPacketLifeTime == nil
}

// messageWriter writes one message. It keeps the last part back, because only
// Close tells that it is the last, and that must not be empty.
type messageWriter struct {
	c     *DataChannelConn
	text  bool
	buf   []byte
	held  bool // the right to write
	begun bool // a part was sent
	total int
	err   error
}

var errWriterClosed = fmt.Errorf("%w: the message has been closed", ErrInvalidState)

func (w *messageWriter) Write(b []byte) (n int, err error) {
	if err := w.start(); err != nil {
		return 0, err
	}
	if most := w.c.dc.maxMessage(); len(b) > most-w.total {
		return 0, w.fail(fmt.Errorf("%w: a message of more than %d bytes, which is what the peer takes", ErrType, most))
	}
	for len(b) > 0 {
		if len(w.buf) == partSize {
			if err := w.flush(true); err != nil {
				return n, err
			}
		}
		k := min(len(b), partSize-len(w.buf))
		w.buf = append(w.buf, b[:k]...)
		b = b[k:]
		n += k
		w.total += k
	}
	return n, nil
}

// start takes the right to write.
func (w *messageWriter) start() error {
	if w.err != nil || w.held {
		return w.err
	}
	if !w.c.dc.reliable() {
		return w.fail(fmt.Errorf("%w: messages are written in parts to reliable channels", ErrInvalidState))
	}
	if err := w.c.hold(); err != nil {
		return w.fail(err)
	}
	w.held = true
	w.c.dc.inParts.Store(true)
	w.buf = make([]byte, 0, partSize)
	return nil
}

// Close ends the message.
func (w *messageWriter) Close() error {
	if w.err != nil {
		if errors.Is(w.err, errWriterClosed) {
			return nil
		}
		return w.err
	}
	if err := w.start(); err != nil {
		return err
	}
	if err := w.flush(false); err != nil {
		return err
	}
	w.c.dc.stat.messagesSent.Add(1)
	w.end(errWriterClosed)
	return nil
}

// fail gives the message up.
func (w *messageWriter) fail(err error) error {
	if w.begun {
		id, _ := w.c.dc.ID()
		w.c.dc.transport.data.Channels(func(c *sctp.Channels, now mono.Time) {
			if c.AbortPart(now, id) != nil {
				c.Close(now, id) // and the association with it
			}
		})
	}
	w.end(err)
	return err
}

func (w *messageWriter) end(err error) {
	w.err, w.buf = err, nil
	if w.held {
		w.held = false
		w.c.dc.inParts.Store(false)
		w.c.release()
	}
}

// flush sends what has been gathered. The last character of text may not be
// complete: it stays.
func (w *messageWriter) flush(more bool) error {
	part := w.buf
	if w.text {
		if more {
			part = part[:wholeRunes(part)]
		}
		if !utf8.Valid(part) {
			return w.fail(fmt.Errorf("%w: a text message must be UTF-8", ErrType))
		}
	}
	if err := w.send(part, more); err != nil {
		return w.fail(err)
	}
	w.begun = true
	w.c.dc.stat.bytesSent.Add(uint64(len(part)))
	w.buf = w.buf[:copy(w.buf, w.buf[len(part):])]
	return nil
}

// wholeRunes is the length of b without a character that its end cuts.
func wholeRunes(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if at := len(b) - n; utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				return at
			}
			break
		}
	}
	return len(b)
}

// Why a part cannot be sent yet.
var (
	errFull   = errors.New("webrtc: as much is buffered as may be")
	errBehind = errors.New("webrtc: messages sent before are on their way to the association")
)

// send hands a part to the association, when there is room for it.
func (w *messageWriter) send(part []byte, more bool) error {
	c := w.c
	part = append([]byte(nil), part...) // who is not waited for any more may still read it
	behind := 0
	for {
		c.mu.Lock()
		changed, err := c.changed, c.err
		c.mu.Unlock()
		switch s := c.dc.ReadyState(); {
		case err != nil || s > DataChannelOpen:
			return net.ErrClosed
		case s != DataChannelOpen:
			return fmt.Errorf("%w: the data channel is %v", ErrInvalidState, s)
		case c.writeEnd.Past():
			return os.ErrDeadlineExceeded
		}
		result := make(chan error, 1)
		id, _ := c.dc.ID()
		c.dc.transport.data.Channels(func(cs *sctp.Channels, now mono.Time) {
			switch n := cs.BufferedAmount(id); {
			case n >= detachedHigh:
				result <- errFull
			case !w.begun && c.dc.BufferedAmount() > int64(n):
				result <- errBehind
			default:
				result <- cs.SendPart(now, id, w.text, part, more)
			}
		})
		switch err := w.outcome(result); {
		case errors.Is(err, errBehind) && behind == 0:
			behind++ // what is on its way is there by the next time
			continue
		case errors.Is(err, sctp.ErrChannelClosed), errors.Is(err, sctp.ErrNoChannel), errors.Is(err, sctp.ErrClosed):
			return net.ErrClosed // the association knows it sooner
		case errors.Is(err, errFull), errors.Is(err, errBehind), errors.Is(err, sctp.ErrSendBufferFull):
		default:
			return err
		}
		behind = 0
		if err := c.wait(changed, &c.writeEnd); err != nil {
			return err
		}
	}
}

// outcome waits for the data lane, which is never long, or the end of the
// transport.
func (w *messageWriter) outcome(result <-chan error) error {
	for {
		w.c.mu.Lock()
		changed, ended := w.c.changed, w.c.err
		w.c.mu.Unlock()
		if ended != nil {
			return net.ErrClosed
		}
		select {
		case err := <-result:
			return err
		case <-changed:
		case <-w.c.dc.pc.engine.Done():
			return net.ErrClosed
		}
	}
}
