package sctp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/internal/mono"
)

// The reset of all numbers, RFC 6525 §4.3: TSNs and SSNs of both directions
// begin anew. Both sides first deliver what they have begun; what is written
// meanwhile follows. Nothing is lost, other than where the peer does not wait
// for its own data (§5.2.4 lets it).

// ResetNumbers asks for it. EventNumbersReset follows on both sides, here
// together with EventReconfigDone, which has an error if the peer refused.
// Errors: as ResetIncoming. A peer of this package agrees with ServeReconfig.
func (a *Association) ResetNumbers(now mono.Time) error {
	return a.ask(now, request{typ: paramTSNReset})
}

// freeze holds back what is written from now on.
func (t *sender) freeze() { t.frozen = true }

// holding reports whether what is written to a stream has to wait.
func (t *sender) holding(s *outStream) bool { return s.resetting || t.frozen }

// still reports whether nothing is to be sent or acknowledged but what is held.
func (t *sender) still() bool {
	if t.outstanding() || t.current != nil || len(t.ready) > 0 {
		return false
	}
	for _, s := range t.streams {
		if s.middle || (s.open && !s.outPart.held) {
			return false
		}
	}
	return true
}

// thaw lets what was held go.
func (a *Association) thaw() {
	t := &a.tx
	t.thawAt = 0
	if !t.frozen || a.rc.kind == paramTSNReset || a.rc.renumber {
		return
	}
	t.frozen = false
	for _, s := range t.streams {
		if !s.resetting {
			t.unhold(s)
		}
	}
}

// unhold queues what was held of a stream.
func (t *sender) unhold(s *outStream) {
	held := s.held
	s.held, s.outPart.held = nil, false
	for _, m := range held {
		t.enqueue(s, m)
	}
}

// serveRenumber takes the peer's request. While ours is under way, too, the one
// of the side with the greater tag is served first, and then the other.
func (a *Association) serveRenumber(now mono.Time, seq uint32) (result uint32) {
	r := &a.rc
	switch {
	case !a.cfg.ServeReconfig:
		return resultDenied
	case r.kind == paramTSNReset && a.tag > a.peer.tag:
		return resultBusy
	case a.rx.data.hold != nil:
		return resultBusy
	}
	r.renumber, r.renumberSeq = true, seq
	a.tx.freeze()
	r.check = true
	if a.progressRenumber(now, false) {
		return resultPerformed
	}
	return resultInProgress
}

// progressRenumber serves the peer's request as soon as everything of ours is
// delivered and no other request of ours is under way. tell: it is to be
// answered here.
func (a *Association) progressRenumber(now mono.Time, tell bool) bool {
	r := &a.rc
	if !r.renumber || !a.tx.still() || (r.kind != 0 && r.kind != paramTSNReset) {
		return false
	}
	r.renumber, r.check = false, true
	// §5.2.4: the peer goes on far from what it has used; we where we are.
	theirs, mine := a.rx.cum+1+1<<31, a.tx.end()
	r.tsns, r.renumbered = [2]uint32{mine, theirs}, true
	a.renumber(mine, theirs)
	// Deviates: §5.2.4 lets data follow at once. If it overtook the answer, the
	// peer would take its numbers for old ones.
	a.tx.thawAt = now.Add(2*a.rto.rto + a.cfg.RTOMin)
	if tell {
		r.result = resultPerformed
		a.respond(r.renumberSeq, resultPerformed)
	}
	return true
}

// renumber makes mine the next TSN of this side and theirs that of the peer.
func (a *Association) renumber(mine, theirs uint32) {
	t := &a.tx
	t.window.base, t.advanced, t.sampleFrom, t.gaps = mine, mine-1, mine, nil
	t.forwardDue, t.tail, t.probing = false, tailProbe{}, false
	a.rack = rack{}
	a.cc.guarded, a.cc.recovering, a.cc.round = false, false, mine
	for _, s := range t.streams {
		s.next = [2]uint32{}
	}
	r := &a.rx
	r.cum, r.ranges, r.dups = theirs-1, nil, nil
	r.sackNow = true
	r.data.drop()
	r.data.reset(nil)
	a.events.push(Event{Kind: EventNumbersReset})
}

// drop discards every fragment, as a FORWARD TSN beyond all would.
func (q *reassembly) drop() {
	for _, r := range q.runs {
		q.discard(r)
	}
	q.runs = nil
}

// endRenumber ends our request.
func (a *Association) endRenumber(err error) {
	r := &a.rc
	r.next++
	r.kind, r.current = 0, request{}
	r.timer, r.due, r.check = 0, false, true
	a.events.push(Event{Kind: EventReconfigDone, Err: err})
}

// renumberAnswered takes the response to our request, §5.2.7 with §4.4.
func (a *Association) renumberAnswered(now mono.Time, result uint32, v []byte) {
	if result == resultPerformed && len(v) >= 8 {
		a.renumber(binary.BigEndian.Uint32(v[4:]), binary.BigEndian.Uint32(v))
	} else if result == resultPerformed {
		result = resultDenied // without numbers there is no way on; it has not happened
	}
	var err error
	if result != resultPerformed {
		err = ErrResetDenied
	}
	a.endRenumber(err)
	a.thaw()
	a.tryReset(now)
}

// overtaken reports whether a chunk has come before the answer to our request
// and bears the new numbers: the old ones have been used. The peer sends it
// again.
func (a *Association) overtaken(d *dataChunk) bool {
	s := a.rx.data.streams[d.sid]
	if s == nil || d.flags&flagUnordered != 0 {
		return false
	}
	mid := uint32(d.ssn)
	if d.idata {
		mid = d.mid
	}
	return a.rx.data.before(mid, s.next)
}
