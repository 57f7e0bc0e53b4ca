package sctp

import "slices"

// Reassembly and ordering, RFC 9260 §6.5, §6.6 and §6.9. Every byte here, and
// every byte reported and not yet consumed, counts against the window.

// run is a sequence of fragments of one message with consecutive TSNs, or
// FSNs (RFC 8260 §2.1).
type run struct {
	first, last uint32
	tsn         uint32 // of the first
	sid         uint16
	mid         uint32 // or SSN
	ppid        uint32
	unordered   bool
	begin, end  bool
	cont        bool // it begins where what was reported ended
	refused     bool // the message is too long: nothing of it is kept
	buf         []byte
}

// joins reports whether s continues r in the same message. Fragments which
// claim consecutive TSNs and do not fit are left apart: an abandoned message
// may end without its last fragment.
func (r *run) joins(s *run) bool {
	return r.last+1 == s.first && !r.end && !s.begin &&
		r.sid == s.sid && r.unordered == s.unordered && (r.unordered || r.mid == s.mid)
}

// inStream is one incoming stream, made when its first message is complete, or
// begun as I-DATA.
type inStream struct {
	next    uint32          // MID or SSN of the next ordered message
	given   uint32          // I-DATA: unordered messages before it were given up
	waiting map[uint32]*run // complete messages ahead of next
	unread  fifo[int]       // sizes of the messages reported, not consumed
	// I-DATA: messages of which something is missing, by ascending MID;
	// ordered and not.
	partial [2][]*fragments

	parts   bool         // SetParts
	touched bool         // in reassembly.touched
	begun   *openMessage // nil: none
}

// fragments is one of them.
type fragments struct {
	mid  uint32
	runs []*run
}

type reassembly struct {
	floor    int      // of limit: Config.MaxReceiveBuffer
	promise  int      // what the peer may still send by the last SACK
	borrowed int      // of the Budget
	limit    int      // bytes, from Config.MaxReceiveBuffer on
	wide     bool     // I-DATA, with MIDs of 32 bits
	most     int      // to which limit may grow, Config.MaxReceiveMemory
	maxSize  int      // of a message
	maxParts int      // of one reported in parts; 0: none
	allParts bool     // Config.ReadParts
	refuses  bool     // a message that is too long is refused, and ends nothing
	touched  []uint16 // streams in parts with something new
	bytes    int      // buffered or unconsumed
	unread   int      // of bytes: reported, not consumed
	entries  int      // runs, waiting messages and unconsumed messages
	runs     []*run
	streams  map[uint16]*inStream
	events   *fifo[Event]

	// hold is a reset which waits for TSNs; messages of its streams above
	// hold.last wait for it in held, since their SSNs begin anew.
	hold *deferredReset
	held []*run

	free   []*run
	hint   int  // size of the last message which came in fragments
	hinted *run // has a buffer of that size

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
	edge := max(q.limit, q.bytes+q.promise) // not to be moved back
	return max(0, edge-max(q.bytes, q.entries*entrySize))
}

// fits reports whether n more bytes may be stored. A chunk which fills a gap
// may use a second window: the peer sent it within the first.
func (q *reassembly) fits(n int, filler bool) bool {
	limit := max(q.limit, q.bytes+q.promise)
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
		s = &inStream{parts: q.allParts}
		q.streams[sid] = s
	}
	return s
}

// before compares SSNs or MIDs.
func (q *reassembly) before(a, b uint32) bool {
	if q.wide {
		return int32(a-b) < 0
	}
	return ssnLess(uint16(a), uint16(b))
}

// after is the SSN or MID which follows.
func (q *reassembly) after(a uint32) uint32 {
	if q.wide {
		return a + 1
	}
	return uint32(uint16(a + 1))
}

