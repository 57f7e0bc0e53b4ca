package ice

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
)

// Proto is the transport protocol under a Path or a candidate.
type Proto uint8

// Protocols. Only UDP is checked and carries data.
const (
	UDP Proto = 0
	TCP Proto = 1
)

func (p Proto) String() string {
	if p == TCP {
		return "tcp"
	}
	return "udp"
}

// Path is where a packet goes or came from: our address, theirs, and what
// runs between. It is comparable.
type Path struct {
	Local, Remote netip.AddrPort
	Proto         Proto
}

// plain unmaps both addresses and drops zones, so that equal addresses are
// equal values.
func (p Path) plain() Path {
	return Path{Local: plain(p.Local), Remote: plain(p.Remote), Proto: p.Proto}
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// Role of an agent (RFC 8445 §6.1.1).
type Role uint8

// Roles.
const (
	Controlled  Role = 0
	Controlling Role = 1
)

func (r Role) String() string {
	if r == Controlling {
		return "controlling"
	}
	return "controlled"
}

// State is the state of the transport, with the meanings of the W3C's
// RTCIceTransportState.
type State uint8

// States.
const (
	StateNew          State = iota
	StateChecking           // checks are running, no pair works
	StateConnected          // a pair works, and is perhaps selected; more may come
	StateCompleted          // a pair is selected, and neither side has more to offer
	StateDisconnected       // the selected pair, or all that work, are silent; may heal by itself
	StateFailed             // no pair, or consent lost; only Restart leaves it
	StateClosed
)

var stateNames = [...]string{"new", "checking", "connected", "completed", "disconnected", "failed", "closed"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// EventKind tells which fields of an Event are set.
type EventKind uint8

// Events.
const (
	EventCandidate     EventKind = iota + 1 // Candidate: a local one, to be signalled
	EventGatheringDone                      // no more local candidates for now
	EventState                              // State
	EventValidated                          // Path: first authenticated check or answer from its Remote
	EventUsable                             // Path: works both ways, nothing is selected yet: DTLS may begin there (RFC 8445 §12.1)
	EventSelected                           // Path: media goes here from now on
	EventRole                               // Role: a role conflict switched ours
	EventCarried                            // Path, Data: a datagram from a check or its answer, see Config.Carry
)

// Event is something the owner should know.
type Event struct {
	Kind      EventKind
	State     State
	Role      Role
	Path      Path
	Candidate Candidate
	Data      []byte
}

// Event gives the next event; ok is false when there is none.
func (a *Agent) Event() (e Event, ok bool) {
	if a.eventHead == len(a.events) {
		a.events, a.eventHead = nil, 0 // events are rare: keep no room for them
		return Event{}, false
	}
	e = a.events[a.eventHead]
	a.events[a.eventHead] = Event{}
	a.eventHead++
	return e, true
}

func (a *Agent) emit(e Event) {
	if len(a.events)-a.eventHead >= MaxEvents {
		for i := len(a.events) - 1; i >= a.eventHead; i-- {
			if a.events[i].Kind == e.Kind && (e.Kind == EventState || e.Kind == EventSelected || e.Kind == EventRole) {
				a.events[i] = e
				return
			}
		}
		a.drops.Events++
		return
	}
	a.events = append(a.events, e)
}

// earliest is the running minimum of deadlines.
type earliest mono.Time

func (e *earliest) add(t mono.Time) { *e = earliest(mono.Earliest(mono.Time(*e), t)) }
