package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// onClientHello12 negotiates and sends flight 4.
func (c *Conn) onClientHello12(now mono.Time, ch *clientHello) error {
	h, s := c.hs, &c.sess
	if err := c.acceptHello12(ch); err != nil {
		return err
	}
	key := c.cfg.Certificate
	s.suite = suiteFor(c.cfg.CipherSuites, key.kind, ch.suites)
	ours := classical(c.cfg.Groups)
	group := ours[0] // RFC 8422 §4: without the extension the choice is ours
	if slices.Contains(ours, GroupP256) {
		group = GroupP256
	}
	if ch.groups != nil {
		group = groupFor(ours, ch.groups)
	}
	sig := schemeFor(c.cfg.SignatureSchemes, key.signer.Public(), ch.schemes)
	// RFC 8422 §5.1.1: the extension is about the curves of certificates, too.
	if g := curveOf(key.signer.Public()); g != 0 && ch.groups != nil && !slices.Contains(ch.groups, g) {
		return fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	if s.suite == nil || group == 0 || sig == nil {
		return fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	s.clientRandom = ch.random
	if err := c.random(s.serverRandom[:]); err != nil {
		return err
	}
	if c.cfg.MaxVersion == VersionDTLS13 { // RFC 8446 §4.1.3
		copy(s.serverRandom[randomLen-len(sentinel):], sentinel)
	}
	h.ems = ch.ems
	c.state = ConnectionState{
		Version: VersionDTLS12, CipherSuite: s.suite.id, Group: group, SignatureScheme: sig.id,
		SRTPProfile: profileFor(c.cfg.SRTPProfiles, ch.profiles), ExtendedMasterSecret: ch.ems,
	}
	hello, sealed, err := c.answerOptions(&ch.options)
	if err != nil {
		return err
	}
	hello.alpn, hello.limit = sealed.alpn, sealed.limit
	sh := serverHello{
		version: VersionDTLS12, random: s.serverRandom, suite: s.suite.id,
		profile: c.state.SRTPProfile, ems: ch.ems, options: hello,
	}
	if ch.points != nil {
		sh.points = []byte{0}
	}
	if ch.reneg != nil || slices.Contains(ch.suites, scsvRenegotiation) {
		sh.reneg = []byte{}
	}
	return c.flight4(now, &sh, sig)
}

// acceptHello12 checks what is not a matter of preference.
func (c *Conn) acceptHello12(ch *clientHello) error {
	if !slices.Contains(ch.compressions, 0) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if ch.points != nil && !slices.Contains(ch.points, 0) { // RFC 8422 §5.1.2
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if len(ch.reneg) > 0 { // RFC 5746 §3.6
		return fatal(AlertHandshakeFailure, ErrParameter)
	}
	if c.cfg.MaxVersion == VersionDTLS13 && slices.Contains(ch.suites, scsvFallback) { // RFC 7507 §3
		return fatal(AlertInappropriateFallback, ErrDowngrade)
	}
	if !ch.ems && !c.cfg.AllowLegacyMasterSecret {
		return fatal(AlertHandshakeFailure, ErrExtendedMasterSecret)
	}
	return nil
}

// flight4 sends ServerHello to ServerHelloDone. A certificate is asked for: it is
// what the signalled fingerprint names (RFC 5763 §5).
func (c *Conn) flight4(now mono.Time, sh *serverHello, sig *scheme) error {
	h := c.hs
	var err error
	if h.share, err = c.keys().share(c.state.Group); err != nil {
		return err
	}
	ske := serverKeyExchange12{group: c.state.Group, public: h.share.PublicKey().Bytes()}
	if ske.signed, err = sig.sign(c.cfg.Rand, c.cfg.Certificate.signer, &h.hashed, c.signedParams12(&ske)); err != nil {
		return err
	}
	cr := certificateRequest12{types: []byte{certTypeECDSA, certTypeRSA}, schemes: c.cfg.SignatureSchemes}
	items := append(h.items[:0],
		h.say(typeServerHello, sh.append(h.room())),
		h.say(typeCertificate, appendCertificate12(h.room(), c.cfg.Certificate.chain)),
		h.say(typeServerKeyExchange, ske.append(h.room())))
	h.state = stateClientKeyExchange
	if !c.cfg.AnonymousClients {
		h.state = stateCertificate
		items = append(items, h.say(typeCertificateRequest, cr.append(h.room())))
	}
	c.send(now, append(items, h.say(typeServerHelloDone, nil))...)
	return nil
}

// serverMessage12 takes a message of flight 5 (RFC 6347 §4.2.4).
func (c *Conn) serverMessage12(now mono.Time, m message) (err error) {
	h := c.hs
	switch {
	case m.typ == typeCertificate && h.state == stateCertificate:
		h.hear(m)
		if err = c.peerChain12(m); err != nil {
			return err
		}
		h.state = stateClientKeyExchange
		return nil
	case m.typ == typeClientKeyExchange && h.state == stateClientKeyExchange:
		h.hear(m)
		return c.onClientKeyExchange12(m)
	case m.typ == typeCertificateVerify && h.state == stateCertificateVerify:
		v, ok := parseCertificateVerify12(m.body())
		if !ok {
			return malformed()
		}
		if err := c.checkSigned(&v, h.transcript); err != nil {
			return err
		}
		h.hear(m)
		h.state = stateFinished
		return nil
	case m.typ == typeFinished && h.state == stateFinished:
		if err := c.checkFinished12(labelClient, m); err != nil {
			return err
		}
		c.send(now, c.lastWords12(make([]outMessage, 0, 2), labelServer)...)
		return c.handshakeDone(now)
	}
	return unexpected()
}

func (c *Conn) onClientKeyExchange12(m message) error {
	public, ok := parseClientKeyExchange12(m.body())
	if !ok {
		return malformed()
	}
	secret, err := agree(c.state.Group, c.hs.share, public)
	if err != nil {
		return err
	}
	c.hs.state = stateCertificateVerify
	if c.cfg.AnonymousClients {
		c.hs.state = stateFinished
	}
	return c.deriveKeys12(secret)
}
