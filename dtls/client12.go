package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// clientMessage12 takes a message of flights 4 and 6 (RFC 6347 §4.2.4).
func (c *Conn) clientMessage12(now mono.Time, m message) error {
	h := c.hs
	if m.typ == typeHelloRequest { // RFC 5246 §7.4.1.1: ignored, and not hashed
		return nil
	}
	if h.state == stateFinished {
		if m.typ != typeFinished {
			return unexpected()
		}
		if err := c.checkFinished12(labelServer, m); err != nil {
			return err
		}
		return c.handshakeDone(now)
	}
	h.hear(m)
	switch {
	case m.typ == typeCertificate && h.state == stateCertificate:
		return c.onServerCertificate12(m)
	case m.typ == typeServerKeyExchange && h.state == stateServerKeyExchange:
		return c.onServerKeyExchange12(m)
	case m.typ == typeCertificateRequest && h.state == stateCertificateRequest:
		return c.onCertificateRequest12(m)
	case m.typ == typeServerHelloDone &&
		(h.state == stateCertificateRequest || h.state == stateServerHelloDone):
		if len(m.body()) != 0 {
			return malformed()
		}
		return c.answer12(now)
	}
	return unexpected()
}

// onHelloVerify repeats the ClientHello with the cookie. Neither the first hello
// nor the request is part of the transcript (RFC 6347 §4.2.6).
func (c *Conn) onHelloVerify(now mono.Time, m message) error {
	v, ok := parseHelloVerify(m.body())
	if !ok {
		return malformed()
	}
	h := c.hs
	if h.verifies++; h.verifies > maxHelloVerify {
		return unexpected()
	}
	h.hello.cookie = slices.Clone(v.cookie)
	h.transcript = h.transcript[:0]
	c.send(now, append(h.items[:0], h.say(typeClientHello, h.hello.append(h.room())))...)
	return nil
}

func (c *Conn) onServerHello12(m message, sh *serverHello) error {
	h := c.hs
	if sh.version != VersionDTLS12 || c.cfg.MinVersion != VersionDTLS12 {
		return fatal(AlertProtocolVersion, ErrVersion)
	}
	if c.cfg.MaxVersion == VersionDTLS13 && downgraded(sh.random) {
		return fatal(AlertIllegalParameter, ErrDowngrade)
	}
	if sh.share.group != 0 || sh.cookie != nil { // they belong to DTLS 1.3
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	c.hs13 = nil
	h.hear(m)
	suite := suiteByID(sh.suite)
	if suite == nil || !slices.Contains(h.hello.suites, sh.suite) || sh.compression != 0 {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if sh.foreign || (sh.profile != 0 && h.hello.profiles == nil) { // RFC 5246 §7.4.1.4
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	// RFC 5764 §4.1.1: the server picks one of ours; we sent no MKI, so it
	// cannot return one (§4.1.3).
	if sh.profile != 0 && (!slices.Contains(h.hello.profiles, sh.profile) || len(sh.mki) > 0) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if sh.points != nil && !slices.Contains(sh.points, 0) { // RFC 8422 §5.2
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	// RFC 5746 §3.4: it must be empty; absent is a server that predates it, with
	// which it is enough that we never renegotiate.
	if len(sh.reneg) > 0 {
		return fatal(AlertHandshakeFailure, ErrParameter)
	}
	if !sh.ems && !c.cfg.AllowLegacyMasterSecret {
		return fatal(AlertHandshakeFailure, ErrExtendedMasterSecret)
	}
	if err := c.takeOptions(&sh.options); err != nil {
		return err
	}
	h.ems = sh.ems
	c.sess.suite = suite
	c.sess.serverRandom = sh.random
	c.state.Version = VersionDTLS12
	c.state.CipherSuite = sh.suite
	c.state.SRTPProfile = sh.profile
	c.state.ExtendedMasterSecret = sh.ems
	h.state = stateCertificate
	return nil
}

func (c *Conn) onServerCertificate12(m message) (err error) {
	h := c.hs
	if err = c.peerChain12(m); err != nil {
		return err
	}
	if h.peerKind != c.sess.suite.kind {
		return fatal(AlertIllegalParameter, ErrPeerCertificate)
	}
	h.state = stateServerKeyExchange
	return nil
}

func (c *Conn) onServerKeyExchange12(m message) error {
	ske, ok := parseServerKeyExchange12(m.body())
	if !ok {
		return malformed()
	}
	h := c.hs
	if ske.group.curve() == nil || !slices.Contains(c.cfg.Groups, ske.group) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if err := c.checkSigned(&ske.signed, c.signedParams12(&ske)); err != nil {
		return err
	}
	c.state.Group = ske.group
	c.state.SignatureScheme = ske.scheme
	h.peerShare = ske.public
	h.state = stateCertificateRequest
	return nil
}

// signedParams12 is what the server's key signs (RFC 8422 §5.4), in room.
func (c *Conn) signedParams12(ske *serverKeyExchange12) []byte {
	b := append(c.hs.room(), c.sess.clientRandom[:]...)
	return ske.params(append(b, c.sess.serverRandom[:]...))
}

func (c *Conn) onCertificateRequest12(m message) error {
	cr, ok := parseCertificateRequest12(&c.hs.lists, m.body())
	if !ok {
		return malformed()
	}
	h := c.hs
	// The certificate types add nothing: the schemes say which keys will do.
	h.scheme = schemeFor(c.cfg.SignatureSchemes, c.cfg.Certificate.signer.Public(), cr.schemes)
	if h.scheme == nil {
		return fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	h.requested = true
	h.state = stateServerHelloDone
	return nil
}

// answer12 sends flight 5. A server that asks for no certificate gets none:
// whether it may is for the server to say.
func (c *Conn) answer12(now mono.Time) error {
	h := c.hs
	var err error
	if h.share, err = c.keys().share(c.state.Group); err != nil {
		return err
	}
	secret, err := agree(c.state.Group, h.share, h.peerShare)
	if err != nil {
		return err
	}
	items := h.items[:0]
	if h.requested {
		items = append(items, h.say(typeCertificate, appendCertificate12(h.room(), c.cfg.Certificate.chain)))
	}
	items = append(items, h.say(typeClientKeyExchange, appendVec8(h.room(), h.share.PublicKey().Bytes())))
	if err := c.deriveKeys12(secret); err != nil {
		return err
	}
	if h.requested {
		sig, err := h.scheme.sign(c.cfg.Rand, c.cfg.Certificate.signer, &h.hashed, h.transcript)
		if err != nil {
			return err
		}
		items = append(items, h.say(typeCertificateVerify, sig.append(h.room())))
	}
	h.state = stateFinished
	c.send(now, c.lastWords12(items, labelClient)...)
	return nil
}
