package sctp

import (
	"github.com/sluicertc/sluice/internal/mono"
)

// What is to be sent and has not been: messages by stream, and the choice of
// the next one.

// message is one user message on its way out.
type message struct {
	data      []byte
	sent      int // bytes which have been given a TSN
	sid       uint16
	mid       uint32 // or SSN
	fsn       uint32 // of the next fragment
	ppid      uint32
	unordered bool
	policy    Reliability
	limit     uint32    // Rexmit: retransmissions
	expires   mono.Time // Timed
	first     uint32    // TSNs, once sent > 0
	last      uint32
	quiet     bool // does not count as buffered
	gone      bool // abandoned, RFC 3758 §3.5
	refs      int  // chunks in the window
	cost      int  // what it still occupies of the send buffer
	cont      bool // a part which is not the first
	more      bool // nor the last
}

// outStream is one outgoing stream, made by the first Write.
type outStream struct {
	sid       uint16
	next      [2]uint32 // MID or SSN of the next message, ordered and not
	weight    int       // RFC 8831 §6.4; 0: 256
	pass      uint64    // virtual time at which the next message is due
	index     int       // in the heap; -1: not there
	queue     fifo[*message]
	buffered  int // bytes written and never sent
	threshold int

	// resetting: ResetStreams was called. held is what was written since, and
	// follows once the reset is done (RFC 6525 §5.1.2 A1).
	resetting bool
	again     bool // ResetStreams was called once more meanwhile
	held      []*message

	outPart
}

const defaultWeight = 256

type sender struct {
	streams  map[uint16]*outStream
	ready    []*outStream // heap by pass of streams with a queue
	clock    uint64       // pass of the message chosen last
	current  *outStream   // its first message has been sent in part
	pending  int          // messages in the queues of all streams, held or not
	cost     int          // of all messages which are not acknowledged
	borrowed int          // of the Budget
	blocked  bool         // a Write has failed for lack of room

	window    // sent and not acknowledged
	maxFrag   int
	wholeFrag int // what fits a packet of base bytes
	head      int // bytes of a DATA chunk's header
	// scheduler chooses a stream per message, or per packet if interleave.
	scheduler  Scheduler
	interleave bool
	t3         mono.Time
	errors     int // consecutive timeouts

	peerWindow int    // a_rwnd of the last SACK
	probe      uint32 // TSN sent although the window was closed
	probing    bool
	closed     bool // the peer answers, but takes nothing: probe by single packets
	heard      bool // a SACK has come since T3 was started

	sampleFrom uint32 // the next sample of the round trip is this TSN or later
	pace       pacer
	probeAt    mono.Time // when to send a tail loss probe
	tail       tailProbe

	advanced   uint32 // Advanced.Peer.Ack.Point, RFC 3758 §3.5 A1
	forwardDue bool

	frozen bool      // what is written waits: all numbers are being reset
	thawAt mono.Time // until then, at most

	ranks     ranking
	free      []*message // to be used again, with their buffers
	freeBytes int
}

// fresh returns a message with a copy of data.
func (t *sender) fresh(data []byte) *message {
	n := len(t.free)
	if n == 0 {
		return &message{data: append([]byte(nil), data...)}
	}
	m := t.free[n-1]
	t.free[n-1], t.free = nil, t.free[:n-1]
	t.freeBytes -= cap(m.data)
	m.data = append(m.data[:0], data...)
	return m
}

// drop notes that a chunk of a message has left the window. With the last of
// them nothing refers to the message any more.
func (t *sender) drop(m *message) {
	if m.refs--; m.refs > 0 || (m.sent < len(m.data) && !m.gone) {
		return
	}
	if m.policy == Prioritized {
		return // may still be ranked
	}
	if len(t.free) < maxFreeMessages && t.freeBytes+cap(m.data) <= maxFreeBytes {
		t.freeBytes += cap(m.data)
		*m = message{data: m.data[:0]}
		t.free = append(t.free, m)
	}
}

func (t *sender) stream(sid uint16) *outStream {
	s := t.streams[sid]
	if s == nil {
		if t.streams == nil {
			t.streams = make(map[uint16]*outStream)
		}
		s = &outStream{sid: sid, index: -1}
		t.streams[sid] = s
	}
	return s
}

func (t *sender) push(s *outStream, m *message) {
	t.cost += m.cost
	t.pending++
	if !m.quiet {
		s.buffered += len(m.data)
	}
	if t.holding(s) && (!m.cont || s.outPart.held) {
		s.held = append(s.held, m)
		return
	}
	t.enqueue(s, m)
}

func (t *sender) enqueue(s *outStream, m *message) {
	s.queue.push(m)
	if s.index < 0 && s != t.current {
		s.pass = max(s.pass, t.clock)
		t.heapPush(s)
	}
}

