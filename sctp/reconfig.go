package sctp

import (
	"encoding/binary"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// Stream reset, RFC 6525. WebRTC needs outgoing resets alone (RFC 8831 §6.7);
// a peer may also add streams. Its wish to have ours reset or added, or all
// numbers reset, is denied unless Config.ServeReconfig allows it.

const (
	paramOutgoingReset uint16 = 13
	paramIncomingReset uint16 = 14
	paramTSNReset      uint16 = 15
	paramResetResponse uint16 = 16
	paramAddOutgoing   uint16 = 17
	paramAddIncoming   uint16 = 18
)

// Result codes, §4.4.
const (
	resultNothing    = 0
	resultPerformed  = 1
	resultDenied     = 2
	resultWrongSSN   = 3
	resultBusy       = 4 // a request is already in progress
	resultBadSeq     = 5
	resultInProgress = 6
)

// request is one of ours which is no outgoing reset.
type request struct {
	typ  uint16
	n    uint16   // streams to add
	sids []uint16 // to be reset by the peer
}

type reconfig struct {
	kind    uint16    // type of the request under way; 0: none
	asked   []request // to be made; at most maxRequests
	current request   // the one under way, if it is one of these
	// The peer's request to reset all numbers.
	renumber    bool // waits for us
	renumberSeq uint32
	renumbered  bool      // the last request answered was one, with these numbers:
	tsns        [2]uint32 // our next TSN and the peer's
	serving     uint32    // number of the peer's request which resets of ours answer
	served      bool

	next    uint32   // number of our next request
	waiting []uint16 // streams to be reset
	check   bool     // one of them may be ready
	sids    []uint16 // streams of the outgoing reset under way
	last    uint32   // its last assigned TSN
	due     bool     // send it with the next packet
	stale   int      // answers that the peer is at it, with nothing left to wait for
	heard   bool     // the peer answered that it is at it
	timer   mono.Time

	peerNext uint32 // number of the peer's next request
	result   uint32 // answer to the one before
}

// ResetStreams asks the peer to take the outgoing streams sids as new. All
// that was written before is delivered first; what is written afterwards waits
// until the reset is done. EventResetDone follows. It may be called before the
// association is up. Errors: ErrClosed, ErrInvalidStream, ErrNoStreamReset.
func (a *Association) ResetStreams(now mono.Time, sids []uint16) error {
	if a.state > stateShutdownPending {
		return ErrClosed
	}
	if a.state >= stateEstablished && !a.peer.reconfig {
		return ErrNoStreamReset
	}
	for _, sid := range sids {
		if sid >= a.outStreams {
			return ErrInvalidStream
		}
	}
	a.queueReset(sids)
	a.tryReset(now)
	return nil
}

func (a *Association) queueReset(sids []uint16) {
	for _, sid := range sids {
		if s := a.tx.stream(sid); s.resetting {
			s.again = true
		} else {
			s.resetting = true
			a.rc.waiting = append(a.rc.waiting, sid)
		}
	}
	a.rc.check = true
}

// ResetIncoming asks the peer to reset its outgoing streams sids; none: all of
// them. EventStreamsReset tells that it has, and EventReconfigDone, before or
// after, that it agrees. Errors: those of ResetStreams, and ErrSendBufferFull when
// too many requests wait.
func (a *Association) ResetIncoming(now mono.Time, sids []uint16) error {
	if len(sids) > maxResetRequest {
		return ErrInvalidStream
	}
	return a.ask(now, request{typ: paramIncomingReset, sids: slices.Clone(sids)})
}

// AddStreams asks for out more outgoing streams and in more incoming ones;
// EventReconfigDone follows for each which is not 0. Config.MaxStreams bounds
// both. Errors: as ResetIncoming.
func (a *Association) AddStreams(now mono.Time, out, in uint16) error {
	if out > a.cfg.MaxStreams-a.outStreams || in > a.cfg.MaxStreams-a.inStreams {
		return ErrInvalidStream
	}
	if out > 0 {
		if err := a.ask(now, request{typ: paramAddOutgoing, n: out}); err != nil {
			return err
		}
	}
	if in > 0 {
		return a.ask(now, request{typ: paramAddIncoming, n: in})
	}
	return nil
}

func (a *Association) ask(now mono.Time, q request) error {
	switch {
	case a.state > stateShutdownPending:
		return ErrClosed
	case a.state >= stateEstablished && !a.peer.reconfig:
		return ErrNoStreamReset
	case len(a.rc.asked) >= maxRequests:
		return ErrSendBufferFull
	}
	a.rc.asked = append(a.rc.asked, q)
	a.rc.check = true
	a.tryReset(now)
	return nil
}

// resetsPending is how many EventResetDone a stream will still see.
func (a *Association) resetsPending(sid uint16) (n int) {
	if s := a.tx.streams[sid]; s != nil {
		if s.resetting {
			n++
		}
		if s.again {
			n++
		}
	}
	return n
}

// tryReset makes a request for the streams which have drained. Only one is
// under way at a time (§5.1.1).
func (a *Association) tryReset(now mono.Time) {
	r := &a.rc
	if !r.check || r.kind != 0 || a.state < stateEstablished || a.state > stateShutdownReceived {
		return
	}
	r.check = false
	if r.renumber && !a.progressRenumber(now, true) {
		return
	}
	if len(r.asked) > 0 && r.asked[0].typ == paramTSNReset && len(r.waiting) == 0 && a.peer.reconfig {
		if a.tx.freeze(); !a.tx.still() {
			return
		}
	}
	rest := r.waiting[:0]
	for _, sid := range r.waiting {
		if s := a.tx.streams[sid]; s == nil {
			continue // the peer does not take so many streams
		} else if !s.drained() || len(r.sids) == maxResetRequest {
			r.check = r.check || s.drained()
			rest = append(rest, sid)
			continue
		}
		r.sids = append(r.sids, sid)
	}
	r.waiting = rest
	switch {
	case r.sids != nil:
		r.kind = paramOutgoingReset
	case len(r.asked) > 0 && (r.asked[0].typ != paramTSNReset || a.tx.still() || !a.peer.reconfig):
		r.current = r.asked[0]
		r.asked = append(r.asked[:0], r.asked[1:]...)
		r.kind = r.current.typ
	default:
		return
	}
	if !a.peer.reconfig {
		a.finish(now, ErrNoStreamReset)
		return
	}
	r.last, r.heard = a.tx.end()-1, false
	a.sendReset(now)
}

func (a *Association) sendReset(now mono.Time) {
	a.rc.due = true
	a.rc.timer = now.Add(a.rto.rto)
}

// appendReset writes the request under way, §4.
func (r *reconfig) appendReset(b []byte) []byte {
	r.due = false
	start := len(b)
	if r.kind != 0 && r.kind != paramOutgoingReset {
		b = beginParam(beginChunk(b, typeReconfig, 0), r.kind)
		b = binary.BigEndian.AppendUint32(b, r.next)
		if r.kind == paramAddOutgoing || r.kind == paramAddIncoming {
			b = binary.BigEndian.AppendUint16(b, r.current.n)
			b = append(b, 0, 0)
		}
		for _, sid := range r.current.sids {
			b = binary.BigEndian.AppendUint16(b, sid)
		}
		binary.BigEndian.PutUint16(b[start+6:], uint16(len(b)-start-4))
		return endChunk(b, start)
	}
	b = beginParam(beginChunk(b, typeReconfig, 0), paramOutgoingReset)
	b = binary.BigEndian.AppendUint32(b, r.next)
	b = binary.BigEndian.AppendUint32(b, r.peerNext-1)
	b = binary.BigEndian.AppendUint32(b, r.last)
	for _, sid := range r.sids {
		b = binary.BigEndian.AppendUint16(b, sid)
	}
	binary.BigEndian.PutUint16(b[start+6:], uint16(len(b)-start-4))
	return endChunk(b, start)
}

func (r *reconfig) resetLen() int {
	return chunkHeaderLen + 16 + pad4(2*max(len(r.sids), len(r.current.sids)))
}

// onReconfigTimer repeats the request, §5.1.1.
func (a *Association) onReconfigTimer(now mono.Time) {
	if a.rc.kind == 0 {
		return
	}
	a.stats.Timeouts++
	if !a.rc.heard {
		a.rto.backoff()
		if a.countError() {
			return
		}
	}
	a.rc.heard = false
	a.sendReset(now)
}

// finish ends the request under way, §5.2.7.
func (a *Association) finish(now mono.Time, err error) {
	r := &a.rc
	kind, current := r.kind, r.current
	if kind == paramTSNReset {
		a.endRenumber(err)
		a.thaw()
		a.tryReset(now)
		return
	}
	r.kind, r.current = 0, request{}
	r.timer, r.due, r.check, r.stale = 0, false, true, 0
	r.next++
	if kind == paramOutgoingReset {
		a.finishReset(err)
	} else {
		if kind == paramAddOutgoing && err == nil {
			a.outStreams += current.n
		}
		a.events.push(Event{Kind: EventReconfigDone, SIDs: current.sids, Err: err})
	}
	a.tryReset(now)
}

func (a *Association) finishReset(err error) {
	r := &a.rc
	sids := r.sids
	r.sids = nil
	if r.served && r.peerNext == r.serving+1 {
		r.result, r.served = resultPerformed, false
	}
	for _, sid := range sids {
		s := a.tx.streams[sid]
		if s == nil {
			continue
		}
		s.resetting = false
		if err == nil {
			s.next = [2]uint32{}
		}
		held := len(s.held)
		if !a.tx.frozen {
			a.tx.unhold(s)
		}
		if s.again {
			s.resetting, s.again = true, false
			r.waiting = append(r.waiting, sid)
			continue
		}
		if err == nil && held == 0 && s.queue.len() == 0 {
			delete(a.tx.streams, sid)
		}
	}
	a.events.push(Event{Kind: EventResetDone, SIDs: sids, Err: err})
}

// handleReconfig takes a RE-CONFIG chunk: one or two parameters (§3.1).
func (a *Association) handleReconfig(now mono.Time, c chunk) error {
	if a.state < stateEstablished || a.state > stateShutdownReceived {
		return ErrUnexpected
	}
	v := c.value
	for i := 0; i < 2 && len(v) > 0; i++ {
		p, rest, ok := nextParam(v)
		if !ok {
			return ErrMalformed
		}
		v = rest
		if err := a.handleReconfigParam(now, p); err != nil {
			return err
		}
	}
	return nil
}

// wellFormed reports whether a parameter has a length and a type it may have,
// §4.
func (p *param) wellFormed() bool {
	n := len(p.value)
	switch p.typ {
	case paramResetResponse, paramAddOutgoing, paramAddIncoming:
		return n >= 8
	case paramOutgoingReset:
		return n >= 12 && n&1 == 0
	case paramIncomingReset:
		return n >= 4 && n&1 == 0
	case paramTSNReset:
		return n >= 4
	}
	return false
}

func (a *Association) handleReconfigParam(now mono.Time, p param) error {
	if !p.wellFormed() {
		return ErrMalformed
	}
	seq := binary.BigEndian.Uint32(p.value)
	if p.typ == paramResetResponse {
		a.handleResponse(now, seq, binary.BigEndian.Uint32(p.value[4:]), p.value[8:])
		return nil
	}
	r := &a.rc
	switch seq {
	case r.peerNext - 1: // a repetition: the same answer (§5.2.1)
		if a.tx.thawAt != 0 {
			a.tx.thawAt = now.Add(2*a.rto.rto + a.cfg.RTOMin)
		}
		a.respond(seq, r.result)
		return nil
	case r.peerNext:
	default:
		a.respond(seq, resultBadSeq)
		return nil
	}
	result := uint32(resultDenied)
	switch p.typ {
	case paramOutgoingReset:
		if result = a.takeReset(seq, p.value[8:]); result == resultBusy {
			a.respond(seq, result)
			return nil
		}
		if r.kind == paramIncomingReset && binary.BigEndian.Uint32(p.value[4:]) == r.next {
			a.finish(now, nil) // §4.1: the answer to our own
		}
	case paramIncomingReset, paramAddIncoming:
		result = a.serve(seq, p)
	case paramAddOutgoing:
		if n := binary.BigEndian.Uint16(p.value[4:]); n <= a.cfg.MaxStreams-a.inStreams {
			a.inStreams += n
			result = resultPerformed
		}
	case paramTSNReset:
		if result = a.serveRenumber(now, seq); result == resultBusy {
			a.respond(seq, result)
			return nil
		}
	}
	r.renumbered = p.typ == paramTSNReset && result == resultPerformed
	r.peerNext, r.result = seq+1, result
	a.respond(seq, result)
	a.tryReset(now)
	return nil
}

// serve takes the peer's wish to have our streams reset or added, §5.2.3 and
// §5.2.6: a request of our own follows.
func (a *Association) serve(seq uint32, p param) (result uint32) {
	r := &a.rc
	if !a.cfg.ServeReconfig {
		return resultDenied
	}
	if p.typ == paramAddIncoming {
		n := binary.BigEndian.Uint16(p.value[4:])
		if n > a.cfg.MaxStreams-a.outStreams || len(r.asked) >= maxRequests {
			return resultDenied
		}
		r.asked = append(r.asked, request{typ: paramAddOutgoing, n: n})
		r.check = true
		return resultPerformed
	}
	var sids []uint16
	for v := p.value[4:]; len(v) > 0; v = v[2:] {
		sid := binary.BigEndian.Uint16(v)
		if sid >= a.outStreams {
			return resultWrongSSN
		}
		sids = append(sids, sid)
	}
	if len(sids) == 0 { // all of them
		for sid := range a.tx.streams {
			sids = append(sids, sid)
		}
		slices.Sort(sids)
	}
	if len(sids) == 0 {
		return resultNothing
	}
	a.queueReset(sids)
	r.serving, r.served = seq, true
	return resultInProgress
}

// takeReset does what a request asks, or defers it until every TSN up to the
// last one assigned has come (§5.2.2 E).
func (a *Association) takeReset(seq uint32, v []byte) (result uint32) {
	if a.rx.data.hold != nil {
		return resultBusy
	}
	d := deferredReset{seq: seq, last: binary.BigEndian.Uint32(v)}
	for v = v[4:]; len(v) > 0; v = v[2:] {
		sid := binary.BigEndian.Uint16(v)
		if sid >= a.inStreams {
			return resultWrongSSN
		}
		d.sids = append(d.sids, sid)
	}
	if tsnLess(a.rx.cum, d.last) {
		a.rx.data.hold = &d
		return resultInProgress
	}
	a.performReset(d.sids)
	return resultPerformed
}

func (a *Association) performReset(sids []uint16) {
	a.rx.data.reset(sids)
	a.events.push(Event{Kind: EventStreamsReset, SIDs: sids, AllStreams: len(sids) == 0})
}

// resumeReset performs a deferred reset whose last TSN has come, and answers
// it without waiting for the peer to ask again.
func (a *Association) resumeReset(now mono.Time) {
	d := a.rx.data.hold
	if d == nil || tsnLess(a.rx.cum, d.last) {
		return
	}
	a.performReset(d.sids)
	a.rx.data.release()
	if a.rc.peerNext == d.seq+1 {
		a.rc.result = resultPerformed
	}
	a.respond(d.seq, resultPerformed)
}

func (a *Association) respond(seq, result uint32) {
	v := binary.BigEndian.AppendUint32(be32(seq), result)
	if r := &a.rc; r.renumbered && result == resultPerformed && seq == r.renumberSeq {
		v = binary.BigEndian.AppendUint32(v, r.tsns[0])
		v = binary.BigEndian.AppendUint32(v, r.tsns[1])
	}
	a.queueControl(appendChunk(nil, typeReconfig, 0, appendParam(nil, paramResetResponse, v)))
}

// handleResponse is §5.2.7.
func (a *Association) handleResponse(now mono.Time, seq, result uint32, more []byte) {
	r := &a.rc
	if r.kind == 0 || seq != r.next {
		return
	}
	switch result {
	case resultNothing, resultPerformed:
		if r.kind == paramTSNReset {
			a.renumberAnswered(now, result, more)
			return
		}
		a.finish(now, nil)
	case resultInProgress, resultBusy:
		if result == resultInProgress && r.kind == paramIncomingReset {
			// The peer is at it, and makes a request of its own. While ours is
			// under way we could make none, which it may be waiting for.
			a.finish(now, nil)
			return
		}
		if r.kind == paramOutgoingReset && result == resultInProgress && !tsnLess(a.tx.base-1, r.last) {
			// usrsctp repeats an answer of this kind for ever when the last TSN
			// was skipped and not received; a new request makes it look again.
			if r.stale++; r.stale >= staleAnswers {
				r.stale = 0
				r.next++
			}
		}
		r.heard, a.tx.errors = true, 0
		r.timer = now.Add(a.rto.rto)
	default:
		a.finish(now, ErrResetDenied)
	}
}
