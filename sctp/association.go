package sctp

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

type state uint8

// States of RFC 9260 §4. An association which has ended stays stateClosed;
// one which has not begun is stateIdle, and answers an INIT.
const (
	stateIdle state = iota
	stateCookieWait
	stateCookieEchoed
	stateEstablished
	stateShutdownPending
	stateShutdownSent
	stateShutdownReceived
	stateShutdownAckSent
	stateClosed
)

// peerInfo is what the handshake told of the peer.
type peerInfo struct {
	tag        uint32
	tsn        uint32
	forwardTSN bool
	reconfig   bool
	interleave bool // and so do we
	zeroSum    bool // accepts checksums of zero, and so do we
	pad        bool // says that it knows PAD chunks
}

// Association is one SCTP association. Data lane.
type Association struct {
	cfg   Config
	state state
	key   [32]byte // of the cookies

	tag, tsn   uint32 // ours, as in INIT
	peer       peerInfo
	outStreams uint16
	inStreams  uint16

	tx sender
	rx receiver
	cc congestion

	rack   rack
	minRTT minFilter

	rto rtoEstimate
	rc  reconfig
	hb  heartbeat

	pmtu pathMTU

	t1      mono.Time // INIT or COOKIE ECHO
	t2      mono.Time // SHUTDOWN or SHUTDOWN ACK
	t5      mono.Time // guards the shutdown as a whole
	retries int       // of T1

	imported    *cookie      // what the peer's INIT said, while idle
	outbox      fifo[[]byte] // whole packets
	control     fifo[[]byte] // chunks to be bundled
	cookie      []byte       // the peer's, while COOKIE ECHOED
	cookieDue   bool
	initAt      mono.Time // when the INIT went, if only once
	shutdownDue bool      // SHUTDOWN or SHUTDOWN ACK, by state
	skipped     []skip
	refuses     bool // the user is Channels, which know what to do with messages that are too long

	events fifo[Event]
	stats  Stats
}

// New makes an association which answers a peer's INIT. Start makes it send
// its own.
func New(cfg Config) *Association {
	a := &Association{cfg: cfg.withDefaults()}
	a.random(a.key[:])
	a.tag, a.tsn = a.newTag(), a.random32()
	a.pmtu = newPathMTU(&a.cfg)
	a.cc.mtu, a.cc.newReno, a.cc.flows = a.cfg.MTU, a.cfg.Congestion == NewReno, a.cfg.Flows
	a.rto = newRTO(&a.cfg)
	a.tx = a.newSender()
	a.tx.window.start(a.tsn)
	a.outStreams, a.inStreams = a.cfg.MaxStreams, a.cfg.MaxStreams
	a.rx.data = a.newReassembly()
	return a
}

func (a *Association) newReassembly() reassembly {
	return reassembly{
		limit: a.cfg.MaxReceiveBuffer, floor: a.cfg.MaxReceiveBuffer, most: a.cfg.MaxReceiveMemory,
		maxSize: a.cfg.MaxMessageSize, maxParts: a.cfg.MaxPartsSize, allParts: a.cfg.ReadParts, events: &a.events,
		refuses: a.refuses,
	}
}

func (a *Association) newSender() sender {
	t := sender{scheduler: a.cfg.Scheduler}
	t.size(a.pmtu.base, a.pmtu.size, false)
	return t
}

// random falls back on the system's source if Config.Rand fails.
func (a *Association) random(b []byte) {
	if _, err := io.ReadFull(a.cfg.Rand, b); err != nil {
		rand.Read(b)
	}
}

