package dtls

import "github.com/sluicertc/sluice/internal/mono"

// Records hands the record layer over, once Connected; nil before. From then on
// its owner alone opens and seals records: application data is its own, other
// content types it opened go to HandleRecord, what TransmitRecord returns it
// seals and sends, and records which Records.Owns disowns it passes to
// HandlePacket. Transmit goes on to yield whole datagrams: in DTLS 1.3 the last
// flight until the peer has acknowledged it. Take EarlyData, too.
func (c *Conn) Records() *Records {
	if c.phase != phaseConnected {
		return nil
	}
	c.measure()
	c.handed = true
	return c.records
}

// measure notes how much goes into a record of the traffic epochs, for the time
// when Records is somebody else's.
func (c *Conn) measure() {
	c.maxPlain = min(c.cfg.MTU-c.records.overhead, c.records.MaxPlaintext())
}

// KeyLimitNear is no content type of any record. The owner of Records gives it to
// HandleRecord, in the way of other content, when Records.WantsUpdate says so.
const KeyLimitNear uint8 = 255

// HandleRecord takes what Records.Open yielded for a record that is not
// application data, or KeyLimitNear, which is UpdateKeys. The error, if any, is a reason for a drop, or ErrClosed.
func (c *Conn) HandleRecord(now mono.Time, contentType uint8, plaintext []byte) error {
	if c.phase == phaseClosed {
		return ErrClosed
	}
	if !c.handed {
		return ErrUnexpected
	}
	if contentType == KeyLimitNear {
		return c.UpdateKeys(now, false)
	}
	return c.drop(c.handleOpened(now, contentType, plaintext))
}

// TransmitRecord writes into b the plaintext of one record which the owner of
// Records should seal as contentType and send: a repeated Finished (24 bytes), an
// alert (2 bytes), in DTLS 1.3 a KeyUpdate (13 bytes) or an ACK (at most the
// MTU). 0: nothing more. Drain Transmit first. Before hand-over
// Transmit does it all.
func (c *Conn) TransmitRecord(now mono.Time, b []byte) (n int, contentType uint8) {
	if !c.handed {
		return 0, 0
	}
	if c.ackDue && !c.ours(c.writeEpoch) {
		if ack := c.ackPayload(min(len(b), c.maxPlain)); ack != nil {
			return copy(b, ack), ContentACK
		}
	}
	for i := range c.out.items {
		m := &c.out.items[i]
		if !c.ours(m.epoch) && !m.done && len(b) >= len(m.raw) {
			m.done = true
			return copy(b, m.raw), ContentHandshake
		}
	}
	if len(c.alerts) > 0 && len(b) >= 2 {
		b[0], b[1] = c.alerts[0].level, uint8(c.alerts[0].desc)
		c.alerts = c.alerts[1:]
		return 2, ContentAlert
	}
	return 0, 0
}

// alert queues an alert. Beyond maxAlerts the oldest, a warning nobody has sent
// for seconds, is forgotten.
func (c *Conn) alert(level uint8, desc Alert) {
	if len(c.alerts) == maxAlerts {
		c.alerts = c.alerts[1:]
	}
	c.alerts = append(c.alerts, outAlert{level, desc})
}

// plainAlert takes an alert of epoch 0, which anybody can have sent. A handshake
// that makes no progress for alertGrace after it is over; later on it is ignored,
// for then the peer would have sealed it.
func (c *Conn) plainAlert(now mono.Time, payload []byte) error {
	if len(payload) != 2 {
		return ErrRecord
	}
	c.stats.PlainAlerts++
	if c.phase != phaseHandshake {
		return ErrEpoch
	}
	desc := Alert(payload[1])
	if payload[0] == alertWarning && desc != AlertCloseNotify {
		return nil
	}
	if c.graceEnd == 0 {
		c.graceEnd = now.Add(alertGrace)
		c.grace = AlertError{Alert: desc}
	}
	return nil
}

// sealedAlert takes an authentic alert.
func (c *Conn) sealedAlert(plain []byte) error {
	if len(plain) != 2 { // RFC 8446 §5.1: neither in pieces nor several
		return c.broken(malformed())
	}
	desc := Alert(plain[1])
	switch {
	case !c.v13() && plain[0] != alertWarning && plain[0] != alertFatal:
		return c.broken(fatal(AlertIllegalParameter, ErrParameter))
	case desc == AlertCloseNotify: // RFC 5246 §7.2.1: answered in kind
		c.alert(alertWarning, AlertCloseNotify)
		c.closed(ErrCloseNotify)
	case plain[0] != alertWarning || c.v13() && desc != AlertUserCanceled: // RFC 8446 §6
		c.closed(&AlertError{Alert: desc})
	}
	return nil
}

// peerRepeats takes plaintext handshake records after the handshake. A client
// which repeats flight 5 has not got flight 6; everything else, a ClientHello
// above all, is somebody's noise.
func (c *Conn) peerRepeats(now mono.Time, payload []byte) error {
	for len(payload) > 0 {
		f, rest, ok := parseFragment(payload)
		if !ok {
			return ErrMessage
		}
		payload = rest
		switch f.typ {
		case typeCertificate, typeClientKeyExchange, typeCertificateVerify:
			return c.repeatLast(now)
		}
	}
	return ErrUnexpected
}

// repeatLast sends flight 6 again, at most twice per FlightInterval.
func (c *Conn) repeatLast(now mono.Time) error {
	if c.forget(now); c.cfg.Role != Server || c.lingerTo == 0 {
		return ErrUnexpected
	}
	if c.out.again(now, c.cfg.FlightInterval/2) {
		c.stats.Resent++
	}
	return nil
}

// lateHandshake takes authentic handshake records after the handshake: a repeated
// Finished, or a wish to renegotiate, which is refused (RFC 5246 §7.2.2, RFC 8827
// §6.5).
func (c *Conn) lateHandshake(now mono.Time, plain []byte) error {
	f, _, ok := parseFragment(plain)
	if !ok {
		return c.broken(malformed())
	}
	wish := typeHelloRequest
	if c.cfg.Role == Server {
		wish = typeClientHello
	}
	switch {
	case f.typ == typeFinished && c.cfg.Role == Server:
		return c.repeatLast(now)
	case f.typ == typeFinished || f.typ == wish && f.offset != 0:
		return ErrUnexpected
	case f.typ != wish:
		return c.broken(unexpected())
	}
	if c.warnedAt == 0 || now.Sub(c.warnedAt) >= warnInterval {
		c.warnedAt = now
		c.alert(alertWarning, AlertNoRenegotiation)
	}
	return nil
}
