package sctp

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// What has been received: which TSNs, and when to say so.

type tsnRange struct{ first, last uint32 }

type receiver struct {
	cum    uint32     // every TSN up to here has been received
	ranges []tsnRange // received above cum; ascending, disjoint, not adjacent
	dups   []uint32
	data   reassembly

	sackNow    bool // say it with the next packet
	sackTimer  mono.Time
	unsacked   int       // packets with DATA since the last SACK
	advertised int       // window in the last SACK
	idleAt     mono.Time // when the window has been idle

	tune tuner

	// Of the packet being handled.
	gotData, gotUrgent bool
}

func (r *receiver) start(tsn uint32) {
	r.cum = tsn - 1
	r.ranges, r.dups = nil, nil
	r.sackNow, r.sackTimer, r.unsacked = false, 0, 0
	r.advertised, r.data.promise = r.data.limit, r.data.limit
}

// highest TSN received.
func (r *receiver) highest() uint32 {
	if n := len(r.ranges); n > 0 {
		return r.ranges[n-1].last
	}
	return r.cum
}

// find returns the index of the first range which ends at tsn or later.
func (r *receiver) find(tsn uint32) int {
	i, _ := slices.BinarySearchFunc(r.ranges, tsn, func(g tsnRange, tsn uint32) int { return int(int32(g.last - tsn)) })
	return i
}

func (r *receiver) received(tsn uint32) bool {
	if tsnLessEq(tsn, r.cum) {
		return true
	}
	i := r.find(tsn)
	return i < len(r.ranges) && tsnLessEq(r.ranges[i].first, tsn)
}

// acceptable reports whether a new TSN can be recorded.
func (r *receiver) acceptable(tsn uint32) bool {
	if tsn-r.cum > maxSpan {
		return false
	}
	if len(r.ranges) < maxRanges || tsn == r.cum+1 {
		return true
	}
	i := r.find(tsn)
	return (i < len(r.ranges) && r.ranges[i].first == tsn+1) || (i > 0 && r.ranges[i-1].last+1 == tsn)
}

// record notes a new, acceptable TSN.
func (r *receiver) record(tsn uint32) {
	if tsn == r.cum+1 {
		r.advance(tsn)
		return
	}
	i := r.find(tsn)
	before := i > 0 && r.ranges[i-1].last+1 == tsn
	after := i < len(r.ranges) && r.ranges[i].first == tsn+1
	switch {
	case before && after:
		r.ranges[i-1].last = r.ranges[i].last
		r.ranges = slices.Delete(r.ranges, i, i+1)
	case before:
		r.ranges[i-1].last = tsn
	case after:
		r.ranges[i].first = tsn
	default:
		r.ranges = slices.Insert(r.ranges, i, tsnRange{tsn, tsn})
	}
}

// advance moves cum to tsn or, over ranges which touch, further.
func (r *receiver) advance(tsn uint32) {
	r.cum = tsn
	n := 0
	for n < len(r.ranges) && tsnLessEq(r.ranges[n].first, r.cum+1) {
		if tsnLess(r.cum, r.ranges[n].last) {
			r.cum = r.ranges[n].last
		}
		n++
	}
	r.ranges = slices.Delete(r.ranges, 0, n)
}

