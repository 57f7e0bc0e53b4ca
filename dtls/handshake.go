package dtls

import (
	"crypto"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// handleFragments takes the fragments in a handshake record while the handshake
// runs, then every message that has become whole.
func (c *Conn) handleFragments(now mono.Time, epoch uint16, seq uint64, payload []byte) error {
	var first error
	for len(payload) > 0 && c.phase == phaseHandshake {
		f, rest, ok := parseFragment(payload)
		if !ok {
			return firstOf(first, c.broken(malformed()))
		}
		payload = rest
		if err := c.handleFragment(now, epoch, seq, f); err != nil {
			first = firstOf(first, err)
		}
	}
	return first
}

func (c *Conn) handleFragment(now mono.Time, epoch uint16, seq uint64, f fragment) error {
	if !c.belongs(epoch, f) {
		// The next message, in an epoch that it is never in: whoever sent it speaks
		// something else. All that a client of DTLS 1.3 has to say in the clear it has
		// said: there it is another's (see doc.go).
		others := c.hs.state == stateClientHello || c.v13() && c.cfg.Role == Server && epoch == 0
		if f.seq == c.in.next && len(f.body) == f.length && !others {
			c.settle(unexpected())
		}
		return ErrUnexpected
	}
	if c.doubts(epoch, f) {
		return c.repeatedHello(now, seq, f)
	}
	if err := c.in.add(epoch, f); err != nil {
		if err == ErrUnexpected && f.seq < c.in.next {
			c.resend(now) // the peer has not got our flight (RFC 6347 §4.2.4)
		}
		if err == errMismatch {
			return c.broken(mismatch())
		}
		return c.overlong(f, err)
	}
	if c.hs.state == stateClientHello {
		return c.handleHellos(now, seq)
	}
	if c.cfg.Role == Client && c.hs13 != nil && epoch == 0 {
		c.received(recordNumber(seq)) // should it become DTLS 1.3
	}
	return c.pump(now)
}

// broken ends the association because of a handshake message, an ACK or an alert
// that no peer of ours sends, and returns the reason of the drop. A server that has
// not accepted a ClientHello yet says so and stays as it is: whoever sent that need
// not be its client.
func (c *Conn) broken(err error) error {
	if c.phase == phaseHandshake && c.hs.state == stateClientHello {
		return c.sendRefusal(err)
	}
	c.settle(err)
	return err.(*AlertError).Cause
}

// overlong ends the association for a message longer than any we take, if it is
// the one expected next: without it nothing goes on.
func (c *Conn) overlong(f fragment, err error) error {
	if f.length <= maxMessage || f.seq != c.in.next {
		return err
	}
	c.broken(fatal(AlertIllegalParameter, ErrBuffered))
	return err
}

// mismatch ends a handshake whose fragments of one message disagree.
func mismatch() error { return fatal(AlertIllegalParameter, ErrMessage) }

// belongs tells whether a message may come in an epoch. In DTLS 1.2 Finished is
// the one sealed message of a handshake, in 1.3 only hellos are in the clear.
func (c *Conn) belongs(epoch uint16, f fragment) bool {
	if c.v13() {
		return epoch == epochHandshake || f.seq < c.in.next
	}
	return (f.typ == typeFinished) == (epoch == 1)
}

// pump handles messages in order for as long as there are whole ones.
func (c *Conn) pump(now mono.Time) error {
	for c.phase == phaseHandshake {
		m, ok := c.in.peek(0)
		if !ok {
			break
		}
		c.in.pop()
		c.graceEnd = 0 // progress: a forged alert did not come from this peer
		c.settle(c.handleMessage(now, m))
	}
	return c.reopen(now)
}

// reopen tries records again which came before their keys.
func (c *Conn) reopen(now mono.Time) (first error) {
	if c.records == nil && c.hand == nil {
		return nil
	}
	for _, rec := range c.early.takeSealed() {
		if c.phase != phaseClosed {
			first = firstOf(first, c.handleRecord(now, rec))
		}
	}
	return first
}

// handleMessage takes the expected message, whole. The error ends the handshake.
func (c *Conn) handleMessage(now mono.Time, m message) error {
	switch client := c.cfg.Role == Client; {
	case client && c.hs.state == stateServerHello:
		return c.onServerFirst(now, m)
	case client && c.v13():
		return c.clientMessage13(now, m)
	case client:
		return c.clientMessage12(now, m)
	case c.v13():
		return c.serverMessage13(now, m)
	}
	return c.serverMessage12(now, m)
}

// send starts a flight; its predecessor is acknowledged by what led to it.
func (c *Conn) send(now mono.Time, items ...outMessage) {
	c.acks, c.ackAt, c.ackDue = nil, 0, false
	c.out.start(now, c.cfg.FlightInterval, items)
}

// resend repeats the flight because the peer repeats its own, though not more
// than twice per interval: others may have made the peer's packets.
func (c *Conn) resend(now mono.Time) {
	if c.out.resendAt != 0 && c.out.again(now, c.cfg.FlightInterval/2) {
		c.stats.Resent++
	}
}

// handshakeDone: both Finished are in order.
func (c *Conn) handshakeDone(now mono.Time) error {
	c.nextSeq = c.hs.seq
	switch {
	case c.v13() && c.cfg.Role == Client: // the last flight waits for its ACK
	case c.cfg.Role == Client || c.v13():
		c.out.stop()
	default:
		c.out.resendAt = 0 // sent again on demand only, see again
	}
	c.lingerTo = now.Add(lastFlightLinger)
	c.phase = phaseVerify
	c.graceEnd = 0
	return c.connect()
}

// connect makes a finished handshake a connection once the peer is verified.
func (c *Conn) connect() error {
	if err := c.checkPeer(); err != nil || !c.verified {
		return err
	}
	c.phase = phaseConnected
	c.graceEnd = 0
	c.shrink()
	c.events = append(c.events, Connected{})
	return nil
}

// shrink gives up what only the handshake needed. The last flight, which may have to
// be said again, keeps bytes of its own.
func (c *Conn) shrink() {
	c.hs, c.hs13 = nil, nil
	if !c.v13() {
		c.in.restart(0)
	}
	c.in.block, c.in.exact = nil, true
	if c.cfg.Role == Client { // they lie in what is gone
		c.out.items = slices.Clone(c.out.items)
	}
	for i := range c.out.items {
		if m := &c.out.items[i]; m.contentType == ContentHandshake {
			m.raw = slices.Clone(m.raw)
		}
	}
	c.cfg.Groups, c.cfg.CipherSuites, c.cfg.SignatureSchemes = nil, nil, nil
	c.cfg.CookieSecret, c.cfg.CookieContext = nil, nil
	if c.cfg.Role == Server && c.hand != nil {
		c.hand.seal.chill() // what we say is sealed with other keys
		c.hand.open.chill()
	}
}

// forget gives up what answers a peer that repeats the end of its handshake, when
// it has had time to (RFC 6347 §4.2.4, RFC 9147 §5.8.1).
func (c *Conn) forget(now mono.Time) {
	if c.phase != phaseConnected || c.lingerTo == 0 || now.Before(c.lingerTo) {
		return
	}
	c.lingerTo = 0
	c.hand = nil
	if !c.v13() {
		c.out.stop()
	}
}

// checkPeer holds the peer's certificate against what is known by now.
func (c *Conn) checkPeer() error {
	if c.verified = c.verified || c.cfg.AnonymousClients; c.verified {
		return nil
	}
	leaf := c.state.PeerCertificates[0]
	if len(c.cfg.RemoteFingerprints) > 0 {
		if !matchAny(c.cfg.RemoteFingerprints, leaf) {
			return fatal(AlertBadCertificate, ErrFingerprint)
		}
	} else if c.cfg.AwaitFingerprints {
		return nil
	}
	if c.cfg.VerifyPeer != nil && !c.asked {
		if c.cfg.VerifyPeer(leaf) != nil {
			return fatal(AlertBadCertificate, ErrPeerRefused)
		}
		c.asked = true
	}
	c.verified = true
	return nil
}

// peerChain takes the peer's certificates in. Their key is trusted once
// checkPeer agrees and a signature proves its possession.
func (c *Conn) peerChain(chain [][]byte) (crypto.PublicKey, keyKind, error) {
	pub, kind, err := peerLeaf(chain[0])
	if err != nil {
		return nil, kindNone, err
	}
	c.state.PeerCertificates = c.rooms.chain[:0]
	for _, der := range chain {
		c.state.PeerCertificates = append(c.state.PeerCertificates, slices.Clone(der))
	}
	return pub, kind, c.checkPeer()
}
