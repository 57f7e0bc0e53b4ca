package ice

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// PairState is the state of a candidate pair (RFC 8445 §6.1.2.6).
type PairState uint8

// Pair states.
const (
	PairFrozen PairState = iota
	PairWaiting
	PairInProgress
	PairSucceeded
	PairFailed
)

var pairStateNames = [...]string{"frozen", "waiting", "in-progress", "succeeded", "failed"}

func (s PairState) String() string {
	if int(s) < len(pairStateNames) {
		return pairStateNames[s]
	}
	return "invalid"
}

// pair is one of the check list, and of the valid list once it succeeded.
type pair struct {
	base     *base
	remote   *remote
	gen      *generation
	priority uint64
	state    PairState

	nominating        bool      // we sent, or are about to send, USE-CANDIDATE
	nominateOnSuccess bool      // the peer's USE-CANDIDATE came before our check succeeded
	nominated         bool      // RFC 8445 §8
	usable            bool      // EventUsable was emitted
	sends             int       // of the check in progress
	claimed           mono.Time // last USE-CANDIDATE of the peer's; 0: none
	validAt           mono.Time // first success; 0: never
	firstRequest      mono.Time // first authenticated check of the peer's; 0: none
	heard             mono.Time // last authenticated message
	answered          mono.Time // last authenticated response to us
	carry             pairCarry
	counters          pairCounters
}

type pairCounters struct {
	requestsSent, requestsReceived, responsesSent, responsesReceived uint64
	consentRequests, retransmissions                                 uint64
	rtt, totalRTT                                                    time.Duration
	rttSamples                                                       uint64
}

func (pr *pair) path() Path { return Path{Local: pr.base.addr, Remote: pr.remote.addr} }

// sameFoundation compares pair foundations (RFC 8445 §6.1.2.6).
func (pr *pair) sameFoundation(other *pair) bool {
	return pr.base.foundation == other.base.foundation &&
		pr.remote.cand.Foundation == other.remote.cand.Foundation
}

func (a *Agent) pairPriority(b *base, r *remote) uint64 {
	local := priority(TypeHost, b.preference)
	if a.role == Controlling {
		return pairPriority(local, r.cand.Priority)
	}
	return pairPriority(r.cand.Priority, local)
}

func (a *Agent) reprioritise(r *remote) {
	for _, pr := range a.pairs {
		if pr.remote == r {
			pr.priority = a.pairPriority(pr.base, r)
		}
	}
}

func (a *Agent) findPair(b *base, r *remote) *pair {
	for _, pr := range a.pairs {
		if pr.base == b && pr.remote == r {
			return pr
		}
	}
	return nil
}

// pairWith adds the pair of b and r to the check list, if they can be paired
// and nothing is nominated yet (RFC 8838 §11.2).
func (a *Agent) pairWith(b *base, r *remote) {
	if !pairable(b.addr, r.addr) || a.nominatedNow() || a.findPair(b, r) != nil {
		return
	}
	if pr := a.newPair(b, r, false); pr != nil {
		pr.state = a.initialState(pr)
	}
}

// nominatedNow reports whether the current generation has its selected pair.
func (a *Agent) nominatedNow() bool { return a.selected != nil && a.selected.gen == a.gen }

// initialState gives the state of a new pair: Waiting if it is the first of
// its foundation or one of that foundation works, else Frozen (RFC 8445
// §6.1.2.6, RFC 8838 §12).
func (a *Agent) initialState(pr *pair) PairState {
	state := PairWaiting
	for _, q := range a.pairs {
		if q == pr || !q.sameFoundation(pr) {
			continue
		}
		switch q.state {
		case PairSucceeded:
			return PairWaiting
		case PairWaiting, PairInProgress:
			state = PairFrozen
			if q.state == PairWaiting && q.priority < pr.priority {
				q.state, state = PairFrozen, PairWaiting
			}
		}
	}
	return state
}

// newPair adds a pair. At the limit the pair of lowest priority makes room:
// the new one itself, or, if it must exist, even one that works.
func (a *Agent) newPair(b *base, r *remote, must bool) *pair {
	pr := &pair{base: b, remote: r, gen: a.gen, priority: a.pairPriority(b, r)}
	if len(a.pairs) >= MaxPairs {
		var lowest *pair
		for _, q := range a.pairs {
			if q == a.selected || q.state == PairSucceeded && !must {
				continue
			}
			if lowest == nil || q.state != PairSucceeded && lowest.state == PairSucceeded ||
				(q.state == PairSucceeded) == (lowest.state == PairSucceeded) && q.priority < lowest.priority {
				lowest = q
			}
		}
		if lowest == nil || !must && lowest.priority >= pr.priority {
			a.drops.Pairs++
			return nil
		}
		a.removePair(lowest)
	}
	a.pairs = append(a.pairs, pr)
	return pr
}

func (a *Agent) removePair(pr *pair) {
	a.pairs = slices.DeleteFunc(a.pairs, func(q *pair) bool { return q == pr })
	if a.followed == pr {
		a.followed = nil
	}
	a.triggered = slices.DeleteFunc(a.triggered, func(q *pair) bool { return q == pr })
	a.dropTransactions(func(x *transaction) bool { return x.pair == pr && pr != a.selected })
}

// trigger puts pr at the end of the triggered-check queue (RFC 8445 §6.1.4.1).
func (a *Agent) trigger(pr *pair) {
	if pr.state != PairSucceeded {
		pr.state = PairWaiting
	}
	if !slices.Contains(a.triggered, pr) {
		a.triggered = append(a.triggered, pr)
	}
}

// nextPair gives the pair to check next: the Waiting one of highest priority,
// else a Frozen one whose foundation nobody is checking (RFC 8445 §6.1.4.2).
// nil: none.
func (a *Agent) nextPair() *pair {
	if pr := a.highest(PairWaiting); pr != nil {
		return pr
	}
	return a.thawable()
}

func (a *Agent) highest(s PairState) (best *pair) {
	for _, pr := range a.pairs {
		if pr.state == s && (best == nil || pr.priority > best.priority) {
			best = pr
		}
	}
	return best
}

// thawable finds the Frozen pair of highest priority which may be checked.
//
// Deviates: RFC 8445 §6.1.4.2 lets a pair wait for as long as one of its
// foundation is in progress, up to 39.5 s. A peer which gives one foundation
// to all its candidates would stall us, so one unanswered retransmission ends
// the wait.
func (a *Agent) thawable() (best *pair) {
	for _, pr := range a.pairs {
		if pr.state != PairFrozen || best != nil && best.priority >= pr.priority {
			continue
		}
		if !slices.ContainsFunc(a.pairs, func(q *pair) bool {
			return q.state == PairInProgress && q.sends < 2 && q.sameFoundation(pr)
		}) {
			best = pr
		}
	}
	return best
}

// unfreeze lets the pairs of pr's foundation be checked, now that it works
// (RFC 8445 §7.2.5.3.3).
func (a *Agent) unfreeze(pr *pair) {
	for _, q := range a.pairs {
		if q.state == PairFrozen && q.sameFoundation(pr) {
			q.state = PairWaiting
		}
	}
}
