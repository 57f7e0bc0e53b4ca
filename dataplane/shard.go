package dataplane

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/srtp"
)

// Update is a change to what a shard owns.
type Update func(s *Shard, now mono.Time)

// Shard is one core's share of the dataplane. All fields below the first group
// belong to its data lane, the one goroutine of run.
type Shard struct {
	engine *Engine
	index  int
	conn   sockets.Conn
	lane   *Lane
	mail   mailbox[Update]
	parked atomic.Bool // the data lane waits, or is about to, and wants a Wake
	count  counters
	stages stageClock
	// Counted by ctl lanes.
	strangers, ctlOverflow, ctlSendErrors atomic.Uint64
	ctlKnown, ctlHandshake, ctlUnknown    *ctlQueue
	channelMemory                         *sctp.Budget // of the associations that live here; what is in it is the data lane's

	slab       *slab
	msgs       []sockets.Message
	cells      []int32
	addrs      map[netip.AddrPort]*Transport
	mirrors    map[*Stream]*Stream
	timers     timers[*Transport]
	rx         srtp.Batch
	rxFrom     []received
	opener     dtls.Batch
	records    []dtls.RecordJob // received, wait to be opened together
	channelsAt mono.Time        // when packets of data channels last came or went
	recordFrom []recordFrom
	tx         egress
	dirty      []*Stream // have a burst to forward
	waiting    []*Stream // have a burst that waits for its frame's rest
	gather     gather
	padding    int          // what a packet may grow by for its run
	receivers  []*Transport // have legs of several bursts to send
	drain      []*Transport // have something to transmit
	views      []rtp.View   // scratch for taps
	out        []outRing    // by shard; the own is empty
	in         []*ring[handover]
	taken      []uint32 // by shard: how far in was taken
	holding    int      // cells of the current batch that others read
	borrowed   []int32  // cells in use until the end of the turn
	ctlPending bool
	current    *Transport      // whom a panic closes
	unread     *letter[Update] // taken from mail; a panic leaves those behind it
	rtcp       [cellSize]byte
	seqs       []uint16
	pairs      []rtcp.NACKPair
	blocks     []rtcp.ReportBlock
}

// received is an RTP packet that waits for the batch to be authenticated.
type received struct {
	t *Transport
	i int // in msgs
}

// recordFrom is where a DTLS record came from.
type recordFrom struct {
	t *Transport
	m sockets.Message
}

// outRing is the producer's side of a hand-over ring.
type outRing struct {
	ring      *ring[handover]
	reclaimed uint32 // cells of items before are back
	wake      bool   // something was published since the last flush
}

func newShard(e *Engine, index, shards int, c sockets.Conn) *Shard {
	s := &Shard{
		engine: e, index: index, conn: c,
		ctlKnown: newCtlQueue(ctlKnownRing), ctlHandshake: newCtlQueue(ctlHandshakeRing), ctlUnknown: newCtlQueue(ctlUnknownRing),
		slab: newSlab(slabCells), msgs: make([]sockets.Message, inBatch), cells: make([]int32, inBatch),
		addrs:   map[netip.AddrPort]*Transport{},
		mirrors: map[*Stream]*Stream{},
		rxFrom:  make([]received, 0, inBatch),
		out:     make([]outRing, shards),
		in:      make([]*ring[handover], shards),
		taken:   make([]uint32, shards),
		gather:  gather{delay: gatherDelay},

		channelMemory: sctp.NewBudget(channelMemory / shards),
	}
	s.lane = newLane(s)
	for i := range s.msgs {
		s.cells[i] = s.slab.get()
		s.msgs[i].Buf = s.slab.buf(s.cells[i])
	}
	s.tx.init(s)
	return s
}

// Post queues u for the data lane, which applies updates in order between
// batches. Any goroutine; it never blocks. After Engine.Close u may never run.
func (s *Shard) Post(u Update) {
	s.mail.push(u)
	s.rouse()
}

// rouse wakes the data lane if it waits. What it is to find must have been
// published before.
func (s *Shard) rouse() {
	if s.parked.Swap(false) {
		s.conn.Wake()
	}
}