// add takes a chunk which is new and fits. It reports false when the message
// has grown beyond maxSize.
func (q *reassembly) add(d *dataChunk) bool {
	r := q.newRun()
	*r = run{
		first: d.tsn, last: d.tsn, tsn: d.tsn, sid: d.sid, mid: uint32(d.ssn), ppid: d.ppid,
		unordered: d.flags&flagUnordered != 0, begin: d.flags&flagBegin != 0, end: d.flags&flagEnd != 0,
	}
	if d.idata {
		r.mid, r.first, r.last = d.mid, d.fsn, d.fsn
	}
	q.bytes += len(d.payload)
	q.promise = max(q.promise-len(d.payload), 0)
	q.entries++
	s := q.streams[d.sid]
	if s == nil && q.allParts && !(r.begin && r.end) {
		s = q.stream(d.sid)
	}
	most, ok := q.room(s, r)
	if !ok {
		r.buf = d.payload
		q.discard(r)
		return true
	}
	if r.begin && r.end {
		if len(d.payload) > most {
			if !q.refuses {
				return false
			}
			q.refuse(r)
		}
		q.store(r, d.payload)
		q.complete(r)
		return true
	}
	if !d.idata {
		whole, ok := q.insert(&q.runs, r, d.payload, most)
		if whole != nil {
			q.complete(whole)
		} else if s != nil {
			q.touch(d.sid, s)
		}
		return ok
	}
	if s == nil {
		s = q.stream(d.sid)
	}
	if (r.unordered && q.before(r.mid, s.given)) || (!r.unordered && q.before(r.mid, s.next)) {
		r.buf = d.payload // of a message given up meanwhile
		q.discard(r)
		return true
	}
	list := &s.partial[b2i(r.unordered)]
	i, found := slices.BinarySearchFunc(*list, r.mid, func(p *fragments, mid uint32) int { return int(int32(p.mid - mid)) })
	if !found {
		*list = slices.Insert(*list, i, &fragments{mid: r.mid})
	}
	whole, ok := q.insert(&(*list)[i].runs, r, d.payload, most)
	if whole != nil {
		*list = slices.Delete(*list, i, i+1)
		q.complete(whole)
	} else {
		q.touch(d.sid, s)
	}
	return ok
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// insert adds a fragment to the runs of one or more messages, and returns the
// message it completes, nil if none. It reports false when the message has
// grown beyond maxSize.
func (q *reassembly) insert(runs *[]*run, r *run, payload []byte, most int) (*run, bool) {
	i, again := slices.BinarySearchFunc(*runs, r.first, func(r *run, n uint32) int { return int(int32(r.first - n)) })
	if again || (i > 0 && !tsnLess((*runs)[i-1].last, r.first)) {
		r.buf = payload // an FSN twice
		q.discard(r)
		return nil, true
	}
	if i > 0 && (*runs)[i-1].joins(r) {
		i--
		p := (*runs)[i]
		q.merge(p, r)
		q.store(p, payload)
		p.last, p.end = r.last, r.end
		q.freeRun(r)
		r = p
		q.entries--
	} else {
		if r.refused {
			// needs no room
		} else if r.cont {
			r.buf = make([]byte, 0, max(q.streams[r.sid].begun.hint, len(payload)))
		} else if r.begin && q.hinted == nil {
			// Messages tend to be as long as the one before. One at a time is
			// taken at its word, so that a peer gains nothing by a long one.
			r.buf = make([]byte, 0, max(q.hint, len(payload)))
			q.hinted = r
		}
		q.store(r, payload)
		*runs = slices.Insert(*runs, i, r)
	}
	if i+1 < len(*runs) && r.joins((*runs)[i+1]) {
		n := (*runs)[i+1]
		q.merge(r, n)
		r.last, r.end = n.last, n.end
		*runs = slices.Delete(*runs, i+1, i+2)
		q.freeRun(n)
		q.entries--
	}
	if len(r.buf) > most {
		if !q.refuses {
			return nil, false
		}
		q.refuse(r)
	}
	if !r.begin || !r.end {
		return nil, true
	}
	*runs = slices.Delete(*runs, i, i+1)
	if q.hint = len(r.buf); cap(r.buf) > 2*len(r.buf) {
		r.buf = slices.Clone(r.buf)
	}
	return r, true
}

// store adds a fragment's payload to its run.
func (q *reassembly) store(r *run, payload []byte) {
	switch {
	case r.refused:
		q.bytes -= len(payload)
	case r.buf == nil:
		r.buf = slices.Clone(payload)
	default:
		r.buf = append(r.buf, payload...)
	}
}

// merge adds to a run what the one behind it has stored.
func (q *reassembly) merge(r, n *run) {
	if r.refused != n.refused {
		q.forget(r)
		q.forget(n)
	}
	r.buf = append(r.buf, n.buf...)
}

// forget drops what a run has stored, and what it will. It goes on to note what
// belongs to its message.
func (q *reassembly) forget(r *run) {
	q.bytes -= len(r.buf)
	r.buf, r.refused = nil, true
}

// refuse forgets a message that is too long.
func (q *reassembly) refuse(r *run) {
	q.forget(r)
	if s := q.streams[r.sid]; s != nil && !r.unordered && s.begun != nil && s.begun.mid == r.mid {
		q.abortPart(r.sid, s)
	}
	q.events.push(Event{Kind: EventMessageRefused, SID: r.sid, PPID: r.ppid, Unordered: r.unordered})
}

func (q *reassembly) newRun() *run {
	n := len(q.free)
	if n == 0 {
		return new(run)
	}
	r := q.free[n-1]
	q.free = q.free[:n-1]
	return r
}

// freeRun keeps a run for later. Its buffer belongs to somebody else by now.
func (q *reassembly) freeRun(r *run) {
	if q.hinted == r {
		q.hinted = nil
	}
	*r = run{}
	if len(q.free) < maxFreeRuns {
		q.free = append(q.free, r)
	}
}

// holds reports whether a message waits for a reset of its stream.
func (q *reassembly) holds(r *run) bool {
	return q.hold != nil && tsnLess(q.hold.last, r.tsn) && q.hold.covers(r.sid)
}

// complete takes a whole message.
func (q *reassembly) complete(r *run) {
	if q.holds(r) {
		q.held = append(q.held, r)
		return
	}
	s := q.stream(r.sid)
	switch {
	case r.unordered:
		if q.wide && r.mid-s.given > 1<<30 { // MIDs go around
			s.given = r.mid - 1<<30
		}
		q.deliver(s, r)
	case r.mid == s.next:
		s.next, s.begun = q.after(s.next), nil
		sid := r.sid
		q.deliver(s, r)
		q.drain(s)
		q.touch(sid, s)
	case q.before(r.mid, s.next) || s.waiting[r.mid] != nil:
		q.discard(r) // no peer which keeps to the RFC numbers a message twice
	default:
		if s.waiting == nil {
			s.waiting = make(map[uint32]*run)
		}
		s.waiting[r.mid] = r
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
		s.next = q.after(s.next)
		q.deliver(s, r)
	}
	s.waiting = nil
}

func (q *reassembly) deliver(s *inStream, r *run) {
	if r.refused {
		q.discard(r)
		return
	}
	s.unread.push(len(r.buf))
	q.unread += len(r.buf)
	q.events.push(Event{Kind: EventMessage, SID: r.sid, PPID: r.ppid, Unordered: r.unordered, Data: r.buf})
	q.freeRun(r)
}

func (q *reassembly) discard(r *run) {
	q.bytes -= len(r.buf)
	q.entries--
	q.discarded++
	q.freeRun(r)
}

// consume gives n bytes of a stream back to the window, and returns how many
// of them it had.
func (q *reassembly) consume(sid uint16, n int) (had int) {
	s := q.streams[sid]
	if s == nil {
		return 0
	}
	for n > 0 && s.unread.len() > 0 {
		head := s.unread.peek()
		k := min(n, *head)
		*head -= k
		n -= k
		had += k
		q.bytes -= k
		q.unread -= k
		if *head == 0 {
			s.unread.pop()
			q.entries--
		}
	}
	return had
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
		k := f.stream(i)
		s := q.stream(k.sid)
		q.dropPartial(s, &k)
		if k.unordered && !q.before(k.mid, s.given) {
			s.given = q.after(k.mid)
		}
		if k.unordered || q.before(k.mid, s.next) {
			continue
		}
		// Complete messages among those skipped are delivered, in order. Only
		// those which exist are visited: a peer may skip 32767 at a time.
		var ready []*run
		for mid, r := range s.waiting {
			if !q.before(k.mid, mid) {
				ready = append(ready, r)
				delete(s.waiting, mid)
			}
		}
		slices.SortFunc(ready, func(a, b *run) int {
			if q.before(a.mid, b.mid) {
				return -1
			}
			return 1
		})
		for _, r := range ready {
			q.deliver(s, r)
		}
		q.endPart(k.sid, s)
		s.next = q.after(k.mid)
		q.drain(s)
		q.touch(k.sid, s)
	}
}

// dropPartial discards the messages up to k which came in part, RFC 8260
// §2.3.1.
func (q *reassembly) dropPartial(s *inStream, k *skip) {
	list := &s.partial[b2i(k.unordered)]
	n := 0
	for n < len(*list) && !q.before(k.mid, (*list)[n].mid) {
		for _, r := range (*list)[n].runs {
			q.discard(r)
		}
		n++
	}
	*list = slices.Delete(*list, 0, n)
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
	for i := range s.partial {
		for _, p := range s.partial[i] {
			for _, r := range p.runs {
				q.discard(r)
			}
		}
		s.partial[i] = nil
	}
	q.endPart(sid, s)
	s.waiting, s.next, s.given = nil, 0, 0
	if s.unread.len() == 0 && !s.parts {
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
	for sid, s := range q.streams {
		q.touch(sid, s)
	}
}
