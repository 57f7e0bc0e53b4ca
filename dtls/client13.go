package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// onServerHello13 takes a ServerHello or HelloRetryRequest (RFC 8446 §4.1.3,
// §4.1.4).
func (c *Conn) onServerHello13(now mono.Time, m message, sh *serverHello) error {
	h := c.hs13
	if sh.foreign {
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	s := suite13ByID(sh.suite)
	// RFC 9147 §5.3: we sent no session ID, and servers echo none. Extensions of
	// DTLS 1.2 do not belong here (RFC 8446 §4.2).
	if s == nil || !slices.Contains(c.hs.hello.suites, sh.suite) || sh.version != VersionDTLS12 ||
		len(sh.sessionID) > 0 || sh.compression != 0 ||
		sh.points != nil || sh.profile != 0 || sh.ems || sh.reneg != nil || sh.alpn != nil || sh.limit != 0 ||
		sh.retry() && (sh.id != nil || sh.rrc) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	hello := message{raw: c.hs.transcript} // ours is all there is so far
	if sh.retry() {
		return c.onRetry(now, m, sh, s, hello)
	}
	if sh.share.group == 0 {
		return fatal(AlertMissingExtension, ErrParameter)
	}
	if r := h.retried; r != nil && (r.suite != sh.suite || r.share.group != 0 && r.share.group != sh.share.group) ||
		sh.cookie != nil || !slices.ContainsFunc(c.hs.hello.shares, func(k keyShare) bool { return k.group == sh.share.group }) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	secret, err := h.offer.agree(sh.share)
	if err != nil {
		return err
	}
	c.state.Version = VersionDTLS13
	if err := c.takeOptions(&sh.options); err != nil {
		return err
	}
	h.suite, h.hello = s, m.raw
	h.transcript = s.hash()
	h.transcript.Write(h.before)
	h.hear(hello)
	h.hear(m)
	c.state.CipherSuite = s.id
	c.state.Group = sh.share.group
	c.state.ExtendedMasterSecret = true
	c.hs.state = stateEncryptedExtensions
	c.out.stop()              // the hello has been answered (RFC 9147 §5.8.1)
	c.in.keep(epochHandshake) // what has come in the clear is no message of 1.3
	if err := c.handshakeKeys(secret); err != nil {
		return err
	}
	c.writeEpoch = epochHandshake
	return nil
}

// onRetry repeats the ClientHello as the server wants it (RFC 8446 §4.1.2).
func (c *Conn) onRetry(now mono.Time, m message, sh *serverHello, s *suite13, first message) error {
	h := c.hs13
	if h.retried != nil {
		return unexpected()
	}
	g := sh.share.group
	if g == 0 && sh.cookie == nil || g != 0 && (!slices.Contains(c.cfg.Groups, g) ||
		slices.ContainsFunc(c.hs.hello.shares, func(k keyShare) bool { return k.group == g })) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	retried := *sh // only here does it outlive its message
	h.suite, h.retried = s, &retried
	header, body := first.raw13()
	h.before = retriedHello(s.sum(header, body), m)
	hello := &c.hs.hello
	hello.cookie3 = slices.Clone(sh.cookie)
	if g != 0 {
		var err error
		if h.offer, hello.shares, err = newOffer([]Group{g}, c.keys()); err != nil {
			return err
		}
	}
	c.hs.transcript = c.hs.transcript[:0]
	c.send(now, append(c.hs.items[:0], c.hs.say(typeClientHello, hello.append(c.hs.room())))...)
	return nil
}

// clientMessage13 takes a message of the server's sealed flight (RFC 8446 §2).
func (c *Conn) clientMessage13(now mono.Time, m message) error {
	h := c.hs13
	switch state := c.hs.state; {
	case m.typ == typeEncryptedExtensions && state == stateEncryptedExtensions:
		return c.onEncryptedExtensions(m)
	case m.typ == typeCertificateRequest && state == stateCertificateRequest:
		return c.onCertificateRequest13(m)
	case m.typ == typeCertificate && (state == stateCertificateRequest || state == stateCertificate):
		return c.peerChain13(m)
	case m.typ == typeCertificateVerify && state == stateCertificateVerify:
		return c.checkProof13(m)
	case m.typ == typeFinished && state == stateFinished:
		if err := c.checkFinished13(h.server, m); err != nil {
			return err
		}
		return c.answer13(now)
	}
	return unexpected()
}

func (c *Conn) onEncryptedExtensions(m message) error {
	ee, ok := parseEncryptedExtensions(m.body())
	if !ok {
		return malformed()
	}
	offered := c.hs.hello.profiles
	switch ee.foreign {
	case 0:
	case extSupportedVersions, extKeyShare, extCookie, extSignatureAlgorithms, extPreSharedKey,
		extPointFormats, extExtendedMasterSecret, extRenegotiationInfo, extConnectionID, extRRC: // not in this message (RFC 8446 §4.2)
		return fatal(AlertIllegalParameter, ErrParameter)
	default:
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	if ee.profile != 0 && offered == nil {
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	if ee.profile != 0 && (!slices.Contains(offered, ee.profile) || len(ee.mki) > 0) { // RFC 5764 §4.1.1, §4.1.3
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if err := c.takeOptions(&ee.options); err != nil {
		return err
	}
	c.state.SRTPProfile = ee.profile
	c.dress(c.hand)
	c.hs13.hear(m)
	c.hs.state = stateCertificateRequest
	return nil
}

func (c *Conn) onCertificateRequest13(m message) error {
	cr, ok := parseCertificateRequest13(m.body())
	if !ok {
		return malformed()
	}
	if len(cr.context) > 0 { // RFC 8446 §4.3.2
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if cr.schemes == nil {
		return fatal(AlertMissingExtension, ErrParameter)
	}
	if c.hs.scheme = schemeFor13(c.cfg.SignatureSchemes, c.cfg.Certificate.signer.Public(), cr.schemes); c.hs.scheme == nil {
		return fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	c.hs.requested = true
	c.hs13.hear(m)
	c.hs.state = stateCertificate
	return nil
}

// answer13 sends the last flight. A server that asks for no certificate gets
// none: whether it may is for the server to say.
func (c *Conn) answer13(now mono.Time) (err error) {
	if err := c.trafficKeys(); err != nil {
		return err
	}
	var items []outMessage
	if c.hs.requested {
		if items, err = c.authenticate(items); err != nil {
			return err
		}
	}
	c.send(now, append(items, c.finish(c.hs13.client))...)
	c.writeEpoch = epochTraffic
	return c.handshakeDone(now)
}
