package sctp

import "github.com/sluicertc/sluice/internal/mono"

// An ackResult is what one SACK has newly reported.
type ackResult struct {
	bytes    int
	chunks   int
	advanced bool      // the cumulative TSN
	sent     mono.Time // when the latest chunk sent only once went out; 0: none
	tsn      uint32    // of that chunk
}

// handleSack takes a SACK, RFC 9260 §6.2.1.
func (a *Association) handleSack(now mono.Time, c chunk) error {
	s, ok := parseSack(c)
	if !ok {
		return ErrMalformed
	}
	if a.state < stateEstablished || a.state == stateClosed {
		return ErrUnexpected
	}
	t := &a.tx
	if tsnLess(s.cum, t.base-1) {
		return nil // D i: older than what is known
	}
	if !t.plausible(&s) {
		// An acknowledgment of what was never sent is an attack or a fault; it
		// must not open the window.
		a.stats.BogusSacks++
		return ErrProtocol
	}
	var res ackResult
	a.ackCumulative(now, s.cum, &res)
	if len(s.gaps) > 0 || len(t.gaps) > 0 {
		a.ackGaps(now, &s, &res)
	}
	t.peerWindow = int(min(s.window, 1<<31-1))
	t.heard = true
	if res.bytes > 0 || res.advanced {
		t.errors, t.closed = 0, false // §8.1
		a.hb.answered()
	}
	a.measure(now, &res)
	ended := false
	if res.advanced {
		t.t3 = 0 // §6.3.2 R3
		a.rto.relax()
		if ended = a.cc.advanced(s.cum); ended {
			a.rack.recovered()
		}
		a.rack.misses = 0
	}
	if len(s.gaps) > 0 && res.bytes > 0 {
		a.rack.misses += max(res.bytes/t.maxFrag, 1)
	}
	a.dups(&s)
	a.probed(now, &s)
	t.unprobe()
	marked := t.marked
	a.detectLosses(now)
	if !ended {
		a.cc.acked(now, res.bytes, s.cum, t.end(), a.rto.srtt)
	}
	a.cc.recover(res.bytes, t.flight, res.advanced && t.marked <= marked)
	a.afterAck(now)
	a.scheduleProbe(now)
	return nil
}

// measure takes the round trip of the latest chunk newly acknowledged, unless
// that was sent again (Karn; §6.3.1 C5). The estimate takes one sample each
// round trip, for which its gains are made (C4).
func (a *Association) measure(now mono.Time, res *ackResult) {
	if res.sent == 0 {
		return
	}
	d := now.Sub(res.sent)
	a.minRTT.sample(now, d)
	a.cc.slow.sample(d, res.chunks)
	if !tsnLess(res.tsn, a.tx.sampleFrom) {
		a.tx.sampleFrom = a.tx.end()
		a.rto.sample(d)
	}
}

// dups counts retransmissions which the peer had no use for.
func (a *Association) dups(s *sackChunk) {
	if n := len(s.dups) / 4; n > 0 && a.stats.Retransmissions > a.stats.SpuriousRetransmits {
		a.stats.SpuriousRetransmits += min(uint64(n), a.stats.Retransmissions-a.stats.SpuriousRetransmits)
		a.rack.spurious(s.cum, a.tx.end())
	}
}

// unprobe sends a window probe again at once when the window has opened: the
// peer has dropped it.
func (t *sender) unprobe() {
	if !t.contains(t.probe) {
		t.probing = false
	}
	if !t.probing {
		return
	}
	if c := t.at(t.probe); int(c.n) <= t.peerWindow {
		if t.probing, t.closed = false, false; c.inFlight() {
			t.mark(t.probe)
		}
	}
}

// plausible reports whether s speaks only of TSNs which were sent, in
// ascending blocks.
func (t *sender) plausible(s *sackChunk) bool {
	top := t.end() - 1
	if tsnLess(top, s.cum) {
		return false
	}
	prev := s.cum
	for i := range s.numGaps() {
		first, last := s.gap(i)
		if i == 0 {
			prev++ // what touches cum is no gap
		}
		if !tsnLess(prev, first) || tsnLess(last, first) || tsnLess(top, last) {
			return false
		}
		prev = last
	}
	return true
}

// afterAck does what every change of the acknowledged part may lead to.
func (a *Association) afterAck(now mono.Time) {
	t := &a.tx
	a.advancePeerAck()
	if t.outstanding() {
		t.startT3(now, mono.Time(a.rto.rto))
	} else {
		t.t3 = 0 // R2
		a.rc.check = a.rc.check || t.frozen
	}
	a.checkWritable()
	a.progressShutdown(now)
}

