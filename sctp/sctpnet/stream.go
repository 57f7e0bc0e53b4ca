package sctpnet

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/sluicertc/sluice/internal/deadline"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// ErrMessageAborted: the peer has given up a message of which a part was read
// (Stream.ReadParts).
var ErrMessageAborted = errors.New("sctpnet: the peer has given up the rest of a message")

// Message is a user message, or a part of one.
type Message struct {
	PPID      uint32
	Unordered bool
	More      bool // it goes on with the next ordered message (ReadParts)
	Data      []byte

	err error
}

// Stream is both directions of one stream id. It is a net.Conn of which a Write
// is a message: Read returns one, or the part of one that fits; the rest comes
// with the next Read.
type Stream struct {
	c       *Conn
	id      uint16
	done    chan struct{} // closed when gone
	readBy  deadline.Deadline
	writeBy deadline.Deadline

	// Of the association's lock.
	queue    []Message
	changed  chan struct{} // closed and replaced when there is more to read
	ppid     uint32
	options  sctp.SendOptions
	ended    bool // Close was called
	ourDone  bool // our direction was reset
	peerDone bool // the peer's was, or the association has ended
	gone     bool // out of the association's table
	stale    bool // what is read is of an association that is no more
	err      error
}

var _ net.Conn = (*Stream)(nil)

// ID is the stream identifier.
func (s *Stream) ID() uint16 { return s.id }

// Conn is the association.
func (s *Stream) Conn() *Conn { return s.c }

