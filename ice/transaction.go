package ice

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

type txKind uint8

const (
	txCheck   txKind = iota // a connectivity check, retransmitted
	txConsent               // of the selected pair
	txServer                // to a STUN server, retransmitted
)

// transaction is a request which waits for its response. What went into the
// request is kept, so that a retransmission is the same message (RFC 8489
// §6.2.1).
type transaction struct {
	id         stun.TransactionID
	kind       txKind
	role       Role
	nominate   bool
	carry      bool // the request had the attributes of carry.go
	superseded bool // RFC 8445 §7.3.1.4: not sent again, its response still counts
	attempts   int
	ask        int // of txServer
	pair       *pair
	gen        *generation
	path       Path
	priority   uint32
	tiebreaker uint64
	sent       mono.Time // last time
	left       mono.Time // when Transmit gave it out; 0: not yet
	deadline   mono.Time // of the next retransmission, or of giving up
	rto        time.Duration
}

// begin makes a transaction, nil if the table is full.
func (a *Agent) begin(now mono.Time, k txKind, pr *pair, p Path) *transaction {
	if len(a.txs) >= MaxTransactions {
		i := slices.IndexFunc(a.txs, func(x *transaction) bool { return x.superseded })
		if i < 0 {
			a.drops.Queue++
			return nil
		}
		a.txs = slices.Delete(a.txs, i, i+1)
	}
	x := &transaction{id: a.newTransactionID(), kind: k, pair: pr, path: p,
		role: a.role, tiebreaker: a.tiebreaker, rto: a.cfg.RTO}
	if pr != nil {
		x.gen = pr.gen
		// RFC 8445 §7.1.1: the priority a peer-reflexive candidate would have.
		x.priority = priority(TypePeerReflexive, pr.base.preference)
	}
	a.txs = append(a.txs, x)
	return x
}

// send queues the request and sets its next deadline.
func (a *Agent) send(now mono.Time, x *transaction) {
	x.attempts++
	x.sent = now
	switch {
	case x.kind == txConsent && x.attempts >= consentSends:
		x.deadline = now.Add(a.cfg.ConsentExpiry)
	case x.attempts >= a.cfg.MaxRequests:
		x.deadline = now.Add(lastWait * a.cfg.RTO)
	default:
		x.deadline = now.Add(x.rto)
		x.rto *= 2
	}
	if pr := x.pair; pr != nil {
		if x.kind == txCheck {
			pr.sends = x.attempts
		}
		switch {
		case x.attempts > 1:
			pr.counters.retransmissions++
		case x.kind == txConsent:
			pr.counters.consentRequests++
		}
		pr.counters.requestsSent++
	}
	a.queue(outgoing{kind: outRequest, path: x.path, id: x.id, tx: x})
}

// end forgets x.
func (a *Agent) end(x *transaction) {
	if i := slices.Index(a.txs, x); i >= 0 {
		a.txs = slices.Delete(a.txs, i, i+1)
	}
}

func (a *Agent) dropTransactions(gone func(*transaction) bool) {
	a.txs = slices.DeleteFunc(a.txs, gone)
}

func (a *Agent) findTransaction(id stun.TransactionID) *transaction {
	for _, x := range a.txs {
		if x.id == id {
			return x
		}
	}
	return nil
}

// supersede stops the retransmissions of pr's checks (RFC 8445 §7.3.1.4).
func (a *Agent) supersede(now mono.Time, pr *pair) {
	for _, x := range a.txs {
		if x.pair == pr && x.kind == txCheck && !x.superseded {
			x.superseded = true
			x.deadline = now.Add(lastWait * a.cfg.RTO)
		}
	}
}

// expireTransactions retransmits or gives up what is due.
func (a *Agent) expireTransactions(now mono.Time) {
	for i := 0; i < len(a.txs); {
		x := a.txs[i]
		if now < x.deadline {
			i++
			continue
		}
		limit := a.cfg.MaxRequests
		if x.kind == txConsent {
			limit = consentSends
		}
		if !x.superseded && x.attempts < limit {
			a.send(now, x)
			i++
			continue
		}
		a.txs = slices.Delete(a.txs, i, i+1)
		switch {
		case x.kind == txConsent || x.superseded && a.checking(x.pair):
		case x.kind == txServer:
			a.gather.asks[x.ask].over = true
		default:
			a.checkFailed(x.pair)
		}
	}
}

// checking reports whether a check of pr is, or is about to be, under way.
func (a *Agent) checking(pr *pair) bool {
	return slices.Contains(a.triggered, pr) ||
		slices.ContainsFunc(a.txs, func(x *transaction) bool { return x.pair == pr && x.kind == txCheck })
}

// checkFailed ends the check of pr. A pair that works stays, unless this was
// its nomination; the selected one is for consent to judge.
func (a *Agent) checkFailed(pr *pair) {
	if pr.nominating && pr != a.selected {
		pr.state = PairFailed
	}
	pr.nominating = false
	if pr.state == PairInProgress {
		pr.state = PairFailed
	}
}

// Expects reports whether b is a response to one of our requests, so that a
// demultiplexer of one port can tell whose a response without USERNAME is.
func (a *Agent) Expects(b []byte) bool {
	m, err := stun.Parse(b)
	return err == nil && m.Class() >= stun.Success && a.findTransaction(m.TransactionID()) != nil
}