// ackCumulative removes every chunk up to cum.
func (a *Association) ackCumulative(now mono.Time, cum uint32, res *ackResult) {
	t := &a.tx
	for t.outstanding() && tsnLessEq(t.base, cum) {
		if c := t.at(t.base); !c.acked {
			a.delivered(now, t.base, c, res)
		}
		c := t.pop()
		res.advanced = true
		if !c.msg.gone {
			a.stats.BytesAcked += uint64(c.n)
			t.release(c.msg, int(c.n))
		}
		t.drop(c.msg)
	}
	t.trim()
}

// delivered notes a chunk not acknowledged before.
func (a *Association) delivered(now mono.Time, tsn uint32, c *sentChunk, res *ackResult) {
	res.bytes += int(c.n)
	res.chunks++
	if c.long {
		a.pmtu.silent = 0
	}
	if !c.again && c.at >= res.sent {
		res.sent, res.tsn = c.at, tsn
	}
	a.rack.delivered(now, tsn, c, a.minRTT.get())
}

// release returns n bytes of a message to the send buffer, and its bookkeeping
// with the last of them.
func (t *sender) release(m *message, n int) {
	m.cost -= n
	t.cost -= n
	if m.cost <= messageCost {
		t.cost -= m.cost
		m.cost = 0
		t.unrank(m)
	}
}

// truncatedGaps is so many gap blocks that the peer may have had no room for
// more: what lies above the last of them may have been received all the same.
const truncatedGaps = 64

// ackGaps applies the gap blocks: chunks inside are received, chunks outside
// are not, even if they were reported before (D iii). The work is the number
// of blocks and of chunks whose state changes.
func (a *Association) ackGaps(now mono.Time, s *sackChunk, res *ackResult) {
	t := &a.tx
	t.scratch = t.scratch[:0]
	for i := range s.numGaps() {
		first, last := s.gap(i)
		t.scratch = append(t.scratch, tsnRange{first, last})
	}
	if n := len(t.scratch); n >= truncatedGaps {
		top := t.scratch[n-1].last
		for _, g := range t.gaps {
			if tsnLess(top, g.last) {
				t.scratch = append(t.scratch, tsnRange{max32(g.first, top+1), g.last})
			}
		}
	}
	subtract(t.scratch, t.gaps, func(first, last uint32) {
		for tsn := first; tsnLessEq(tsn, last); tsn++ {
			c := t.at(tsn)
			if !c.acked {
				a.delivered(now, tsn, c, res)
			}
			t.settle(tsn)
			c.acked = true
		}
	})
	subtract(t.gaps, t.scratch, func(first, last uint32) {
		for tsn := first; tsnLessEq(tsn, last); tsn++ {
			t.reneged(now, tsn)
			a.stats.Reneged++
		}
	})
	t.gaps, t.scratch = t.scratch, t.gaps
}

// max32 is the later of two TSNs.
func max32(a, b uint32) uint32 {
	if tsnLess(a, b) {
		return b
	}
	return a
}

// onT3 is the expiry of T3-rtx, §6.3.3.
func (a *Association) onT3(now mono.Time) {
	t := &a.tx
	t.t3 = 0
	if !t.outstanding() {
		return
	}
	a.stats.Timeouts++
	// §6.1 A: a peer which answers probes of its closed window is alive, and
	// its window says nothing of the network.
	first := t.at(t.base)
	t.closed = t.heard && !first.msg.gone && t.peerWindow < int(first.n)
	if !t.closed {
		if a.countError() {
			return
		}
		a.cc.timeout(t.end() - 1)
		if a.pmtu.silent++; a.pmtu.silent >= suspectTimeouts {
			a.lostLong(now)
		}
	}
	a.rto.backoff()
	a.rack.timer, t.probeAt, t.tail = 0, 0, tailProbe{}
	t.markAll()
	for tsn := t.base; tsn != t.end(); tsn++ {
		if c := t.at(tsn); c.where == lost {
			a.retire(now, c)
		}
	}
	a.advancePeerAck()
	if tsnLess(t.base-1, t.advanced) {
		t.forwardDue = true
	}
	t.startT3(now, mono.Time(a.rto.rto))
	a.checkWritable()
	a.progressShutdown(now)
}
