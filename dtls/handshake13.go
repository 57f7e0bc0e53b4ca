package dtls

import (
	"crypto/hmac"
	"hash"
)

// handshake13 is what a handshake of DTLS 1.3 needs besides handshake12.
type handshake13 struct {
	suite      *suite13
	transcript hash.Hash // of every message so far
	before     []byte    // what stands in it for a hello that had to come again
	offer      *offer    // client: until its ServerHello is proved
	hello      []byte    // client: that one
	retried    *serverHello
	context    []byte

	client, server []byte // handshake traffic secrets
	handshake      []byte // handshake secret
}

// hear adds a message to the transcript.
func (h *handshake13) hear(m message) {
	header, body := m.raw13()
	h.transcript.Write(header)
	h.transcript.Write(body)
}

// retriedHello is what a transcript begins with that has a HelloRetryRequest: the
// first hello's hash in its place (RFC 8446 §4.4.1).
func retriedHello(first []byte, retry message) []byte {
	b := append([]byte{typeMessageHash, 0, 0, byte(len(first))}, first...)
	header, body := retry.raw13()
	return append(append(b, header...), body...)
}

func (h *handshake13) sum() []byte { return h.transcript.Sum(nil) }

// say13 frames a sealed message of ours and adds it to the transcript.
func (c *Conn) say13(typ uint8, body []byte) outMessage {
	out := c.hs.say(typ, body) // whose transcript is only where messages lie
	out.epoch = epochHandshake
	c.hs13.hear(message{raw: out.raw})
	return out
}

// log13 tells Config.KeyLog a secret.
func (c *Conn) log13(label string, secret []byte) {
	if c.cfg.KeyLog != nil {
		random := c.sess.clientRandom
		c.cfg.KeyLog(label, random[:], append([]byte(nil), secret...))
	}
}

// ours13 orders two secrets: local, remote.
func (c *Conn) ours13(client, server []byte) (local, remote []byte) {
	if c.cfg.Role == Client {
		return client, server
	}
	return server, client
}

// handshakeKeys makes the record layer of epoch 2. The transcript ends with
// ServerHello.
func (c *Conn) handshakeKeys(shared []byte) error {
	h := c.hs13
	h.handshake = h.suite.handshakeSecret(shared)
	clear(shared)
	sum := h.sum()
	h.client = h.suite.derive(h.handshake, "c hs traffic", sum)
	h.server = h.suite.derive(h.handshake, "s hs traffic", sum)
	c.log13("CLIENT_HANDSHAKE_TRAFFIC_SECRET", h.client)
	c.log13("SERVER_HANDSHAKE_TRAFFIC_SECRET", h.server)
	local, remote := c.ours13(h.client, h.server)
	var err error
	if c.hand, err = newRecords13(h.suite, epochHandshake, local, remote); err != nil {
		return fatal(AlertInternalError, ErrInternal)
	}
	c.dress(c.hand)
	return nil
}

// trafficKeys makes the record layer of epoch 3. The transcript ends with the
// server's Finished.
func (c *Conn) trafficKeys() error {
	h := c.hs13
	master := h.suite.masterSecret(h.handshake)
	clear(h.handshake)
	sum := h.sum()
	client := h.suite.derive(master, "c ap traffic", sum)
	server := h.suite.derive(master, "s ap traffic", sum)
	c.sess13 = session13{h.suite, h.suite.derive(master, "exp master", sum)}
	clear(master)
	c.log13("CLIENT_TRAFFIC_SECRET_0", client)
	c.log13("SERVER_TRAFFIC_SECRET_0", server)
	c.log13("EXPORTER_SECRET", c.sess13.exporter)
	local, remote := c.ours13(client, server)
	var err error
	if c.records, err = newRecords13(h.suite, epochTraffic, local, remote); err != nil {
		return fatal(AlertInternalError, ErrInternal)
	}
	c.dress(c.records)
	return nil
}

// authenticate is our Certificate and CertificateVerify.
func (c *Conn) authenticate(items []outMessage) ([]outMessage, error) {
	cert := certificate13{context: c.hs13.context, chain: c.cfg.Certificate.chain}
	items = append(items, c.say13(typeCertificate, cert.append(c.hs.room())))
	sig, err := c.hs.scheme.sign(c.cfg.Rand, c.cfg.Certificate.signer, &c.hs.hashed, proof(c.hs.room(), c.cfg.Role, c.hs13.sum()))
	if err != nil {
		return nil, err
	}
	return append(items, c.say13(typeCertificateVerify, sig.append(c.hs.room()))), nil
}

// finish is our Finished.
func (c *Conn) finish(secret []byte) outMessage {
	return c.say13(typeFinished, c.hs13.suite.finished(secret, c.hs13.sum()))
}

// peerChain13 takes the peer's Certificate in.
func (c *Conn) peerChain13(m message) (err error) {
	cert, ok := parseCertificate13(m.body())
	if !ok {
		return malformed()
	}
	if len(cert.context) > 0 { // RFC 8446 §4.4.2
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if cert.foreign {
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	if len(cert.chain) == 0 { // RFC 8446 §4.4.2.4
		if c.cfg.Role == Server {
			return fatal(AlertCertificateRequired, ErrPeerCertificate)
		}
		return fatal(AlertDecodeError, ErrPeerCertificate)
	}
	c.hs.peerKey, _, err = c.peerChain(cert.chain)
	c.hs13.hear(m)
	c.hs.state = stateCertificateVerify
	return err
}

// checkProof13 verifies the peer's CertificateVerify: that it holds the key of
// its certificate (RFC 8446 §4.4.3).
func (c *Conn) checkProof13(m message) error {
	v, ok := parseCertificateVerify12(m.body())
	if !ok {
		return malformed()
	}
	s := schemeByID(v.scheme)
	if s == nil || !s.suits13(c.hs.peerKey) {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	if err := c.checkSigned(&v, proof(c.hs.room(), 1-c.cfg.Role, c.hs13.sum())); err != nil {
		return err
	}
	if c.cfg.Role == Client {
		c.state.SignatureScheme = v.scheme
	}
	c.hs13.hear(m)
	c.hs.state = stateFinished
	return nil
}

// checkFinished13 verifies the peer's Finished against the transcript before it.
func (c *Conn) checkFinished13(secret []byte, m message) error {
	want := c.hs13.suite.finished(secret, c.hs13.sum())
	if len(m.body()) != len(want) {
		return malformed()
	}
	if !hmac.Equal(m.body(), want) {
		return fatal(AlertDecryptError, ErrFinished)
	}
	c.hs13.hear(m)
	return nil
}
