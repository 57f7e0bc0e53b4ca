package sctp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Loss detection by time, RFC 8985 with TSNs for sequence numbers: a chunk is
// lost when one which was sent sufficiently later has been delivered. SACKs
// carry all there is to know, and duplicate TSNs (RFC 9260 §3.3.4) take the
// place of D-SACK.
//
// Deviates: RFC 9260 §7.2.4 counts miss indications by SACK, and retransmits
// fast only once; a retransmission which is lost, too, then costs a timeout.
type rack struct {
	on        bool
	xmit      mono.Time // when the latest delivered chunk was sent
	tsn       uint32
	rtt       time.Duration
	highest   uint32 // TSN delivered
	reordered bool   // a chunk was delivered after a later one
	misses    int    // full packets delivered above the first gap

	// The reordering window grows while retransmissions turn out to have been
	// for nothing, §6.2 step 4.
	factor  int
	persist int    // recoveries until it is forgotten
	round   uint32 // it does not grow again before this TSN is acknowledged

	timer mono.Time // when the first chunk in flight counts as lost
}

const (
	// missThreshold of full packets is RFC 9260 §7.2.4's and RFC 8985's
	// DupThresh.
	missThreshold = 3
	// minReorder is the least time that reordering is granted before the
	// threshold is reached: less than timers resolve would be none.
	minReorder    = time.Millisecond
	reorderFactor = 16 // at most; the smoothed round trip bounds it, too
	reorderRounds = 16 // RFC 8985 §6.2
)

// delivered notes one chunk newly acknowledged, §6.2 steps 2 and 3.
func (r *rack) delivered(now mono.Time, tsn uint32, c *sentChunk, least time.Duration) {
	rtt := now.Sub(c.at)
	if c.again && rtt < least {
		return // an earlier copy has arrived
	}
	switch {
	case !r.on:
		r.highest = tsn
	case tsnLess(r.highest, tsn):
		r.highest = tsn
	case !c.again && tsnLess(tsn, r.highest):
		r.reordered = true
	}
	if !r.on || r.before(c.at, tsn) {
		r.on, r.xmit, r.tsn, r.rtt = true, c.at, tsn, rtt
	}
}

// before reports whether the latest delivered chunk was sent before this one.
func (r *rack) before(at mono.Time, tsn uint32) bool {
	return r.xmit < at || (r.xmit == at && tsnLess(r.tsn, tsn))
}

// window is how long a chunk may be overtaken before it counts as lost, §6.2
// step 4.
func (r *rack) window(recovering bool, least, srtt time.Duration) time.Duration {
	if !r.reordered && (recovering || r.misses >= missThreshold) {
		return 0
	}
	return max(min(time.Duration(r.factor+1)*least/4, srtt), minReorder)
}

// spurious notes that the peer has received something twice.
func (r *rack) spurious(cum, end uint32) {
	if r.factor > 0 && tsnLess(cum, r.round) {
		return
	}
	r.factor, r.round = min(r.factor+1, reorderFactor), end
	r.persist = reorderRounds
	r.reordered = true
}

// recovered notes the end of a recovery.
func (r *rack) recovered() {
	if r.persist > 0 {
		if r.persist--; r.persist == 0 {
			r.factor = 0
		}
	}
}

// detectLosses marks what counts as lost by now and sets the timer for the
// rest, §6.2 step 5.
func (a *Association) detectLosses(now mono.Time) {
	t, r := &a.tx, &a.rack
	r.timer = 0
	if !r.on {
		return
	}
	flight, found := t.flight, false
	wnd := r.window(a.cc.recovering, a.minRTT.get(), a.rto.srtt)
	for t.lists[flying].n > 0 {
		tsn := t.lists[flying].first
		c := t.at(tsn)
		if r.before(c.at, tsn) || r.tsn == tsn {
			break
		}
		if at := c.at.Add(r.rtt + wnd); at > now {
			r.timer = at
			break
		}
		t.mark(tsn)
		a.retire(now, c)
		found = true
	}
	if !found {
		return
	}
	a.stats.FastRetransmits++
	a.tx.probeAt = 0
	a.reduce(now, flight)
}

// reduce makes the window smaller, once for all losses of one window
// (RFC 9260 §7.2.4); flight is what it was before they were found.
func (a *Association) reduce(now mono.Time, flight int) {
	least := a.minRTT.get()
	if a.cc.lost(a.tx.end()-1, flight, a.rack.rtt > least+hystartThreshold(least)) {
		a.stats.Reductions++
	}
}

// scheduleProbe sets the timer of the tail loss probe, RFC 8985 §7.2. It follows
// the last chunk sent, and nothing else must be about to send.
func (a *Association) scheduleProbe(now mono.Time) {
	t := &a.tx
	t.probeAt = 0
	n := t.lists[flying].n
	skipping := tsnLess(t.base-1, t.advanced) // a FORWARD TSN may be lost, too
	if (n == 0 && !skipping) || t.marked > 0 || t.tail.on || t.closed || a.cc.recovering || a.rack.timer != 0 ||
		a.rto.srtt == 0 || a.state < stateEstablished {
		return
	}
	wait := max(2*a.rto.srtt, minProbe)
	if n <= 1 {
		wait += a.cfg.SackDelay // the peer may delay its answer as we would
	}
	if at := now.Add(wait); at < t.t3 {
		t.probeAt = at
	}
}

// tailProbe is a probe under way, RFC 8985 §7.3.
type tailProbe struct {
	due    bool // the next packet is one
	on     bool
	repeat bool // it was a retransmission
	end    uint32
}

// onProbe sends one more packet, so that a SACK tells what became of the
// others: new data if there is any, or the last chunk sent.
func (a *Association) onProbe(now mono.Time) {
	t := &a.tx
	if t.marked > 0 {
		return
	}
	a.stats.TailProbes++
	if t.lists[flying].n == 0 {
		t.tail = tailProbe{on: true, end: t.advanced + 1}
		t.forwardDue = true
		return
	}
	t.tail = tailProbe{due: true, on: true, end: t.end()}
	if _, m := t.next(); m == nil || t.peerWindow-t.flight < t.maxFrag || t.count >= maxOutstanding {
		tsn := t.lists[flying].last
		if c := t.at(tsn); a.peer.forwardTSN && c.msg.expired(now, c.sends) {
			t.tail = tailProbe{} // may not be sent again: T3 gives it up
			return
		}
		t.tail.repeat = true
		t.mark(tsn)
	}
	t.t3 = 0
	t.startT3(now, mono.Time(a.rto.rto))
}

// probed takes what a SACK says of the probe, RFC 8985 §7.4.2. A repetition
// which the peer had use for has mended a loss, which must count.
func (a *Association) probed(now mono.Time, s *sackChunk) {
	t := &a.tx
	if !t.tail.on || tsnLess(s.cum, t.tail.end-1) {
		return
	}
	if t.tail.repeat && len(s.dups) == 0 && !a.cc.guarded {
		a.reduce(now, t.flight)
		a.cc.advanced(a.tx.end() - 1)
	}
	t.tail = tailProbe{}
}
