package sctp

import "slices"

// Reassembly and ordering, RFC 9260 §6.5, §6.6 and §6.9. Every byte here, and
// every byte reported and not yet consumed, counts against the window.

// run is a sequence of fragments of one message with consecutive TSNs.
type run struct {
	first, last uint32
	sid, ssn    uint16
	ppid        uint32
	unordered   bool
	begin, end  bool
	buf         []byte
}

// joins reports whether s continues r in the same message. Fragments which
// claim consecutive TSNs and do not fit are left apart: an abandoned message
// may end without its last fragment.
func (r *run) joins(s *run) bool {
	return r.last+1 == s.first && !r.end && !s.begin &&
		r.sid == s.sid && r.unordered == s.unordered && (r.unordered || r.ssn == s.ssn)
}

// inStream is one incoming stream, made when its first message is complete.
type inStream struct {
	next    uint16          // SSN of the next ordered message
	waiting map[uint16]*run // complete messages ahead of next
	unread  fifo[int]       // sizes of the messages reported, not consumed
}

type reassembly struct {
	limit   int // bytes, from Config.MaxReceiveBuffer
	maxSize int // of a message
	bytes   int // buffered or unconsumed
	entries int // runs, waiting messages and unconsumed messages
	runs    []*run
	streams map[uint16]*inStream
	events  *fifo[Event]

	// hold is a reset which waits for TSNs; messages of its streams above
	// hold.last wait for it in held, since their SSNs begin anew.
	hold *deferredReset
	held []*run

	discarded uint64
}

// deferredReset is an outgoing reset request of the peer's whose last TSN has
// not been reached, RFC 6525 §5.2.2.
type deferredReset struct {
	seq, last uint32
	sids      []uint16 // empty: all
}

func (d *deferredReset) covers(sid uint16) bool {
	return len(d.sids) == 0 || slices.Contains(d.sids, sid)
}

// window is what to advertise.
func (q *reassembly) window() int {
	return max(0, min(q.limit-q.bytes, q.limit-q.entries*entrySize))
}

// fits reports whether n more bytes may be stored. A chunk which fills a gap
// may use a second window: the peer sent it within the first.
func (q *reassembly) fits(n int, filler bool) bool {
	limit := q.limit
	if filler {
		limit *= 2
	}
	return q.bytes+n <= limit && (q.entries+1)*entrySize <= limit
}

func (q *reassembly) stream(sid uint16) *inStream {
	s := q.streams[sid]
	if s == nil {
		if q.streams == nil {
			q.streams = make(map[uint16]*inStream)
		}
		s = new(inStream)
		q.streams[sid] = s
	}
	return s
}

// add takes a chunk which is new and fits. It reports false when the message
// has grown beyond maxSize.
func (q *reassembly) add(d *dataChunk) bool {
	r := &run{
		first: d.tsn, last: d.tsn, sid: d.sid, ssn: d.ssn, ppid: d.ppid,
		unordered: d.flags&flagUnordered != 0, begin: d.flags&flagBegin != 0, end: d.flags&flagEnd != 0,
	}
	q.bytes += len(d.payload)
	q.entries++
	if r.begin && r.end {
		if len(d.payload) > q.maxSize {
			return false
		}
		r.buf = slices.Clone(d.payload)
		q.complete(r)
		return true
	}
	i, _ := slices.BinarySearchFunc(q.runs, d.tsn, func(r *run, tsn uint32) int { return int(int32(r.first - tsn)) })
	if i > 0 && q.runs[i-1].joins(r) {
		i--
		p := q.runs[i]
		p.buf = append(p.buf, d.payload...)
		p.last, p.end = r.last, r.end
		r = p
		q.entries--
	} else {
		r.buf = slices.Clone(d.payload)
		q.runs = slices.Insert(q.runs, i, r)
	}
	if i+1 < len(q.runs) && r.joins(q.runs[i+1]) {
		n := q.runs[i+1]
		r.buf = append(r.buf, n.buf...)
		r.last, r.end = n.last, n.end
		q.runs = slices.Delete(q.runs, i+1, i+2)
		q.entries--
	}
	if len(r.buf) > q.maxSize {
		return false
	}
	if r.begin && r.end {
		q.runs = slices.Delete(q.runs, i, i+1)
		q.complete(r)
	}
	return true
}

