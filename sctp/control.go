package sctp

import (
	"encoding/binary"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Control chunks: what waits to be sent, ABORT, ERROR and HEARTBEAT.

// sendWhole queues a packet of one chunk with a tag of its own.
func (a *Association) sendWhole(tag uint32, chunk []byte) {
	if a.outbox.len() >= maxOutbox {
		a.stats.OutputDropped++
		return
	}
	pkt := appendHeader(make([]byte, 0, headerLen+len(chunk)), header{a.cfg.LocalPort, a.cfg.RemotePort, tag})
	pkt = append(pkt, chunk...)
	seal(pkt)
	a.outbox.push(pkt)
}

// queueControl queues a chunk to be bundled with others.
func (a *Association) queueControl(chunk []byte) {
	if a.control.len() >= maxControl || headerLen+len(chunk) > a.pmtu.base {
		a.stats.OutputDropped++
		return
	}
	a.control.push(chunk)
}

// reportError sends an ERROR with one cause. What it echoes is cut.
func (a *Association) reportError(cause uint16, info []byte) {
	a.queueControl(appendError(nil, typeError, 0, cause, info[:min(len(info), maxEcho)]))
}

// handleAbort ends the association, RFC 9260 §9.1.
func (a *Association) handleAbort(c chunk) {
	var cause uint16
	if p, _, ok := nextParam(c.value); ok {
		cause = p.typ
	}
	a.end(ErrPeerAborted, cause)
}

// handleError looks for the one cause which needs an answer.
func (a *Association) handleError(now mono.Time, c chunk) error {
	a.stats.ErrorsReceived++
	for v := c.value; len(v) > 0; {
		p, rest, ok := nextParam(v)
		if !ok {
			return ErrMalformed
		}
		v = rest
		if p.typ == causeStaleCookie && a.state == stateCookieEchoed {
			a.staleCookie(now)
			return nil
		}
	}
	return nil
}

// heartbeat watches an idle path, RFC 9260 §8.3.
type heartbeat struct {
	timer   mono.Time
	nonce   uint64
	sent    mono.Time
	pending bool
}

// schedule sets the timer to HB.interval + RTO, the latter jittered by half.
func (h *heartbeat) schedule(a *Association, now mono.Time) {
	if a.cfg.HeartbeatInterval < 0 {
		return
	}
	rto := a.rto.rto
	jitter := time.Duration(a.random32()) % (rto + 1)
	h.timer = now.Add(a.cfg.HeartbeatInterval + rto/2 + jitter)
}

// answered notes that the peer has shown itself alive.
func (h *heartbeat) answered() { h.pending = false }

func (a *Association) onHeartbeat(now mono.Time) {
	if a.state < stateEstablished || a.state >= stateShutdownSent {
		return
	}
	if a.hb.pending {
		a.rto.backoff()
		if a.countError() {
			return
		}
	}
	if !a.tx.outstanding() { // otherwise T3 watches
		a.tx.free, a.tx.freeBytes = nil, 0
		var b [8]byte
		a.random(b[:])
		a.hb.nonce, a.hb.sent, a.hb.pending = binary.BigEndian.Uint64(b[:]), now, true
		a.queueControl(appendChunk(nil, typeHeartbeat, 0, appendParam(nil, paramHeartbeatInfo, b[:])))
	}
	a.hb.schedule(a, now)
}

// handleHeartbeat echoes the information as it is.
func (a *Association) handleHeartbeat(c chunk) error {
	if a.state < stateCookieEchoed {
		return ErrUnexpected
	}
	ack := appendChunk(nil, typeHeartbeatAck, 0, c.value)
	if n := headerLen + len(ack); n > a.pmtu.base && n <= a.pmtu.most {
		// The peer looks for the path's MTU (RFC 8899 §6.2.1): alone, so that what
		// else there is to say does not share its fate.
		a.sendWhole(a.peer.tag, ack)
		return nil
	}
	a.queueControl(ack)
	return nil
}

func (a *Association) handleHeartbeatAck(now mono.Time, c chunk) error {
	p, _, ok := nextParam(c.value)
	if !ok || p.typ != paramHeartbeatInfo {
		return ErrMalformed
	}
	if a.probeAnswered(now, p.value) {
		return nil
	}
	if len(p.value) != 8 {
		return ErrMalformed
	}
	if !a.hb.pending || binary.BigEndian.Uint64(p.value) != a.hb.nonce {
		return ErrUnexpected
	}
	a.hb.pending = false
	a.tx.errors = 0
	a.rto.sample(now.Sub(a.hb.sent))
	return nil
}
