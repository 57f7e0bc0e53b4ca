package sctp

import "github.com/sluicertc/sluice/internal/mono"

// Budget is memory for buffers which associations share, beyond what each of
// them has for itself: a receive window of Config.MaxReceiveBuffer and
// sendFloor bytes to send. It belongs to one goroutine, that of all of them;
// put it into each one's Config. Together they hold at most Limit and what each
// has for itself.
//
// A receive window grows with what its application reads in a round trip, and
// takes at most a quarter of the whole. Where little is left, all grow by small
// steps and shrink by an eighth, which makes them even in the end, as congestion
// control does; a window not used for idleReclaim is taken back. No window is made
// smaller than what was advertised, while the peer may be sending.
type Budget struct {
	limit, used int
}

// NewBudget makes a budget of limit bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: max(limit, 0)} }

// Limit is what may be taken, in bytes.
func (b *Budget) Limit() int { return b.limit }

// Used is what is taken.
func (b *Budget) Used() int { return b.used }

// grant returns how many of n more bytes may be had by one which has had
// some; a nil Budget gives everything. They are not taken yet.
func (b *Budget) grant(n, had int) int {
	if b == nil {
		return n
	}
	free := b.limit - b.used
	if n = min(n, free/2, b.limit/4-had); free < b.limit/4 {
		n = min(n, b.limit/64)
	}
	return max(n, 0)
}

// change replaces what one holds.
func (b *Budget) change(held *int, n int) {
	if b == nil || *held == n {
		return
	}
	b.used += n - *held
	*held = n
}

// tight reports whether so little is left that all must give some back.
func (b *Budget) tight() bool { return b != nil && b.limit-b.used < b.limit/8 }

// settle accounts for the receive window and what was promised of it.
func (q *reassembly) settle(b *Budget) {
	b.change(&q.borrowed, max(0, max(q.limit, q.bytes+q.promise)-q.floor))
}

// resize sets how large the window is to be, for an application which has read
// n bytes in the last round trip.
func (q *reassembly) resize(b *Budget, n int) {
	if want := min(4*n, q.most); b.tight() {
		q.limit -= max(q.limit-q.floor, 0) / 8
	} else if want > q.limit {
		q.limit += b.grant(want-q.limit, q.borrowed)
	}
	q.settle(b)
}

// widen makes room where unfinished messages fill the window and nothing the
// application does could: a peer may interleave more of them than fit
// (RFC 8260), and would wait for ever.
func (q *reassembly) widen(b *Budget) {
	if !q.wide || q.limit-q.bytes >= q.limit/4 {
		return
	}
	q.flushParts() // what can be read
	if q.unread < q.limit/4 {
		q.limit += b.grant(min(q.limit, q.most-q.limit), q.borrowed)
		q.settle(b)
	}
}

// stuck reports whether it is not wide enough all the same: nothing is missing,
// nothing is to be read.
func (r *receiver) stuck() bool { return r.data.wide && len(r.ranges) == 0 && r.data.unread == 0 }

// reclaim gives an idle window back, down to what is in it.
func (a *Association) reclaim() {
	q := &a.rx.data
	q.limit, q.promise = max(q.floor, q.bytes), 0
	q.settle(a.cfg.Budget)
	if a.state == stateEstablished {
		a.rx.sackNow = true
	}
}

// keepWindow sets when a window beyond the floor counts as idle.
func (a *Association) keepWindow(now mono.Time) {
	if a.rx.data.borrowed > 0 {
		a.rx.idleAt = now.Add(idleReclaim + 4*a.rto.srtt)
	}
}

// sendLimit is what may be held to be sent.
func (a *Association) sendLimit() int {
	b := a.cfg.Budget
	if b == nil {
		return a.cfg.MaxSendBuffer
	}
	had := max(a.tx.cost, sendFloor)
	return min(a.cfg.MaxSendBuffer, had+b.grant(a.cfg.MaxSendBuffer, a.tx.borrowed))
}

// settleSend accounts for what is held to be sent.
func (a *Association) settleSend() {
	if b := a.cfg.Budget; b != nil {
		b.change(&a.tx.borrowed, max(0, a.tx.cost-sendFloor))
	}
}

// release gives everything back.
func (a *Association) release() {
	a.cfg.Budget.change(&a.tx.borrowed, 0)
	a.cfg.Budget.change(&a.rx.data.borrowed, 0)
}
