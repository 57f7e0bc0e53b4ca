package sctp

import (
	"math"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// Messages in parts: larger than any buffer, written before their end is known
// and read before it has come (RFC 9260 §6.9, the partial delivery API of
// RFC 6458 §8.1.20).

// WritePart queues part of a message and copies it. The first part begins a
// message of its stream, which is open while more is true; those which follow
// belong to it, with the same ppid and opt. Messages written in parts are
// reliable. With I-DATA (Stats.Interleaved) other streams go on meanwhile;
// without, all of them wait for the end (RFC 9260 §6.9), so write without delay.
// Errors: those of Write, ErrMessageOpen for a message which would be given up
// in part, ErrMessageTooLarge when the parts are together beyond what the peer
// takes. ErrSendBufferFull leaves the message open, as it was.
func (a *Association) WritePart(now mono.Time, sid uint16, ppid uint32, data []byte, more bool, opt SendOptions) error {
	if opt.Reliability != Reliable {
		return ErrMessageOpen
	}
	return a.write(now, sid, ppid, data, opt, writeMode{part: true, more: more})
}

// MessageOpen reports whether a stream waits for the rest of a message.
func (a *Association) MessageOpen(sid uint16) bool {
	s := a.tx.streams[sid]
	return s != nil && s.open
}

// outPart is what an outStream knows of the message written in parts.
type outPart struct {
	open   bool // its end has not been written
	held   bool // it was begun while the stream was being reset
	total  int  // bytes written
	mid    uint32
	fsn    uint32 // of the next fragment
	middle bool   // sent in part

	unordered bool
}

// partial checks whether n more bytes may be written in this mode.
func (a *Association) partial(sid uint16, n int, mode writeMode) error {
	s := a.tx.streams[sid]
	if s == nil || !s.open {
		return nil
	}
	switch {
	case !mode.part:
		return ErrMessageOpen
	case n > a.cfg.MaxSendMessageSize-s.total:
		return ErrMessageTooLarge
	}
	return nil
}

// joined notes a part just written.
func (t *sender) joined(s *outStream, m *message, mode writeMode) {
	m.cont, m.more = s.open, mode.more
	if !s.open {
		s.outPart = outPart{held: t.holding(s), mid: s.mid, fsn: s.fsn, middle: s.middle, unordered: m.unordered}
	}
	s.total += len(m.data)
	s.open = mode.more
}

// AbortPart gives up the message which waits for its rest, if there is one
// (RFC 3758 §3.5): the peer hears that it will not come, and the stream goes
// on. Error: ErrMessageOpen when some of it is on its way to a peer that knows
// nothing of RFC 3758; then only the end of the message or of the association
// can follow.
func (a *Association) AbortPart(now mono.Time, sid uint16) error {
	t := &a.tx
	s := t.streams[sid]
	if s == nil || !s.open {
		return nil
	}
	if s.outPart.held {
		a.unwrite(s)
	} else if s.middle && !a.peer.forwardTSN {
		return ErrMessageOpen
	} else {
		a.abandonParts(now, s)
	}
	s.outPart = outPart{}
	a.stats.MessagesAbandoned++
	a.rc.check = true // the stream may have drained
	a.advancePeerAck()
	if t.forwardDue {
		t.startT3(now, mono.Time(a.rto.rto))
	}
	a.checkWritable()
	return nil
}

// unwrite takes back the parts of an open message which wait for a reset.
func (a *Association) unwrite(s *outStream) {
	t := &a.tx
	for n := len(s.held); n > 0; n-- {
		m := s.held[n-1]
		s.held[n-1], s.held = nil, s.held[:n-1]
		t.pending--
		a.unsent(s, m)
		if !m.cont {
			return
		}
	}
}

// unsent forgets a message of which something was not sent.
func (a *Association) unsent(s *outStream, m *message) {
	rest := len(m.data) - m.sent
	s.buffered -= rest
	a.tx.forget(m)
	a.bufferedLow(s, m, rest)
}

// abandonParts gives up the open message of a stream, sent or not. Nothing else
// was written since it was begun.
func (a *Association) abandonParts(now mono.Time, s *outStream) {
	t := &a.tx
	sent := s.middle
	if sent {
		// As in abandon: one more TSN, which is never sent, lets FORWARD TSN
		// say that no end will come.
		last := &message{sid: s.sid, mid: s.outPart.mid, unordered: s.unordered, gone: true, refs: 1}
		t.add(now, sentChunk{msg: last, acked: true})
	}
	s.middle = false
	keep := 0 // whole messages before it
	for i := s.queue.len() - 1; i >= 0 && !sent; i-- {
		if m := *s.queue.at(i); !m.cont && m.more {
			keep = i
			break
		}
	}
	for s.queue.len() > keep {
		a.unsent(s, t.takeLast(s))
	}
	if !sent {
		return
	}
	if t.current == s {
		t.current = nil
	}
	for tsn := t.end() - 2; t.contains(tsn); tsn-- {
		c := t.at(tsn)
		if m := c.msg; m.sid != s.sid || m.unordered != s.unordered || (!m.more && !m.cont) {
			continue
		}
		t.settle(tsn)
		if !c.msg.gone {
			t.forget(c.msg)
		}
		if c.flags&flagBegin != 0 {
			return
		}
	}
}

// takeLast removes what was queued last on a stream.
func (t *sender) takeLast(s *outStream) *message {
	m := s.queue.dropLast()
	t.pending--
	if s.queue.len() == 0 {
		if t.current == s {
			t.current = nil
		} else if s.index >= 0 {
			t.heapRemove(s)
		}
	}
	return m
}

// SetParts has the ordered messages of an incoming stream reported in parts as
// they come: an EventMessage with More for each but the last. A message may then
// be larger than MaxMessageSize and the receive window, up to MaxPartsSize. One
// that the peer gives up in the middle ends with EventMessageAborted. Consume
// what was reported, as ever: it is what lets the rest come. Off means as
// Config.ReadParts says.
func (a *Association) SetParts(sid uint16, on bool) {
	q := &a.rx.data
	if !on {
		if s := q.streams[sid]; s != nil {
			s.parts = q.allParts
		}
		return
	}
	s := q.stream(sid)
	s.parts = true
	q.touch(sid, s)
}

// openMessage has been reported in part.
type openMessage struct {
	mid, next uint32 // next TSN or FSN
	ppid      uint32
	size      int  // bytes reported
	hint      int  // bytes of the last part
	gone      bool // the rest will not be reported
}

// touch notes that there may be something new to report of a stream.
func (q *reassembly) touch(sid uint16, s *inStream) {
	if s.parts && !s.touched {
		s.touched = true
		q.touched = append(q.touched, sid)
	}
}

// room is how large the rest of a message may be which a new fragment belongs
// to; the fragment is marked when it follows what has been reported. It reports
// false for one which has been.
func (q *reassembly) room(s *inStream, r *run) (most int, ok bool) {
	if s == nil || r.unordered || !s.parts || r.ppid == ppidDCEP {
		return q.maxSize, true
	}
	most = math.MaxInt
	if q.maxParts > 0 {
		most = q.maxParts
	}
	o := s.begun
	if o == nil || o.mid != r.mid {
		return most, true
	}
	if tsnLess(r.first, o.next) {
		return 0, false
	}
	r.refused = o.gone
	if r.first == o.next {
		r.begin, r.cont, r.ppid = true, true, o.ppid
	}
	return most - o.size, true
}

// flushParts reports what has come of messages without their end.
func (q *reassembly) flushParts() {
	if len(q.touched) == 0 {
		return
	}
	list := q.touched
	q.touched = q.touched[:0]
	for _, sid := range list {
		s := q.streams[sid]
		if s == nil || !s.touched {
			continue
		}
		s.touched = false
		if r := q.takePart(sid, s); r != nil {
			q.reportPart(s, r)
		}
	}
}

// takePart removes the beginning of a stream's next message, nil if there is
// none.
func (q *reassembly) takePart(sid uint16, s *inStream) *run {
	runs := &q.runs
	at := -1
	if q.wide {
		// They are in order, and what is before next was dropped.
		if list := s.partial[0]; len(list) > 0 && list[0].mid == s.next {
			runs, at = &list[0].runs, 0
		}
		if at < 0 || len(*runs) == 0 || !(*runs)[0].begin {
			return nil
		}
	} else {
		at = slices.IndexFunc(q.runs, func(r *run) bool {
			return r.sid == sid && !r.unordered && r.begin && r.mid == s.next
		})
		if at < 0 {
			return nil
		}
	}
	r := (*runs)[at]
	if q.holds(r) || r.refused || r.ppid == ppidDCEP { // RFC 8832 §5: short, and taken whole
		return nil
	}
	*runs = slices.Delete(*runs, at, at+1)
	if q.wide && len(*runs) == 0 {
		s.partial[0] = slices.Delete(s.partial[0], 0, 1)
	}
	return r
}

func (q *reassembly) reportPart(s *inStream, r *run) {
	o := s.begun
	if o == nil || o.mid != r.mid {
		o = &openMessage{mid: r.mid, ppid: r.ppid}
		s.begun = o
	}
	o.next, o.hint = r.last+1, len(r.buf)
	o.size += len(r.buf)
	s.unread.push(len(r.buf))
	q.unread += len(r.buf)
	q.events.push(Event{Kind: EventMessage, SID: r.sid, PPID: o.ppid, Data: r.buf, More: true})
	q.freeRun(r)
}

// abortPart tells that the rest of a message of which a part was reported will
// not be.
func (q *reassembly) abortPart(sid uint16, s *inStream) {
	if o := s.begun; o != nil && !o.gone {
		o.gone = true
		q.events.push(Event{Kind: EventMessageAborted, SID: sid, PPID: o.ppid})
	}
}

// endPart ends a message of which a part was reported and the rest will not
// come.
func (q *reassembly) endPart(sid uint16, s *inStream) {
	q.abortPart(sid, s)
	s.begun = nil
}
