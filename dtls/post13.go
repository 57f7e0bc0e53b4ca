package dtls

import (
	"net/netip"

	"github.com/sluicertc/sluice/internal/mono"
)

// handleUnified takes a record of DTLS 1.3 while Conn owns the record layer, and
// those of the handshake's epoch afterwards.
func (c *Conn) handleUnified(now mono.Time, rec []byte) error {
	switch {
	case c.cfg.MaxVersion != VersionDTLS13:
		return ErrRecord
	case c.state.Version == 0 && c.cfg.Role == Client, // before ServerHello
		c.v13() && c.phase == phaseHandshake && rec[0]&unifiedEpoch == byte(epochTraffic&unifiedEpoch):
		c.early.sealed = true
		return c.early.keep(rec)
	case !c.v13():
		return ErrEpoch
	case c.handed && !handshakeBits(rec):
		return ErrHandedOver
	case !c.handed && c.phase != phaseHandshake && c.records.Owns(rec):
		return c.handleSealed(now, rec)
	case !handshakeBits(rec):
		return ErrEpoch
	}
	c.forget(now)
	if c.hand == nil || c.hand.open.thaw() != nil {
		return ErrEpoch
	}
	plain := c.openRoom(len(rec))
	n, typ, err := c.openHand(plain, rec)
	if err != nil {
		return err
	}
	return c.handleOpened13(now, typ, plain[:n])
}

// handleOpened13 takes what Records.Open yields, application data excepted.
func (c *Conn) handleOpened13(now mono.Time, contentType uint8, plain []byte) error {
	switch contentType {
	case ContentAlert:
		return c.sealedAlert(plain)
	case ContentACK:
		return c.handleACK(now, plain)
	case ContentRoutability:
		return c.HandlePath(now, netip.AddrPort{}, true, plain)
	case ContentHandshake:
	default:
		return c.impossible(contentType)
	}
	r := reader{b: plain}
	payload := r.bytes(len(plain) - numberLen)
	number := recordNumber(r.u16())<<48 | recordNumber(r.u16())<<32 | recordNumber(r.u16())<<16 | recordNumber(r.u16())
	if !r.done() || len(payload) == 0 { // RFC 8446 §5.1: no empty fragments
		return c.broken(malformed())
	}
	switch {
	case number.epoch() > epochHandshake:
		return c.handlePost(now, number, payload)
	case c.phase != phaseHandshake:
		return c.repeated13(now, number)
	}
	if c.cfg.Role == Server {
		c.out.stop() // whoever answers has got our flight (RFC 9147 §5.8.1)
	}
	err := c.handleFragments(now, epochHandshake, 0, payload)
	if err != ErrBuffered && err != ErrMessage && c.phase != phaseClosed {
		c.received(number)
	}
	switch {
	case c.phase == phaseHandshake:
		c.partial(now)
	case c.phase != phaseClosed && c.cfg.Role == Server:
		c.acknowledge()
	}
	return err
}

// repeated13 takes a part of the handshake that comes again although it is done:
// our ACK is lost, or our last flight.
func (c *Conn) repeated13(now mono.Time, number recordNumber) error {
	if c.cfg.Role == Server {
		c.received(number)
		c.acknowledge()
	} else {
		c.resend(now)
	}
	return ErrUnexpected
}

// handlePost takes handshake messages of the traffic epochs.
func (c *Conn) handlePost(now mono.Time, number recordNumber, payload []byte) error {
	if c.phase != phaseConnected && c.phase != phaseVerify {
		return ErrUnexpected
	}
	for len(payload) > 0 {
		f, rest, ok := parseFragment(payload)
		if !ok {
			return c.broken(malformed())
		}
		payload = rest
		if err := c.in.add(epochTraffic, f); err == ErrBuffered {
			return c.overlong(f, err)
		} else if err == errMismatch {
			return c.broken(mismatch())
		}
	}
	for c.phase != phaseClosed {
		m, ok := c.in.peek(0)
		if !ok {
			break
		}
		c.in.pop()
		c.settle(c.onPost(m))
	}
	if c.phase == phaseClosed {
		return nil
	}
	c.received(number)
	c.acknowledge()
	c.postNext(now)
	return nil
}

// onPost takes a whole message. We offer no post-handshake authentication, so that
// nothing else may come (RFC 8446 §4.6).
func (c *Conn) onPost(m message) error {
	r := reader{b: m.body()}
	switch {
	case m.typ == typeKeyUpdate: // RFC 8446 §4.6.3
		request := r.u8()
		if !r.done() {
			return malformed()
		}
		if request > 1 {
			return fatal(AlertIllegalParameter, ErrParameter)
		}
		// The peer's new keys are at hand in Records, which needs no telling.
		c.updateWanted = c.updateWanted || request == 1
		return nil
	case m.typ == typeNewSessionTicket && c.cfg.Role == Client: // nothing is resumed
		r.bytes(8)
		r.vec8()
		ticket := r.vec16()
		r.vec16()
		if !r.done() || len(ticket) == 0 {
			return malformed()
		}
		return nil
	case m.typ == typeRequestConnectionID:
		return c.onRequestConnectionID(m)
	case m.typ == typeNewConnectionID:
		return c.onNewConnectionID(m)
	}
	return unexpected()
}

// UpdateKeys renews the key we seal with (RFC 9147 §8), as Records.WantsUpdate
// advises; peer asks for the other direction, too. It is done when the peer has
// acknowledged it, without interruption; drain TransmitRecord afterwards. Errors:
// ErrNotConnected, and ErrVersion in DTLS 1.2, which has no such thing.
func (c *Conn) UpdateKeys(now mono.Time, peer bool) error {
	if c.phase != phaseConnected {
		return ErrNotConnected
	}
	if !c.v13() {
		return ErrVersion
	}
	c.updateWanted = true
	c.updatePeer = c.updatePeer || peer
	c.postNext(now)
	return nil
}

// postNext sends the next message after the handshake, unless something of ours
// waits for its ACK (RFC 9147 §5.8.4 permits only one of a kind, and it is simpler
// to have only one).
func (c *Conn) postNext(now mono.Time) {
	switch {
	case len(c.out.items) > 0 || c.phase != phaseConnected || !c.v13() || c.nextSeq == maxMessageSeq:
	case c.updateWanted && c.writeEpoch < maxEpoch:
		var request byte
		if c.updatePeer {
			request = 1
		}
		c.updateWanted, c.updatePeer = false, false
		c.postMessage(now, typeKeyUpdate, []byte{request})
	case c.offers != nil:
		body := c.offers
		c.offers = nil
		c.postMessage(now, typeNewConnectionID, body)
	case c.idsWanted > 0 && !c.idsAwaited:
		c.idsAwaited = true
		c.postMessage(now, typeRequestConnectionID, []byte{c.idsWanted})
		c.idsWanted = 0
	}
}

func (c *Conn) postMessage(now mono.Time, typ uint8, body []byte) {
	m := newMessage(typ, c.nextSeq, body)
	c.nextSeq++
	c.posting = typ
	c.out.start(now, c.cfg.FlightInterval, []outMessage{handshakeOut(m, epochTraffic)})
}

// waiting repeats what was not acknowledged after the handshake. The last flight
// is given up in the end: the association lives on as it is.
func (c *Conn) waiting(now mono.Time) {
	if c.out.resendAt != 0 && !now.Before(c.deadline) && c.posting == 0 {
		c.out.stop()
	}
	if c.out.expire(now) {
		c.stats.Resent++
	}
}