// size sets how large fragments are: as many of them fill a packet of mtu bytes
// as are needed for each to fit one of base bytes.
func (t *sender) size(base, mtu int, interleave bool) {
	t.interleave, t.head = interleave, dataHeaderLen
	if interleave {
		t.head = idataHeaderLen
	}
	base, mtu = base-headerLen, mtu-headerLen
	t.maxFrag = (mtu/((mtu+base-1)/base) - t.head) &^ 3
	t.wholeFrag = (base - t.head) &^ 3
}

// number gives a message its MID or SSN. Unordered messages have MIDs of their
// own (RFC 8260 §2.1) and no SSN.
func (t *sender) number(s *outStream, m *message) {
	switch {
	case m.cont:
		m.mid, m.fsn = s.mid, s.fsn
	case !m.unordered:
		m.mid = s.next[0]
		s.next[0]++
	case t.interleave:
		m.mid = s.next[1]
		s.next[1]++
	}
}

// next returns the message whose next fragment is due, nil if there is none.
// Fragments of one message have consecutive TSNs (RFC 9260 §6.9) unless they
// are I-DATA, so that streams take turns by message.
func (t *sender) next() (*outStream, *message) {
	s := t.current
	if s == nil {
		if len(t.ready) == 0 {
			return nil, nil
		}
		s = t.ready[0]
	}
	if s.queue.len() == 0 {
		return nil, nil // the rest of a message in parts is not written yet
	}
	return s, *s.queue.peek()
}

// taken notes that n more bytes of the stream's first message got a TSN. It
// moves on to the next message at the end.
func (t *sender) taken(s *outStream, m *message, n int) {
	if t.current == nil {
		t.heapPop()
		t.current = s
		t.clock = s.pass
		if !t.interleave {
			s.pass += t.turn(s, len(m.data))
		}
	}
	if t.interleave {
		s.pass += t.turn(s, n)
	}
	m.sent += n
	if !m.quiet {
		s.buffered -= n
	}
	if m.sent == len(m.data) {
		t.dequeue(s)
	} else if t.interleave {
		t.current = nil
		t.heapPush(s)
	}
}

// turn is by how much sending n bytes delays a stream: start-time fair
// queueing by weight, or a turn each.
func (t *sender) turn(s *outStream, n int) uint64 {
	if t.scheduler != WeightedFair {
		return 1
	}
	return uint64(n+t.head) * 65536 / uint64(s.share())
}

func (s *outStream) share() int {
	if s.weight == 0 {
		return defaultWeight
	}
	return s.weight
}

func (t *sender) reweigh(s *outStream, weight int) {
	if s.weight = weight; s.index >= 0 {
		t.heapUp(s.index)
		t.heapDown(s.index)
	}
}

// dequeue removes the stream's first message, of which everything has been
// sent or nothing ever will be.
func (t *sender) dequeue(s *outStream) {
	s.queue.pop()
	t.pending--
	if s.middle && !t.interleave {
		t.current = s // RFC 9260 §6.9: nobody else until its end
		return
	}
	if t.current == s {
		t.current = nil
	} else if s.index >= 0 {
		t.heapRemove(s)
	}
	if s.queue.len() > 0 {
		t.heapPush(s)
	}
}

// drained reports whether everything written before the reset has a TSN.
func (s *outStream) drained() bool {
	return s.queue.len() == 0 && !s.middle && (!s.open || s.outPart.held)
}

func (t *sender) heapPush(s *outStream) {
	s.index = len(t.ready)
	t.ready = append(t.ready, s)
	t.heapUp(s.index)
}

func (t *sender) heapPop() { t.heapRemove(t.ready[0]) }

func (t *sender) heapRemove(s *outStream) {
	i, last := s.index, len(t.ready)-1
	t.heapSwap(i, last)
	t.ready[last] = nil
	t.ready = t.ready[:last]
	s.index = -1
	if i < last {
		t.heapUp(i)
		t.heapDown(i)
	}
}

func (t *sender) heapSwap(i, j int) {
	t.ready[i], t.ready[j] = t.ready[j], t.ready[i]
	t.ready[i].index, t.ready[j].index = i, j
}

func (t *sender) heapLess(i, j int) bool {
	a, b := t.ready[i], t.ready[j]
	if t.scheduler == Priority && a.share() != b.share() {
		return a.share() > b.share()
	}
	if a.pass != b.pass {
		return a.pass < b.pass
	}
	return a.sid < b.sid
}

func (t *sender) heapUp(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !t.heapLess(i, p) {
			return
		}
		t.heapSwap(i, p)
		i = p
	}
}

func (t *sender) heapDown(i int) {
	for {
		c := 2*i + 1
		if c >= len(t.ready) {
			return
		}
		if c+1 < len(t.ready) && t.heapLess(c+1, c) {
			c++
		}
		if !t.heapLess(c, i) {
			return
		}
		t.heapSwap(i, c)
		i = c
	}
}