// ChannelMemory is what the windows of the data channels on this shard share:
// for the configuration of an association that SetChannels hands over here.
func (s *Shard) ChannelMemory() *sctp.Budget { return s.channelMemory }

// Index is the shard's number in its Engine.
func (s *Shard) Index() int { return s.index }

func (s *Shard) run() {
	defer s.engine.running.Done()
	label(s.index, "data")
	for {
		s.turn(0)
		s.conn.SetTimeout(s.deadline())
		s.parked.Store(true)
		if s.engine.closed.Load() {
			return
		}
		// Whoever publishes after this look finds parked set.
		if s.unread != nil || !s.mail.empty() || s.pendingIn() {
			s.parked.Store(false)
			continue
		}
		n, err := s.conn.ReadBatch(s.msgs)
		s.parked.Store(false)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.engine.log.Error("shard stopped reading", "shard", s.index, "err", err)
			}
			return
		}
		if n > 0 {
			s.turn(n)
		}
	}
}

// turn does everything that is due, the first n messages received included.
func (s *Shard) turn(n int) {
	now := mono.Now()
	defer s.recoverTurn(n)
	s.step(now, n)
}

// step is turn on a given clock.
func (s *Shard) step(now mono.Time, n int) {
	s.stages.begin()
	if s.unread == nil {
		s.unread = s.mail.take()
	}
	if s.unread != nil {
		if len(s.waiting) > 0 {
			s.flushWaiting(now) // an update applies between bursts, not within one
		}
		for s.unread != nil {
			l := s.unread
			s.unread = l.next
			l.v(s, now)
		}
	}
	s.reclaim()
	s.takeIn(now)
	if n > 0 {
		s.stages.enter(StageReceive, n)
		s.receive(now, n)
		s.stages.enter(StageOther, 0)
	}
	for {
		t, ok := s.timers.pop(now)
		if !ok {
			break
		}
		s.current = t
		t.fire(now)
	}
	s.current = nil
	s.flush(now)
	s.conn.SetEager(s.channelsAt != 0 && now.Sub(s.channelsAt) < channelsEager)
	s.releaseIn()
	s.recycle(n)
	s.rouseOthers()
	if s.ctlPending {
		s.ctlPending = false
		s.lane.signal()
	}
	s.stages.end()
}

// recoverTurn turns a broken invariant into the end of the transport whose
// packet or timer was being handled.
func (s *Shard) recoverTurn(n int) {
	r := recover()
	if r == nil {
		return
	}
	bump(&s.count.panics, 1)
	s.engine.log.Error("data lane recovered", "shard", s.index, "panic", r, "stack", string(debug.Stack()))
	s.rx.Reset()
	s.rxFrom = s.rxFrom[:0]
	s.forgetRecords()
	s.tx.reset()
	s.endBursts()
	s.drain = s.drain[:0]
	s.releaseIn()
	s.recycle(n)
	if t := s.current; t != nil {
		s.current = nil
		t.remove(s)
		err := fmt.Errorf("dataplane: panic on the data lane: %v", r)
		t.lane.Post(func(now mono.Time) { t.endpoint.HandleFailure(now, err) })
	}
}

// receive takes the first n messages through steps 2 to 5 of the walk.
func (s *Shard) receive(now mono.Time, n int) {
	for i := range n {
		s.demux(now, i)
	}
	s.openRecords(now)
	s.current = nil
	if len(s.rxFrom) == 0 {
		return
	}
	s.rx.Unprotect()
	for k, from := range s.rxFrom {
		size, err := s.rx.Result(k)
		if err != nil {
			s.dropSRTP(err)
			continue
		}
		m := &s.msgs[from.i]
		s.current = from.t
		from.t.receiveRTP(now, m.Buf[:size], m.At, s.cells[from.i])
	}
	s.current = nil
	s.rx.Reset()
	s.rxFrom = s.rxFrom[:0]
}

func (s *Shard) dropSRTP(err error) {
	switch {
	case errors.Is(err, srtp.ErrReplay):
		s.drop(DropReplay)
	case errors.Is(err, srtp.ErrAuth):
		s.drop(DropAuth)
	default:
		s.drop(DropFormat)
	}
}

