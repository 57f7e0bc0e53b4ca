package webrtc

import "io"

// Read implements net.Conn. It returns io.EOF when the peer has closed the
// channel, and io.ErrUnexpectedEOF where the rest of a message will not come
// (MaxRetransmits, MaxPacketLifeTime), once; the next message follows. An empty
// message reads as 0 and nil.
func (c *DataChannelConn) Read(b []byte) (n int, err error) {
	err = c.next(func() bool {
		n, err = c.take(b)
		return true
	}, &err)
	return n, err
}

// next waits until there is a piece, and calls f, which holds mu, until it
// reports that it has what it wants. result is what f has found.
func (c *DataChannelConn) next(f func() bool, result *error) error {
	for {
		c.mu.Lock()
		ended, changed := c.err, c.changed
		if len(c.queue) > 0 && f() {
			c.mu.Unlock()
			return *result
		}
		c.mu.Unlock()
		if ended != nil {
			return ended
		}
		if err := c.wait(changed, &c.readEnd); err != nil {
			return err
		}
	}
}

// take copies from the first piece, and removes it when it has been read.
func (c *DataChannelConn) take(b []byte) (int, error) {
	p := &c.queue[0]
	if p.aborted {
		c.drop()
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b, p.Data)
	c.consume(p, n)
	if p.Data = p.Data[n:]; len(p.Data) > 0 {
		c.within = true
	} else {
		c.drop()
	}
	return n, nil
}

// consume opens the window for n bytes of a piece.
func (c *DataChannelConn) consume(p *piece, n int) {
	if !p.consumed && n > 0 {
		c.dc.consume(n)
	}
}

// drop removes the first piece.
func (c *DataChannelConn) drop() {
	p := &c.queue[0]
	c.consume(p, len(p.Data))
	if c.within = p.more && !p.aborted; !c.within {
		c.message++
	}
	c.queue[0] = piece{}
	c.queue = c.queue[1:]
}

// ReadMessage reads a whole message, or what a Read has left of one, and tells
// whether it is text. When b is too short, the message stays and the error is
// io.ErrShortBuffer. A message whose rest will not come is passed over.
func (c *DataChannelConn) ReadMessage(b []byte) (text bool, n int, err error) {
	err = c.next(func() bool {
		for {
			size, count, state := c.measure()
			switch {
			case size > len(b):
				err = io.ErrShortBuffer
				return true
			case state == partial:
				// b holds what has come, so that the window need not.
				c.takeOver(count)
				return false
			case state == aborted:
				for range count {
					c.drop()
				}
				if len(c.queue) == 0 {
					return false
				}
				continue
			}
			text = c.queue[0].Text
			for range count {
				n += copy(b[n:], c.queue[0].Data)
				c.drop()
			}
			return true
		}
	}, &err)
	return text, n, err
}

// What has come of a message.
const (
	whole = iota
	partial
	aborted
)

// measure is how much of the first message there is, in how many pieces.
func (c *DataChannelConn) measure() (size, count, state int) {
	for i := range c.queue {
		p := &c.queue[i]
		size += len(p.Data)
		count++
		switch {
		case p.aborted:
			return 0, count, aborted
		case !p.more:
			return size, count, whole
		}
	}
	return size, count, partial
}

// takeOver opens the window for the first pieces, which somebody has room for.
func (c *DataChannelConn) takeOver(count int) {
	for i := range count {
		p := &c.queue[i]
		c.consume(p, len(p.Data))
		p.consumed = true
	}
}

// NextReader waits for the next message, after the rest of the one before is
// skipped, and returns what reads it: until io.EOF at its end, or
// io.ErrUnexpectedEOF where its rest will not come. Read with one of both alone.
func (c *DataChannelConn) NextReader() (text bool, r io.Reader, err error) {
	err = c.next(func() bool {
		for c.within || c.queue[0].aborted {
			if c.drop(); len(c.queue) == 0 {
				return false
			}
		}
		c.within = true
		text, r = c.queue[0].Text, &messageReader{c, c.message}
		return true
	}, &err)
	return text, r, err
}

// messageReader reads one message.
type messageReader struct {
	c       *DataChannelConn
	message uint64
}

// over reports whether all of the message has been read, or skipped.
func (r *messageReader) over() bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.c.message != r.message
}

func (r *messageReader) Read(b []byte) (n int, err error) {
	c := r.c
	if r.over() {
		return 0, io.EOF
	}
	err = c.next(func() bool {
		if c.message != r.message {
			err = io.EOF
			return true
		}
		if n, err = c.take(b); n == 0 && err == nil && c.message != r.message {
			err = io.EOF
		}
		return n > 0 || err != nil || len(b) == 0
	}, &err)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF && !r.over():
		return 0, io.ErrUnexpectedEOF // the channel has ended within it
	}
	return 0, err
}
