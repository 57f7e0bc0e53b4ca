package sctp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/internal/mono"
)

// Shutdown ends the association once everything written has been delivered,
// RFC 9260 §9.2. Before the association is up it ends at once. EventClosed
// follows, with a nil Err if all went well.
func (a *Association) Shutdown(now mono.Time) {
	switch {
	case a.state < stateEstablished:
		a.fail(nil, causeUserAbort, nil)
	case a.state == stateEstablished:
		a.state = stateShutdownPending
		a.progressShutdown(now)
	}
}

// progressShutdown takes the next step once nothing is left to deliver.
func (a *Association) progressShutdown(now mono.Time) {
	if a.tx.pending > 0 || a.tx.outstanding() {
		return
	}
	switch a.state {
	case stateShutdownPending:
		a.state = stateShutdownSent
	case stateShutdownReceived:
		a.state = stateShutdownAckSent
	default:
		return
	}
	a.sendShutdown(now)
}

func (a *Association) sendShutdown(now mono.Time) {
	a.shutdownDue = true
	a.t2 = now.Add(a.rto.rto)
	if a.t5 == 0 { // §9.2: 5 times RTO.Max
		a.t5 = now.Add(5 * a.cfg.RTOMax)
	}
}

// onT2 repeats SHUTDOWN or SHUTDOWN ACK.
func (a *Association) onT2(now mono.Time) {
	a.stats.Timeouts++
	a.rto.backoff()
	if !a.countError() {
		a.sendShutdown(now)
	}
}

// handleShutdown acknowledges like a SACK without gaps, and stops new data.
func (a *Association) handleShutdown(now mono.Time, c chunk) error {
	if len(c.value) < 4 {
		return ErrMalformed
	}
	if a.state < stateEstablished || a.state == stateShutdownAckSent {
		return ErrUnexpected
	}
	cum := binary.BigEndian.Uint32(c.value)
	if tsnLess(a.tx.end()-1, cum) {
		a.stats.BogusSacks++
		return ErrProtocol
	}
	var res ackResult
	if a.ackCumulative(now, cum, &res); res.advanced {
		a.tx.errors, a.tx.t3 = 0, 0
	}
	switch a.state {
	case stateEstablished, stateShutdownPending:
		a.state = stateShutdownReceived
	case stateShutdownSent: // both at once
		a.state = stateShutdownAckSent
		a.sendShutdown(now)
		return nil
	}
	a.afterAck(now)
	return nil
}

func (a *Association) handleShutdownAck() error {
	if a.state != stateShutdownSent && a.state != stateShutdownAckSent {
		return ErrUnexpected
	}
	a.sendWhole(a.peer.tag, appendChunk(nil, typeShutdownComplete, 0, nil))
	a.end(nil, 0)
	return nil
}

func (a *Association) handleShutdownComplete() error {
	if a.state != stateShutdownAckSent {
		return ErrUnexpected
	}
	a.end(nil, 0)
	return nil
}
