package ice

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// stepNomination nominates the best valid pair, once, if we control (RFC 8445
// §8.1.1): when nothing better is left to be checked, or when the wait for
// something better is over.
func (a *Agent) stepNomination(now mono.Time) {
	if best := a.nominee(); best != nil && (!a.betterPending(best) || now >= best.validAt.Add(a.acceptWait(best))) {
		a.nominate(best)
	}
}

// nominee gives the pair to nominate next, nil if it is not for us, or not now.
func (a *Agent) nominee() *pair {
	if a.role != Controlling || a.gen.remoteKey == nil || a.nominatedNow() ||
		slices.ContainsFunc(a.pairs, func(pr *pair) bool { return pr.nominating }) {
		return nil
	}
	return a.highest(PairSucceeded)
}

func (a *Agent) betterPending(pr *pair) bool {
	return slices.ContainsFunc(a.pairs, func(q *pair) bool {
		return q.priority > pr.priority && q.state < PairSucceeded
	})
}

func (a *Agent) acceptWait(pr *pair) time.Duration {
	switch pr.remote.cand.Type {
	case TypeHost:
		return 0
	case TypeRelay:
		return a.cfg.AcceptRelay
	}
	return a.cfg.AcceptReflexive
}

func (a *Agent) nominationTimeout(t *earliest) {
	if best := a.nominee(); best != nil {
		t.add(best.validAt.Add(a.acceptWait(best)))
	}
}

// nominate repeats the check of pr, with USE-CANDIDATE.
func (a *Agent) nominate(pr *pair) {
	pr.nominating = true
	a.trigger(pr)
}

// nominatedByPeer takes a USE-CANDIDATE for a valid pair (RFC 8445 §7.3.1.5).
// Of a peer with regular nomination the last word counts. One which nominates
// aggressively (RFC 5245 §8.1.1.2), as its first check has told, names every
// pair again and again: of those the highest priority counts, unless the peer
// has left it: it is silent, and this one was named twice meanwhile.
func (a *Agent) nominatedByPeer(now mono.Time, pr *pair) {
	pr.nominated = true
	before := pr.claimed
	pr.claimed = now
	s := a.selected
	if s != nil && s.gen == a.gen && a.aggressive && s.priority >= pr.priority &&
		(now.Sub(s.heard) < minClaim || before <= s.heard) {
		return
	}
	a.followed = nil
	a.selectPair(now, pr)
}

// selectPair makes pr carry the media, and ends the search (RFC 8445 §8.1.2).
func (a *Agent) selectPair(now mono.Time, pr *pair) {
	old := a.selected
	if old == pr {
		return
	}
	pr.nominated = true
	a.selected = pr
	if old == nil || old.path() != pr.path() {
		a.emit(Event{Kind: EventSelected, Path: pr.path()})
	}
	if a.prev != nil && a.prevUntil == 0 {
		a.prevUntil = now.Add(previousGrace)
	}
	a.dropTransactions(func(x *transaction) bool { return x.kind == txConsent && x.pair != pr })
	// RFC 8445 §8.1.2: Waiting and Frozen pairs go, lower ones in progress are
	// not sent again. What the peer nominated meanwhile stays.
	for i := len(a.pairs) - 1; i >= 0; i-- {
		q := a.pairs[i]
		switch {
		case q == pr || q.nominateOnSuccess:
		case q.state <= PairWaiting:
			a.removePair(q)
		case q.state == PairInProgress && q.priority < pr.priority:
			a.supersede(now, q)
		}
	}
	a.startConsent(now)
}