// demux sorts message i by its first byte (RFC 7983 §7) and its sender.
func (s *Shard) demux(now mono.Time, i int) {
	m := &s.msgs[i]
	if len(m.Buf) == 0 {
		s.drop(DropTruncated)
		return
	}
	t := s.addrs[m.Addr]
	if t != nil && t.shard != s {
		s.handOver(t, m, s.cells[i])
		return
	}
	s.current = t
	switch b := m.Buf[0]; {
	case b < 4:
		s.toCtl(t, m, 0, m.Buf)
	case b >= 20 && b < 64:
		if t == nil {
			s.drop(DropUnknownAddr)
			return
		}
		t.receiveDTLS(m)
	case b >= 128 && b < 192:
		switch {
		case t == nil:
			s.drop(DropUnknownAddr)
		case t.srtpIn == nil:
			s.drop(DropNoKeys)
		case rtcp.IsRTCP(m.Buf):
			t.receiveRTCP(now, m)
		default:
			s.rx.Add(t.srtpIn, m.Buf, m.Buf)
			s.rxFrom = append(s.rxFrom, received{t, i})
		}
	default:
		s.drop(DropUnknownClass)
	}
}

// recycle prepares the first n messages for the next read. A cell that
// another shard still reads is replaced.
func (s *Shard) recycle(n int) {
	for i := range n {
		c := s.cells[i]
		if s.slab.refs[c] == 0 {
			poison(s.slab.buf(c))
			continue
		}
		// hold left a free one for it.
		s.cells[i] = s.slab.get()
		s.msgs[i].Buf = s.slab.buf(s.cells[i])
	}
	s.holding = 0
	for _, c := range s.borrowed {
		s.slab.unref(c)
	}
	s.borrowed = s.borrowed[:0]
}

// borrow takes a cell until the end of the turn; -1 when there is none to
// spare, which is counted.
func (s *Shard) borrow() (cell int32, buf []byte) {
	if len(s.slab.free) <= s.holding {
		s.drop(DropHandover)
		return -1, nil
	}
	cell = s.slab.get()
	s.slab.refs[cell] = 1
	s.borrowed = append(s.borrowed, cell)
	return cell, s.slab.buf(cell)
}

// flush forwards the bursts, transmits what transports have pending and sends.
func (s *Shard) flush(now mono.Time) {
	s.stages.enter(StageRoute, 0)
	s.divide(now)
	s.forward(now)
	s.stages.enter(StageOther, 0)
	for _, t := range s.drain {
		s.current = t
		t.transmit(now)
	}
	s.current = nil
	s.drain = s.drain[:0]
	s.tx.flush()
}

// forward sends the bursts of this turn. Those of several streams go out
// receiver by receiver, so that they share its runs.
func (s *Shard) forward(now mono.Time) {
	for _, st := range s.dirty {
		st.keep(now)
		for _, l := range st.legs {
			if len(s.dirty) == 1 {
				l.forward(now, st)
				continue
			}
			t := l.t
			if len(t.pending) == 0 {
				s.receivers = append(s.receivers, t)
			}
			t.pending = append(t.pending, l)
		}
	}
	for _, t := range s.receivers {
		for _, l := range t.pending {
			l.forward(now, l.st)
		}
	}
	s.endForward()
}

// endForward forgets the bursts that were forwarded.
func (s *Shard) endForward() {
	for _, st := range s.dirty {
		st.endBurst()
	}
	for _, t := range s.receivers {
		clear(t.pending) // or the array keeps legs alive
		t.pending = t.pending[:0]
	}
	clear(s.receivers)
	s.dirty, s.receivers = s.dirty[:0], s.receivers[:0]
}

// flushWaiting sends the bursts that wait.
func (s *Shard) flushWaiting(now mono.Time) {
	s.dirty, s.waiting = append(s.dirty, s.waiting...), s.waiting[:0]
	s.gather.until = 0
	s.forward(now)
	s.tx.flush()
}

// endBursts forgets all bursts.
func (s *Shard) endBursts() {
	s.dirty, s.waiting = append(s.dirty, s.waiting...), s.waiting[:0]
	s.gather.until = 0
	s.endForward()
}
