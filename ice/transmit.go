package ice

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

type outKind uint8

const (
	outRequest outKind = iota
	outSuccess
	outError
)

// outgoing is a message to be built when there is a buffer for it.
type outgoing struct {
	kind    outKind
	path    Path
	id      stun.TransactionID
	tx      *transaction // of outRequest
	key     *stun.Key    // of responses
	code    int          // of outError
	carry   bool         // of outSuccess: the request had the attributes of carry.go
	unknown [stun.MaxUnknown]stun.Attr
	nknown  int // how many of unknown are set
}

func (a *Agent) queue(o outgoing) {
	if len(a.out)-a.outHead >= MaxQueue {
		a.drops.Queue++
		return
	}
	a.out = append(a.out, o)
}

// Transmit writes the next message into b and tells its path; n is 0 when
// there is nothing more. b should have MaxPacket bytes, and MaxCarryPacket with
// Config.Carry: a message which does not fit is dropped and counted. Round trips
// begin at now.
func (a *Agent) Transmit(now mono.Time, b []byte) (n int, p Path) {
	for a.outHead < len(a.out) {
		o := &a.out[a.outHead]
		a.outHead++
		m := a.build(now, o, b[:0:len(b)])
		p, size := o.path, len(m)
		if o.kind == outRequest {
			o.tx.left = now
		}
		*o = outgoing{}
		if size <= len(b) {
			return size, p
		}
		a.drops.Queue++
	}
	if a.outHead = 0; cap(a.out) > keepQueue {
		a.out = nil // a burst's queue is not worth keeping
	}
	a.out = a.out[:0]
	return 0, Path{}
}

func (a *Agent) build(now mono.Time, o *outgoing, b []byte) []byte {
	switch o.kind {
	case outSuccess:
		m := stun.Begin(b, stun.BindingSuccess, o.id)
		m.XORMappedAddress(o.path.Remote)
		if o.carry && a.carry.listens() {
			a.appendCarried(now, &m, a.pairOf(o.path), min(cap(b), MaxCarryPacket))
		}
		m.Integrity(o.key)
		m.Fingerprint()
		return m.Bytes()
	case outError:
		m := stun.Begin(b, stun.BindingError, o.id)
		m.ErrorCode(o.code, reasons(o.code))
		if o.nknown > 0 {
			m.UnknownAttributes(o.unknown[:o.nknown])
		}
		m.Integrity(o.key)
		m.Fingerprint()
		return m.Bytes()
	}
	x := o.tx
	m := stun.Begin(b, stun.BindingRequest, o.id)
	if x.kind != txServer {
		// RFC 8445 §7.1: what a check carries.
		m.Username(x.gen.username)
		if x.role == Controlling {
			m.ICEControlling(x.tiebreaker)
			if x.nominate {
				m.UseCandidate()
			}
		} else {
			m.ICEControlled(x.tiebreaker)
		}
		m.Priority(x.priority)
		if x.carry = x.gen == a.gen && a.carry.sends(); x.carry {
			a.appendCarried(now, &m, x.pair, min(cap(b), MaxCarryPacket))
		}
		m.Integrity(x.gen.remoteKey)
	}
	m.Fingerprint()
	return m.Bytes()
}

func reasons(code int) string {
	switch code {
	case stun.CodeBadRequest:
		return "Bad Request"
	case stun.CodeUnknownAttribute:
		return "Unknown Attribute"
	case stun.CodeRoleConflict:
		return "Role Conflict"
	}
	return ""
}

// replayRing remembers where recent transaction ids came from, at most
// MaxReplays. It grows as they come: many sessions are short.
type replayRing struct {
	seen []replay
	next int // the oldest, once there are MaxReplays
}

type replay struct {
	id     stun.TransactionID
	remote netip.AddrPort
}

// look tells whether id is known, and from where; if not, it is kept.
func (r *replayRing) look(id stun.TransactionID, from netip.AddrPort) (known bool, remote netip.AddrPort) {
	for i := range r.seen {
		if r.seen[i].id == id {
			return true, r.seen[i].remote
		}
	}
	if len(r.seen) < MaxReplays {
		r.seen = append(r.seen, replay{id, from})
		return false, from
	}
	r.seen[r.next] = replay{id, from}
	r.next = (r.next + 1) % MaxReplays
	return false, from
}
