package dtls

import (
	"crypto/hmac"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// handleHello13 decides whether a hello is accepted, or must come again: with a
// cookie, or with a share of another group. Until then nothing is remembered: the
// cookie holds it all (RFC 8446 §4.2.2, RFC 9147 §5.1).
func (c *Conn) handleHello13(now mono.Time, m message, recordSeq uint64, ch *clientHello) error {
	if c.cfg.HelloVerify { // see handleHello12
		c.seq0 = max(c.seq0, recordSeq)
	}
	suite, share, wanted, err := c.choose13(ch)
	cookie, second := c.openCookie(ch.cookie3)
	switch {
	case err == nil && !second && (c.cfg.HelloVerify || share == nil):
		return c.sendRetry(m, &retryCookie{suite: suite.id, group: wanted})
	case err != nil && !second && c.cfg.HelloVerify:
		return c.sendRefusal(err)
	}
	c.accept(m)
	h := &handshake13{suite: suite}
	c.hs13 = h
	if err == nil && second {
		err = c.secondHello(ch, &cookie, suite, share)
	}
	if err != nil {
		c.settle(err)
		return nil
	}
	h.transcript = suite.hash()
	if second {
		retry := retryHello(&cookie, ch.cookie3)
		h.transcript.Write(retriedHello(cookie.hash, newMessage(typeServerHello, 0, retry.append(nil))))
	}
	h.hear(m)
	c.settle(c.onClientHello13(now, ch, *share))
	return nil
}

// choose13 negotiates suite and group: share is the client's, or nil where it
// must send one of the group wanted first.
func (c *Conn) choose13(ch *clientHello) (suite *suite13, share *keyShare, wanted Group, err error) {
	// RFC 9147 §5.3, RFC 8446 §4.1.2.
	if len(ch.cookie) > 0 || !slices.Equal(ch.compressions, []byte{0}) {
		return nil, nil, 0, fatal(AlertIllegalParameter, ErrParameter)
	}
	if ch.illegal { // RFC 8446 §4.2.8, §4.2.11
		return nil, nil, 0, fatal(AlertIllegalParameter, ErrParameter)
	}
	if ch.groups == nil || ch.shares == nil || ch.schemes == nil || ch.psk && !ch.pskModes { // RFC 8446 §9.2, §4.2.9
		return nil, nil, 0, fatal(AlertMissingExtension, ErrParameter)
	}
	for i := range ch.shares { // RFC 8446 §4.2.8
		if !slices.Contains(ch.groups, ch.shares[i].group) {
			return nil, nil, 0, fatal(AlertIllegalParameter, ErrParameter)
		}
	}
	suite = suite13For(c.cfg.CipherSuites, ch.suites)
	wanted = groupFor(c.cfg.Groups, ch.groups)
	if suite == nil || wanted == 0 {
		return nil, nil, 0, fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	for _, g := range c.cfg.Groups {
		if i := slices.IndexFunc(ch.shares, func(k keyShare) bool { return k.group == g }); i >= 0 {
			return suite, &ch.shares[i], 0, nil
		}
	}
	return suite, nil, wanted, nil
}

// secondHello holds a hello against the HelloRetryRequest it answers.
func (c *Conn) secondHello(ch *clientHello, cookie *retryCookie, suite *suite13, share *keyShare) error {
	if suite.id != cookie.suite || share == nil || len(cookie.hash) != suite.hashLen ||
		cookie.group != 0 && (share.group != cookie.group || len(ch.shares) != 1) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	return nil
}

// retryHello is a HelloRetryRequest.
func retryHello(c *retryCookie, sealed []byte) serverHello {
	return serverHello{
		version: VersionDTLS12, random: retryRandom, suite: c.suite,
		selected: VersionDTLS13, share: keyShare{group: c.group}, cookie: sealed,
	}
}

// sendRetry answers with a HelloRetryRequest: shorter than the hello of any stack,
// and at most 64 bytes longer than the shortest that can be made up.
func (c *Conn) sendRetry(m message, cookie *retryCookie) error {
	header, body := m.raw13()
	cookie.hash = suite13ByID(cookie.suite).sum(header, body)
	b := cookie.append(nil)
	mac, err := c.cookieMAC(b)
	if err != nil {
		return ErrInternal
	}
	sh := retryHello(cookie, append(b, mac...))
	raw := newMessage(typeServerHello, m.seq, sh.append(nil)).raw
	c.verify = make([]byte, headerLen, headerLen+len(raw))
	putHeader(c.verify, ContentHandshake, c.seq0, len(raw))
	c.seq0++
	c.verify = append(c.verify, raw...)
	return nil
}

// sendRefusal answers a hello that cannot be accepted, from an address which has
// not proved itself: with an alert, and without a change of state.
func (c *Conn) sendRefusal(err error) error {
	e, ok := err.(*AlertError)
	if !ok {
		return err
	}
	c.verify = append(make([]byte, headerLen, headerLen+2), alertFatal, byte(e.Alert))
	putHeader(c.verify, ContentAlert, c.seq0, 2)
	c.seq0++
	return e.Cause
}

// openCookie checks and parses a cookie of ours. A wrong one counts as none: it
// is answered with another.
func (c *Conn) openCookie(b []byte) (cookie retryCookie, ok bool) {
	n := len(b) - cookieLen
	if n < 0 {
		return cookie, false
	}
	want, err := c.cookieMAC(b[:n])
	if err != nil || !hmac.Equal(want, b[n:]) {
		return cookie, false
	}
	return parseRetryCookie(b[:n])
}

// onClientHello13 sends the server's flight.
func (c *Conn) onClientHello13(now mono.Time, ch *clientHello, client keyShare) error {
	h := c.hs13
	c.hs.scheme = schemeFor13(c.cfg.SignatureSchemes, c.cfg.Certificate.signer.Public(), ch.schemes)
	if c.hs.scheme == nil {
		return fatal(AlertHandshakeFailure, ErrNegotiation)
	}
	c.sess.clientRandom = ch.random
	c.state = ConnectionState{
		Version: VersionDTLS13, CipherSuite: h.suite.id, Group: client.group,
		SignatureScheme: c.hs.scheme.id, ExtendedMasterSecret: true,
		SRTPProfile: profileFor(c.cfg.SRTPProfiles, ch.profiles),
	}
	inHello, sealed, err := c.answerOptions(&ch.options)
	if err != nil {
		return err
	}
	share, secret, err := answerShare(client, c.keys())
	if err != nil {
		return err
	}
	sh := serverHello{version: VersionDTLS12, suite: h.suite.id, selected: VersionDTLS13, share: share, options: inHello}
	if err := c.random(sh.random[:]); err != nil {
		return err
	}
	hello := c.say13(typeServerHello, sh.append(c.hs.room()))
	hello.epoch = 0
	if err := c.handshakeKeys(secret); err != nil {
		return err
	}
	ee := encryptedExtensions{profile: c.state.SRTPProfile, options: sealed}
	items := append(c.hs.items[:0], hello, c.say13(typeEncryptedExtensions, ee.append(c.hs.room())))
	c.hs.state = stateFinished
	if !c.cfg.AnonymousClients { // see flight4
		c.hs.state = stateCertificate
		cr := certificateRequest13{schemes: c.cfg.SignatureSchemes}
		items = append(items, c.say13(typeCertificateRequest, cr.append(c.hs.room())))
	}
	if items, err = c.authenticate(items); err != nil {
		return err
	}
	c.send(now, append(items, c.finish(h.server))...)
	if err := c.trafficKeys(); err != nil {
		return err
	}
	c.writeEpoch = epochTraffic
	return nil
}

// serverMessage13 takes a message of the client's last flight.
func (c *Conn) serverMessage13(now mono.Time, m message) error {
	switch state := c.hs.state; {
	case m.typ == typeCertificate && state == stateCertificate:
		return c.peerChain13(m)
	case m.typ == typeCertificateVerify && state == stateCertificateVerify:
		return c.checkProof13(m)
	case m.typ == typeFinished && state == stateFinished:
		if err := c.checkFinished13(c.hs13.client, m); err != nil {
			return err
		}
		return c.handshakeDone(now)
	}
	return unexpected()
}
