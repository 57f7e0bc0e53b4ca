package sctp

import "github.com/sluicertc/sluice/internal/mono"

// handlePacket checks a packet and takes its chunks in turn.
func (a *Association) handlePacket(now mono.Time, b []byte) error {
	h, err := parseHeader(b, a.cfg.DTLS)
	if err != nil {
		return err
	}
	if h.src != a.cfg.RemotePort || h.dst != a.cfg.LocalPort {
		return ErrPort
	}
	first, rest, ok := nextChunk(b[headerLen:])
	if !ok {
		return ErrMalformed
	}
	switch {
	case first.typ == typeInit:
		// RFC 9260 §4.3: alone; §8.5.1: tag 0.
		if h.tag != 0 || len(rest) > 0 {
			return ErrUnexpected
		}
		return a.handleInit(now, first)
	case first.typ == typeCookieEcho:
		// The tag must be the one in the cookie (§5.1.5), which the
		// association may not have taken as its own yet.
		if err := a.handleCookieEcho(now, h, first); err != nil {
			return err
		}
		if h.tag != a.tag || a.state == stateClosed {
			return nil
		}
		return a.handleChunks(now, rest)
	case a.state == stateIdle && a.imported != nil:
		return ErrUnexpected // the peer has started before us: it repeats itself
	case a.state == stateIdle || a.state == stateClosed:
		return a.outOfTheBlue(h, b[headerLen:])
	case first.typ == typeAbort || first.typ == typeShutdownComplete:
		if !a.reflectable(h.tag, first.flags) {
			return ErrTag
		}
	case first.typ == typeShutdownAck && a.state < stateEstablished:
		// §8.5.1 E: the answer goes by the rules of out of the blue packets.
		return a.outOfTheBlue(h, b[headerLen:])
	case h.tag != a.tag:
		return ErrTag // §8.5
	}
	return a.handleChunks(now, b[headerLen:])
}

// reflectable is the rule for ABORT and SHUTDOWN COMPLETE, §8.5.1 B and C: our
// own tag without the T bit, the peer's with it.
func (a *Association) reflectable(tag uint32, flags uint8) bool {
	if flags&flagT == 0 {
		return tag == a.tag
	}
	return a.peer.tag != 0 && tag == a.peer.tag
}

// handleChunks takes chunks until one ends the packet or the association.
func (a *Association) handleChunks(now mono.Time, b []byte) (err error) {
	var seen [256]uint16
	for len(b) > 0 && a.state != stateClosed {
		c, rest, ok := nextChunk(b)
		if !ok {
			err = ErrMalformed
			break
		}
		b = rest
		if seen[c.typ]++; seen[c.typ] > repeats(c.typ) {
			continue
		}
		stop, e := a.handleChunk(now, c)
		if e != nil {
			err = e
		}
		if stop {
			break
		}
	}
	if a.state != stateClosed {
		data := a.rx.gotData
		if data {
			a.keepWindow(now)
		}
		a.rx.tuneWindow(now, a.rto.srtt, a.cfg.Budget)
		a.rx.endPacket(now, mono.Time(a.cfg.SackDelay))
		if data && a.state == stateShutdownSent { // §9.2
			a.rx.sackNow, a.shutdownDue = true, true
			a.t2 = now.Add(a.rto.rto)
		}
		a.tryReset(now)
	}
	return err
}

// repeats is how many chunks of a type count in one packet. More are never
// needed of those which may cost a walk over the window.
func repeats(t chunkType) uint16 {
	switch t {
	case typeSack, typeForwardTSN, typeIForwardTSN, typeShutdown:
		return 1
	case typeReconfig: // a response, a request, and one of each deferred
		return 4
	}
	return 1<<16 - 1
}

// handleChunk takes one chunk. stop means that the rest of the packet is not
// to be looked at.
func (a *Association) handleChunk(now mono.Time, c chunk) (stop bool, err error) {
	switch c.typ {
	case typeData, typeIData:
		if c.typ == typeIData && !a.cfg.Interleave {
			return a.unknown(c)
		}
		err = a.handleData(now, c)
	case typeSack:
		err = a.handleSack(now, c)
	case typeForwardTSN, typeIForwardTSN:
		if c.typ == typeIForwardTSN && !a.cfg.Interleave {
			return a.unknown(c)
		}
		err = a.handleForward(now, c)
	case typeHeartbeat:
		err = a.handleHeartbeat(c)
	case typeHeartbeatAck:
		err = a.handleHeartbeatAck(now, c)
	case typeReconfig:
		err = a.handleReconfig(now, c)
	case typeInitAck:
		return true, a.handleInitAck(now, c)
	case typeCookieAck:
		err = a.handleCookieAck(now)
	case typeError:
		err = a.handleError(now, c)
	case typeAbort:
		a.handleAbort(c)
		return true, nil
	case typeShutdown:
		err = a.handleShutdown(now, c)
	case typeShutdownAck:
		err = a.handleShutdownAck()
	case typeShutdownComplete:
		err = a.handleShutdownComplete()
	case typeInit, typeCookieEcho:
		return true, ErrUnexpected // only first in a packet
	case typeECNE, typeCWR, typePad:
	default:
		return a.unknown(c)
	}
	return false, err
}

// unknown is §3.2: the highest bit says go on, the next one says report.
func (a *Association) unknown(c chunk) (stop bool, err error) {
	a.stats.UnknownChunks++
	if c.typ&0x40 != 0 && a.state >= stateEstablished {
		a.reportError(causeUnrecognized, c.raw)
	}
	return c.typ&0x80 == 0, nil
}

// outOfTheBlue answers a packet which belongs to no association, §8.4.
func (a *Association) outOfTheBlue(h header, b []byte) error {
	for i := 0; len(b) > 0; i++ {
		c, rest, ok := nextChunk(b)
		if !ok {
			return ErrMalformed
		}
		b = rest
		switch c.typ {
		case typeAbort, typeShutdownComplete, typeCookieAck, typeInitAck:
			return ErrTag
		case typeError:
			return ErrTag
		case typeShutdownAck:
			if i == 0 {
				a.sendWhole(h.tag, appendChunk(nil, typeShutdownComplete, flagT, nil))
				return ErrTag
			}
		}
	}
	a.sendWhole(h.tag, appendError(nil, typeAbort, flagT, 0, nil))
	return ErrTag
}