func (s *Stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// forget leaves the table when both directions have ended.
func (s *Stream) forget() {
	if s.ourDone && s.peerDone && s.c.streams[s.id] == s {
		delete(s.c.streams, s.id)
		s.gone = true
		close(s.done)
	}
}

// SetOptions sets what Write sends: the payload protocol identifier, and how
// reliable messages are and whether in order.
func (s *Stream) SetOptions(ppid uint32, opt sctp.SendOptions) {
	s.c.mu.Lock()
	s.ppid, s.options = ppid, opt
	s.c.mu.Unlock()
}

// SetWeight sets the stream's share while several have something to send; see
// sctp.Association.SetPriority.
func (s *Stream) SetWeight(weight uint16) {
	s.c.locked(func(mono.Time) { s.c.assoc.SetPriority(s.id, weight) })
}

// ReadParts has messages read in parts as they come; see
// sctp.Association.SetParts.
func (s *Stream) ReadParts(on bool) {
	s.c.locked(func(mono.Time) { s.c.assoc.SetParts(s.id, on) })
}

// Read implements net.Conn. It returns io.EOF when the peer has closed the
// stream or shut the association down.
func (s *Stream) Read(b []byte) (int, error) {
	m, err := s.read(b, false)
	return len(m.Data), err
}

// ReadMessage reads one message into b. When b is too short the message stays,
// and the error is io.ErrShortBuffer.
func (s *Stream) ReadMessage(b []byte) (Message, error) { return s.read(b, true) }

func (s *Stream) read(b []byte, whole bool) (Message, error) {
	for {
		m, ok, err := s.take(b, whole)
		if ok || err != nil {
			return m, err
		}
		s.c.mu.Lock()
		changed, pending := s.changed, len(s.queue) > 0 || s.peerDone || s.ended
		s.c.mu.Unlock()
		if pending {
			continue
		}
		select {
		case <-changed:
		case <-s.readBy.Wait():
			return Message{}, os.ErrDeadlineExceeded
		}
	}
}

// take returns what can be read now.
func (s *Stream) take(b []byte, whole bool) (m Message, ok bool, err error) {
	select {
	case <-s.readBy.Wait():
		return m, false, os.ErrDeadlineExceeded
	default:
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.ended:
		return m, false, net.ErrClosed
	case len(s.queue) == 0 && s.err != nil:
		return m, false, s.err
	case len(s.queue) == 0 && s.peerDone:
		return m, false, io.EOF
	case len(s.queue) == 0:
		return m, false, nil
	}
	head := &s.queue[0]
	if head.err != nil {
		err = head.err
		s.queue = s.queue[1:]
		return m, false, err
	}
	if whole && len(head.Data) > len(b) {
		return m, false, io.ErrShortBuffer
	}
	m = *head
	n := copy(b, head.Data)
	m.Data = b[:n]
	if head.Data = head.Data[n:]; len(head.Data) == 0 {
		s.queue[0] = Message{}
		s.queue = s.queue[1:]
	}
	if !c.over && !s.stale {
		c.assoc.Consume(s.id, n)
		c.drain(mono.Now())
	}
	return m, true, nil
}

// Write sends b as one message and waits while the send buffer is full. A
// message longer than Config.SCTP.MaxSendMessageSize is refused.
func (s *Stream) Write(b []byte) (int, error) {
	s.c.mu.Lock()
	m := Message{PPID: s.ppid, Data: b}
	opt := s.options
	s.c.mu.Unlock()
	return s.WriteMessage(m, opt)
}

// WriteMessage sends a message, or with More a part of one; see
// sctp.Association.WritePart. Errors: those of sctp.Association.Write but
// ErrSendBufferFull, for which it waits, os.ErrDeadlineExceeded, net.ErrClosed.
func (s *Stream) WriteMessage(m Message, opt sctp.SendOptions) (int, error) {
	opt.Unordered = opt.Unordered || m.Unordered
	for {
		select {
		case <-s.writeBy.Wait():
			return 0, os.ErrDeadlineExceeded
		default:
		}
		room, err := s.tryWrite(&m, opt)
		if !errors.Is(err, sctp.ErrSendBufferFull) {
			if err != nil {
				return 0, err
			}
			return len(m.Data), nil
		}
		select {
		case <-room:
		case <-s.writeBy.Wait():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (s *Stream) tryWrite(m *Message, opt sctp.SendOptions) (room <-chan struct{}, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.ended:
		return nil, net.ErrClosed
	case c.over:
		return nil, c.why()
	case s.gone:
		return nil, net.ErrClosed
	}
	now := mono.Now()
	if m.More || c.assoc.MessageOpen(s.id) {
		err = c.assoc.WritePart(now, s.id, m.PPID, m.Data, m.More, opt)
	} else {
		err = c.assoc.Write(now, s.id, m.PPID, m.Data, opt)
	}
	room = c.room
	c.drain(now)
	return room, err
}

// BufferedAmount is the bytes written and not yet sent.
func (s *Stream) BufferedAmount() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.assoc.BufferedAmount(s.id)
}

// Close ends both directions: what was written is delivered, then the stream is
// reset (RFC 6525), which the peer reads as io.EOF. Nothing more is read. Once
// the peer has closed its side, too, the id is free again. It does not wait.
func (s *Stream) Close() error {
	s.c.locked(func(now mono.Time) {
		if s.ended || s.gone {
			return
		}
		for _, m := range s.queue {
			s.c.assoc.Consume(s.id, len(m.Data))
		}
		s.queue, s.ended = nil, true
		if s.c.assoc.ResetStreams(now, []uint16{s.id}) != nil {
			s.ourDone, s.peerDone = true, true // there is no way to tell the peer
			s.forget()
		}
		s.change()
	})
	return nil
}

// Done is closed when both sides have closed the stream, so that its id is free
// again, or the association has ended.
func (s *Stream) Done() <-chan struct{} { return s.done }

// LocalAddr implements net.Conn.
func (s *Stream) LocalAddr() net.Addr { return s.c.LocalAddr() }

// RemoteAddr implements net.Conn.
func (s *Stream) RemoteAddr() net.Addr { return s.c.RemoteAddr() }

// SetDeadline implements net.Conn.
func (s *Stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (s *Stream) SetReadDeadline(t time.Time) error { s.readBy.Set(t); return nil }

// SetWriteDeadline implements net.Conn.
func (s *Stream) SetWriteDeadline(t time.Time) error { s.writeBy.Set(t); return nil }