// complete takes a whole message.
func (q *reassembly) complete(r *run) {
	if q.hold != nil && tsnLess(q.hold.last, r.first) && q.hold.covers(r.sid) {
		q.held = append(q.held, r)
		return
	}
	s := q.stream(r.sid)
	switch {
	case r.unordered:
		q.deliver(s, r)
	case r.ssn == s.next:
		s.next++
		q.deliver(s, r)
		q.drain(s)
	case ssnLess(r.ssn, s.next) || s.waiting[r.ssn] != nil:
		q.discard(r) // no peer which keeps to the RFC numbers a message twice
	default:
		if s.waiting == nil {
			s.waiting = make(map[uint16]*run)
		}
		s.waiting[r.ssn] = r
	}
}

// drain delivers what was waiting for the messages before it.
func (q *reassembly) drain(s *inStream) {
	for len(s.waiting) > 0 {
		r := s.waiting[s.next]
		if r == nil {
			return
		}
		delete(s.waiting, s.next)
		s.next++
		q.deliver(s, r)
	}
	s.waiting = nil
}

func (q *reassembly) deliver(s *inStream, r *run) {
	s.unread.push(len(r.buf))
	q.events.push(Event{Kind: EventMessage, SID: r.sid, PPID: r.ppid, Unordered: r.unordered, Data: r.buf})
}

func (q *reassembly) discard(r *run) {
	q.bytes -= len(r.buf)
	q.entries--
	q.discarded++
}

// consume gives n bytes of a stream back to the window.
func (q *reassembly) consume(sid uint16, n int) {
	s := q.streams[sid]
	if s == nil {
		return
	}
	for n > 0 && s.unread.len() > 0 {
		head := s.unread.peek()
		k := min(n, *head)
		*head -= k
		n -= k
		q.bytes -= k
		if *head == 0 {
			s.unread.pop()
			q.entries--
		}
	}
}

// forward gives up everything up to cum, RFC 3758 §3.6: fragments are dropped,
// and each stream skips to behind the SSN named for it.
func (q *reassembly) forward(f *forwardChunk) {
	n := 0
	for n < len(q.runs) && tsnLessEq(q.runs[n].first, f.cum) {
		q.discard(q.runs[n])
		n++
	}
	q.runs = slices.Delete(q.runs, 0, n)
	for i := range f.numStreams() {
		id := f.stream(i)
		s := q.stream(id.sid)
		if ssnLess(id.ssn, s.next) {
			continue
		}
		// Complete messages among those skipped are delivered, in order. Only
		// those which exist are visited: a peer may skip 32767 at a time.
		var ready []*run
		for ssn, r := range s.waiting {
			if ssnLessEq(ssn, id.ssn) {
				ready = append(ready, r)
				delete(s.waiting, ssn)
			}
		}
		slices.SortFunc(ready, func(a, b *run) int { return int(int16(a.ssn - b.ssn)) })
		for _, r := range ready {
			q.deliver(s, r)
		}
		s.next = id.ssn + 1
		q.drain(s)
	}
}

// reset begins the streams anew at SSN 0, RFC 6525 §5.2.2. Messages which
// still wait for others will never be delivered: all TSNs up to the request's
// last have been seen.
func (q *reassembly) reset(sids []uint16) {
	if len(sids) == 0 {
		for sid, s := range q.streams {
			q.restart(sid, s)
		}
		return
	}
	for _, sid := range sids {
		if s := q.streams[sid]; s != nil {
			q.restart(sid, s)
		}
	}
}

func (q *reassembly) restart(sid uint16, s *inStream) {
	for _, r := range s.waiting {
		q.discard(r)
	}
	s.waiting, s.next = nil, 0
	if s.unread.len() == 0 {
		delete(q.streams, sid)
	}
}

// release ends the deferred reset and lets the messages behind it go on.
func (q *reassembly) release() {
	held := q.held
	q.hold, q.held = nil, nil
	for _, r := range held {
		q.complete(r)
	}
}