// handleData takes one DATA chunk, RFC 9260 §6.2.
func (a *Association) handleData(now mono.Time, c chunk) error {
	d, ok := parseData(c)
	if !ok {
		return ErrMalformed
	}
	switch a.state {
	case stateEstablished, stateShutdownPending, stateShutdownSent:
	default:
		return ErrUnexpected // §6
	}
	if d.idata != a.peer.interleave { // RFC 8260 §2.2.1
		a.fail(ErrProtocol, causeProtocol, nil)
		return ErrProtocol
	}
	r := &a.rx
	r.gotData = true
	if d.flags&flagImmediate != 0 {
		r.gotUrgent = true // RFC 7053, §6.2
	}
	if len(d.payload) == 0 { // §6.2: No User Data
		a.fail(ErrProtocol, causeNoUserData, be32(d.tsn))
		return ErrProtocol
	}
	if r.received(d.tsn) {
		a.stats.DuplicateChunks++
		r.gotUrgent = true
		if len(r.dups) < maxDuplicates {
			r.dups = append(r.dups, d.tsn)
		}
		return nil
	}
	if a.rc.kind == paramTSNReset && a.overtaken(&d) {
		a.stats.WindowDrops++
		return nil
	}
	filler := tsnLess(d.tsn, r.highest())
	if !r.acceptable(d.tsn) || !r.data.fits(len(d.payload), filler) {
		if d.tsn == r.cum+1 && r.stuck() {
			a.fail(ErrPeerMessage, causeNoResource, nil)
			return ErrPeerMessage
		}
		a.stats.WindowDrops++
		r.gotUrgent = true // the answer to a zero window probe
		return nil
	}
	r.record(d.tsn)
	if filler || len(r.ranges) > 0 {
		r.gotUrgent = true // §6.7
	}
	a.stats.ChunksReceived++
	a.stats.BytesReceived += uint64(len(d.payload))
	if d.sid >= a.inStreams { // §6.5: acknowledged, reported, not delivered
		a.reportError(causeInvalidStream, []byte{byte(d.sid >> 8), byte(d.sid), 0, 0})
		return nil
	}
	if !r.data.add(&d) {
		a.fail(ErrPeerMessage, causeProtocol, []byte("message too large"))
		return ErrPeerMessage
	}
	r.data.widen(a.cfg.Budget)
	a.resumeReset(now)
	return nil
}

// handleForward takes a FORWARD TSN, RFC 3758 §3.6.
func (a *Association) handleForward(now mono.Time, c chunk) error {
	f, ok := parseForward(c)
	if !ok {
		return ErrMalformed
	}
	switch a.state {
	case stateEstablished, stateShutdownPending, stateShutdownSent:
	default:
		return ErrUnexpected
	}
	if (c.typ == typeIForwardTSN) != a.peer.interleave { // RFC 8260 §2.3.1
		a.fail(ErrProtocol, causeProtocol, nil)
		return ErrProtocol
	}
	r := &a.rx
	r.gotData, r.gotUrgent = true, true
	if tsnLessEq(f.cum, r.cum) {
		return nil
	}
	r.advance(f.cum)
	r.data.forward(&f)
	a.resumeReset(now)
	return nil
}

// endPacket decides what the packet just handled means for the next SACK:
// every second packet or SackDelay, at once for anything unusual (§6.2).
func (r *receiver) endPacket(now mono.Time, delay mono.Time) {
	if !r.gotData {
		return
	}
	r.unsacked++
	if r.gotUrgent || r.unsacked >= 2 {
		r.sackNow, r.sackTimer = true, 0
	} else if r.sackTimer == 0 {
		r.sackTimer = now + delay
	}
	r.gotData, r.gotUrgent = false, false
}

// tuner enlarges the window for an application which keeps up: to four times
// what it consumed in a round trip, since a sender in slow start wants twice as
// much in the next one, and a lost packet keeps everything behind it for one
// more.
type tuner struct {
	rtt      time.Duration // of the handshake; 0: not known
	since    mono.Time
	consumed int
}

func (r *receiver) tuneWindow(now mono.Time, srtt time.Duration, b *Budget) {
	u := &r.tune
	if srtt == 0 {
		srtt = u.rtt
	}
	if now.Sub(u.since) < srtt {
		return
	}
	if now.Sub(u.since) < 2*srtt+time.Millisecond {
		r.data.resize(b, u.consumed)
	} else {
		r.data.settle(b)
	}
	u.since, u.consumed = now, 0
}

// opened notes that the application has consumed something: a window which
// has grown by a quarter of the buffer is worth a SACK (RFC 9260 §6.2, silly
// window avoidance of RFC 1122 §4.2.3.3).
func (r *receiver) opened() {
	if r.data.window()-r.advertised >= r.data.limit/4 {
		r.sackNow = true
	}
}

// appendSackChunk writes a SACK of at most room bytes and forgets what it said.
func (r *receiver) appendSackChunk(b []byte, room int) []byte {
	room -= chunkHeaderLen + sackFixedLen
	gaps := r.ranges[:min(len(r.ranges), room/4)]
	dups := r.dups[:min(len(r.dups), room/4-len(gaps))]
	r.advertised = r.data.window()
	r.data.promise = r.advertised
	b = appendSack(b, r.cum, uint32(r.advertised), gaps, dups)
	r.dups = r.dups[:0]
	r.sackNow, r.sackTimer, r.unsacked = false, 0, 0
	return b
}
