package dtls

import (
	"crypto"

	"github.com/sluicertc/sluice/internal/mono"
)

// handleFragments takes the fragments in a handshake record while the handshake
// runs, then every message that has become whole.
func (c *Conn) handleFragments(now mono.Time, epoch uint16, seq uint64, payload []byte) error {
	var first error
	for len(payload) > 0 && c.phase == phaseHandshake {
		f, rest, ok := parseFragment(payload)
		if !ok {
			return firstOf(first, ErrMessage)
		}
		payload = rest
		if err := c.handleFragment(now, epoch, seq, f); err != nil {
			first = firstOf(first, err)
		}
	}
	return first
}

func (c *Conn) handleFragment(now mono.Time, epoch uint16, seq uint64, f fragment) error {
	// Finished is the one sealed message of a handshake. Anything else in its
	// epoch, or it in the clear, is no message of this handshake.
	if (f.typ == typeFinished) != (epoch == 1) {
		return ErrUnexpected
	}
	if err := c.in.add(epoch, f); err != nil {
		if err == ErrUnexpected && f.seq < c.in.next {
			c.resend(now) // the peer has not got our flight (RFC 6347 §4.2.4)
		}
		return err
	}
	if c.hs.state == stateClientHello {
		return c.handleHellos12(now, seq)
	}
	return c.pump(now)
}

// pump handles messages in order for as long as there are whole ones.
func (c *Conn) pump(now mono.Time) error {
	var first error
	for c.phase == phaseHandshake {
		m, ok := c.in.peek(0)
		if !ok {
			if c.records == nil {
				return first
			}
			// If the keys are new, records which came before them can be opened.
			for _, rec := range c.early.takeSealed() {
				if err := c.handleSealed(now, rec); err != nil {
					first = firstOf(first, err)
				}
			}
			return first
		}
		c.in.pop()
		c.graceEnd = 0 // progress: a forged alert did not come from this peer
		c.settle(c.handleMessage12(now, m))
	}
	return first
}

// send starts a flight; its predecessor is acknowledged by what led to it.
func (c *Conn) send(now mono.Time, items ...outMessage) {
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
	if c.cfg.Role == Client {
		c.out.stop()
	} else {
		c.out.resendAt = 0 // sent again on demand only, see again
		c.lingerTo = now.Add(lastFlightLinger)
	}
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
	c.hs = nil
	c.in.restart(0)
	c.events = append(c.events, Connected{})
	return nil
}

// checkPeer holds the peer's certificate against what is known by now.
func (c *Conn) checkPeer() error {
	if c.verified {
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
func (c *Conn) peerChain(body []byte) (crypto.PublicKey, keyKind, error) {
	chain, ok := parseCertificate12(body)
	if !ok {
		return nil, kindNone, fatal(AlertDecodeError, ErrMessage)
	}
	if len(chain) == 0 { // RFC 5246 §7.4.6
		return nil, kindNone, fatal(AlertHandshakeFailure, ErrPeerCertificate)
	}
	pub, kind, err := peerLeaf(chain[0])
	if err != nil {
		return nil, kindNone, err
	}
	c.state.PeerCertificates = make([][]byte, len(chain))
	for i, der := range chain {
		c.state.PeerCertificates[i] = append([]byte(nil), der...)
	}
	return pub, kind, c.checkPeer()
}