func (a *Association) random32() uint32 {
	var b [4]byte
	a.random(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// newTag is a random Initiate Tag; 0 is reserved (RFC 9260 §5.3.1).
func (a *Association) newTag() uint32 {
	for range 8 {
		if v := a.random32(); v != 0 {
			return v
		}
	}
	return 1
}

// HandlePacket takes one SCTP packet. An error says why it was dropped, whole
// or from some chunk on; it does not end the association, and needs no answer
// by the caller. b is not kept.
func (a *Association) HandlePacket(now mono.Time, b []byte) error {
	a.stats.PacketsReceived++
	err := a.handlePacket(now, b)
	if err != nil {
		a.stats.PacketsDropped++
	}
	return err
}

// HandleTimeout does what is due at now.
func (a *Association) HandleTimeout(now mono.Time) {
	due := func(t *mono.Time) bool {
		if *t == 0 || *t > now {
			return false
		}
		*t = 0
		return true
	}
	if due(&a.t5) {
		a.fail(ErrTimeout, causeUserAbort, []byte("shutdown timed out"))
		return
	}
	if due(&a.t1) {
		a.onT1(now)
	}
	if due(&a.t2) {
		a.onT2(now)
	}
	if due(&a.rack.timer) {
		a.detectLosses(now)
		a.afterAck(now)
	}
	if a.tx.t3 != 0 && a.tx.t3 <= now {
		a.onT3(now)
	}
	if due(&a.tx.probeAt) {
		a.onProbe(now)
	}
	due(&a.tx.pace.resume)
	if due(&a.rx.sackTimer) {
		a.rx.sackNow = true
	}
	if due(&a.tx.thawAt) {
		a.thaw()
	}
	if due(&a.rx.idleAt) {
		a.reclaim()
	}
	if due(&a.rc.timer) {
		a.onReconfigTimer(now)
	}
	if due(&a.hb.timer) {
		a.onHeartbeat(now)
	}
	if due(&a.pmtu.timer) {
		a.onProbeTimer(now)
	}
}

// Timeout returns when HandleTimeout is due; 0: never.
func (a *Association) Timeout() mono.Time {
	t := mono.Earliest(a.t1, a.t2)
	t = mono.Earliest(t, a.t5)
	t = mono.Earliest(t, a.tx.t3)
	t = mono.Earliest(t, a.tx.pace.resume)
	t = mono.Earliest(t, a.rack.timer)
	t = mono.Earliest(t, a.tx.probeAt)
	t = mono.Earliest(t, a.rx.sackTimer)
	t = mono.Earliest(t, a.rc.timer)
	t = mono.Earliest(t, a.rx.idleAt)
	t = mono.Earliest(t, a.tx.thawAt)
	t = mono.Earliest(t, a.pmtu.timer)
	return mono.Earliest(t, a.hb.timer)
}

// Event returns the next event. Drain it after every call which may cause one.
func (a *Association) Event() (Event, bool) {
	if a.events.len() == 0 {
		a.rx.data.flushParts()
	}
	return a.events.pop()
}

// Write queues one message and copies data. It may be called before the
// association is up. Errors: ErrClosed, ErrInvalidStream, ErrEmptyMessage,
// ErrMessageTooLarge, ErrMessageOpen, ErrSendBufferFull.
func (a *Association) Write(now mono.Time, sid uint16, ppid uint32, data []byte, opt SendOptions) error {
	return a.write(now, sid, ppid, data, opt, writeMode{})
}

// writeMode is what only the channels above may ask of write.
type writeMode struct {
	force bool // go beyond the send buffer: a few bytes which cannot wait
	quiet bool // data is not the application's: no part of BufferedAmount
	part  bool // of a message, and
	more  bool // not the last one
}

func (a *Association) write(now mono.Time, sid uint16, ppid uint32, data []byte, opt SendOptions, mode writeMode) error {
	switch {
	case a.state > stateEstablished:
		return ErrClosed
	case sid >= a.outStreams:
		return ErrInvalidStream
	case len(data) == 0:
		return ErrEmptyMessage
	case len(data) > min(a.cfg.MaxSendMessageSize, a.cfg.MaxSendBuffer):
		return ErrMessageTooLarge
	}
	if err := a.partial(sid, len(data), mode); err != nil {
		return err
	}
	cost := len(data) + messageCost
	if opt.Reliability == Prioritized {
		a.makeRoom(now, cost, opt.Value)
	}
	if !mode.force && a.tx.cost > 0 && a.tx.cost+cost > a.sendLimit() {
		a.tx.blocked = true
		return ErrSendBufferFull
	}
	m := a.tx.fresh(data)
	m.sid, m.ppid, m.unordered = sid, ppid, opt.Unordered
	m.policy, m.cost, m.quiet = opt.Reliability, cost, mode.quiet
	switch opt.Reliability {
	case Rexmit, Prioritized:
		m.limit = opt.Value
	case Timed:
		m.expires = now.Add(time.Duration(opt.Value) * time.Millisecond)
	}
	if opt.Reliability == Prioritized {
		a.tx.ranks.add(m)
	}
	s := a.tx.stream(sid)
	if mode.part {
		a.tx.joined(s, m, mode)
	}
	a.tx.push(s, m)
	a.settleSend()
	return nil
}

// Consume tells that the application has read n bytes of a stream's messages.
// What has been reported and not consumed keeps the receive window closed.
// Drain Transmit afterwards: the peer may be waiting to hear of it.
func (a *Association) Consume(sid uint16, n int) {
	a.rx.tune.consumed += a.rx.data.consume(sid, n)
	if a.state >= stateEstablished && a.state < stateShutdownReceived {
		a.rx.opened()
	}
}

// BufferedAmount is the bytes written to a stream and never yet sent.
func (a *Association) BufferedAmount(sid uint16) int {
	if s := a.tx.streams[sid]; s != nil {
		return s.buffered
	}
	return 0
}

// SetBufferedAmountLowThreshold sets when EventBufferedAmountLow is reported:
// as BufferedAmount falls from above n to n or less. Default 0.
func (a *Association) SetBufferedAmountLowThreshold(sid uint16, n int) {
	if sid < a.outStreams {
		a.tx.stream(sid).threshold = max(n, 0)
	}
}

// SetPriority sets a stream's weight, as in RFC 8831 §6.4 and RFC 8832 §8.2.1:
// streams with messages waiting share the association in proportion. 0: 256.
func (a *Association) SetPriority(sid, weight uint16) {
	if sid < a.outStreams {
		a.tx.reweigh(a.tx.stream(sid), int(weight))
	}
}

// SetMaxSendMessageSize sets the peer's a=max-message-size; 0: no limit
// (RFC 8841 §6). What is not written in parts must fit into MaxSendBuffer, too.
func (a *Association) SetMaxSendMessageSize(n int) {
	if n <= 0 {
		n = math.MaxInt
	}
	a.cfg.MaxSendMessageSize = n
}

// bufferedLow reports that a stream's buffered amount has just fallen by n.
func (a *Association) bufferedLow(s *outStream, m *message, n int) {
	if !m.quiet && s.buffered <= s.threshold && s.buffered+n > s.threshold {
		a.events.push(Event{Kind: EventBufferedAmountLow, SID: s.sid})
	}
}

// checkWritable reports that half of the send buffer is free again.
func (a *Association) checkWritable() {
	a.settleSend()
	if a.tx.blocked && a.tx.cost <= a.sendLimit()/2 {
		a.tx.blocked = false
		a.events.push(Event{Kind: EventWritable})
	}
}

// countError counts a timeout, RFC 9260 §8.1. It reports true when that was
// one too many and the association has ended.
func (a *Association) countError() bool {
	a.tx.errors++
	if a.tx.errors <= a.cfg.MaxRetransmits {
		return false
	}
	a.fail(ErrTimeout, causeUserAbort, []byte("peer does not answer"))
	return true
}

// end closes the association without a word.
func (a *Association) end(err error, cause uint16) {
	if a.state == stateClosed {
		return
	}
	a.state = stateClosed
	a.t1, a.t2, a.t5, a.hb, a.rack = 0, 0, 0, heartbeat{}, rack{}
	a.rc, a.pmtu = reconfig{}, newPathMTU(&a.cfg)
	a.control.reset()
	a.cookie, a.cookieDue, a.shutdownDue = nil, false, false
	a.release()
	a.tx = a.newSender()
	a.rx = receiver{data: a.newReassembly()}
	a.events.push(Event{Kind: EventClosed, Err: err, Cause: cause})
}

// fail ends the association with an ABORT.
func (a *Association) fail(err error, cause uint16, info []byte) {
	if a.state == stateClosed {
		return
	}
	if a.peer.tag != 0 {
		a.sendWhole(a.peer.tag, appendError(nil, typeAbort, 0, cause, info))
	}
	a.end(err, 0)
}

// Abort ends the association at once; the peer is told reason, cut to 128
// bytes. EventClosed has ErrAborted.
func (a *Association) Abort(now mono.Time, reason string) {
	a.fail(ErrAborted, causeUserAbort, []byte(reason[:min(len(reason), maxReason)]))
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
