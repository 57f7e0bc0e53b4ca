package sctp

import "github.com/sluicertc/sluice/internal/mono"

// handleSack takes a SACK, RFC 9260 §6.2.1.
func (a *Association) handleSack(now mono.Time, c chunk) error {
	a.tx.burst, a.tx.resume = 0, 0
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
	flight := t.flight
	t.sacks++
	newly, advanced := a.ackCumulative(now, s.cum)
	var highest uint32
	gapped := false
	if len(s.gaps) > 0 || tsnLess(t.base-1, t.high) {
		var n int
		n, highest, gapped = a.ackGaps(now, &s)
		newly += n
	}
	t.peerWindow = int(min(s.window, 1<<31-1))
	t.heard = true
	if newly > 0 || advanced {
		t.errors, t.closed = 0, false // §8.1
		a.hb.answered()
	}
	if advanced {
		a.cc.advanced(s.cum)
		a.cc.acked(newly, flight)
		t.t3 = 0 // §6.3.2 R3
	}
	t.unprobe()
	if limit, ok := missLimit(&s, highest, gapped, a.cc.recovering && advanced); ok {
		a.countMisses(now, limit)
	}
	a.afterAck(now)
	return nil
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
	if c := t.at(t.probe); c.n <= t.peerWindow {
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
	}
	a.checkWritable()
	a.progressShutdown(now)
}

// ackCumulative removes every chunk up to cum. It returns the bytes which were
// not acknowledged before.
func (a *Association) ackCumulative(now mono.Time, cum uint32) (newly int, advanced bool) {
	t := &a.tx
	for t.outstanding() && tsnLessEq(t.base, cum) {
		a.timed(now, t.base)
		c := t.pop()
		advanced = true
		if !c.acked {
			newly += c.n
		}
		if !c.msg.gone {
			a.stats.BytesAcked += uint64(c.n)
			t.release(c.msg, c.n)
		}
	}
	return newly, advanced
}

// release returns n bytes of a message to the send buffer, and its bookkeeping
// with the last of them.
func (t *sender) release(m *message, n int) {
	m.cost -= n
	t.cost -= n
	if m.cost <= messageCost {
		t.cost -= m.cost
		m.cost = 0
	}
}

// timed takes the round trip of the TSN being timed, if it is this one.
func (a *Association) timed(now mono.Time, tsn uint32) {
	if a.tx.rttOn && a.tx.rttTSN == tsn {
		a.tx.rttOn = false
		a.rto.sample(now.Sub(a.tx.rttFrom))
	}
}

// ackGaps applies the gap blocks: chunks inside are received, chunks outside
// are not, even if they were reported before (D iii). It returns the newly
// reported bytes and the highest TSN among them.
func (a *Association) ackGaps(now mono.Time, s *sackChunk) (newly int, highest uint32, any bool) {
	t := &a.tx
	tsn := t.base
	lost := func(end uint32) {
		for ; tsnLess(tsn, end); tsn++ {
			if c := t.at(tsn); c.acked {
				c.acked = false
				if c.inFlight() {
					t.flight += c.n
				}
			}
		}
	}
	top := t.base - 1
	for i := range s.numGaps() {
		first, last := s.gap(i)
		lost(first)
		for ; tsnLessEq(tsn, last); tsn++ {
			c := t.at(tsn)
			if c.acked {
				continue
			}
			a.timed(now, tsn)
			t.settle(c)
			c.acked, c.ackSeq = true, t.sacks
			newly += c.n
			highest, any = tsn, true
		}
		top = last
	}
	if t.contains(t.high) {
		lost(t.high + 1)
	}
	t.high = top
	return newly, highest, any
}

// missLimit returns below which TSN chunks count as reported missing: the
// highest newly acknowledged one, or in fast recovery, when the cumulative TSN
// advanced, all which the SACK shows (§7.2.4).
func missLimit(s *sackChunk, highest uint32, gapped, recovering bool) (uint32, bool) {
	if recovering && s.numGaps() > 0 {
		_, last := s.gap(s.numGaps() - 1)
		return last, true
	}
	return highest, gapped
}

// countMisses counts miss indications below limit and marks what has three.
//
// Deviates: RFC 9260 §7.2.4 counts SACKs. A SACK which reports a burst counts
// as often as it newly reports full packets above the missing one, as if each
// had been acknowledged alone (compare RFC 6675 §4, IsLost).
func (a *Association) countMisses(now mono.Time, limit uint32) {
	t := &a.tx
	above, lost := 0, false
	for tsn := limit; !tsnLess(tsn, t.base); tsn-- {
		c := t.at(tsn)
		if c.acked {
			if c.ackSeq == t.sacks {
				above += c.n
			}
			continue
		}
		if !c.inFlight() || c.fast {
			continue
		}
		c.misses += uint8(min(max(above/t.maxFrag, 1), 3))
		if c.misses >= 3 {
			c.fast, lost = true, true
			t.mark(tsn)
			a.retire(now, c)
		}
	}
	if !lost {
		return
	}
	a.stats.FastRetransmits++
	if !a.cc.recovering {
		a.cc.lost(t.end() - 1)
		a.burst = true // one packet regardless of cwnd
	}
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
	t.closed = t.heard && !first.msg.gone && t.peerWindow < first.n
	if !t.closed {
		if a.countError() {
			return
		}
		a.cc.timeout()
	}
	a.rto.backoff()
	t.rttOn = false
	for tsn := t.base; tsn != t.end(); tsn++ {
		c := t.at(tsn)
		c.fast, c.misses = false, 0
		if c.inFlight() {
			t.mark(tsn)
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
