package dtls

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha512"
	"io"
	"slices"
)

// stage is the message a handshake waits for.
type stage uint8

const (
	stateClientHello         stage = iota // server
	stateServerHello                      // client, or HelloVerifyRequest
	stateEncryptedExtensions              // DTLS 1.3
	stateCertificate
	stateServerKeyExchange
	stateCertificateRequest // or ServerHelloDone; in DTLS 1.3, or Certificate
	stateServerHelloDone
	stateClientKeyExchange
	stateCertificateVerify
	stateFinished
)

// handshake12 is what a handshake needs until it is done: one of DTLS 1.2, and in
// its upper part one of 1.3, too.
type handshake12 struct {
	state      stage
	seq        uint16                                // message_seq of our next message
	transcript []byte                                // every message so far, as the hashes of 1.2 want them
	scratch    []byte                                // see room
	lists      lists                                 // of the message at hand
	opened     [96]byte                              // scratch of records: a Finished fits in
	items      [5]outMessage                         // where a flight begins to be put together
	suites     [len(suites13) + len(suites12)]uint16 // those we offer
	hashed     [sha512.Size]byte                     // scratch of signatures
	peerKey    crypto.PublicKey
	hello      clientHello // client: what we offered
	verifies   int         // HelloVerifyRequests obeyed
	requested  bool        // client: the server wants our certificate
	scheme     *scheme     // client: for our CertificateVerify

	share     *ecdh.PrivateKey
	peerShare []byte // client: the server's public value
	peerKind  keyKind
	ems       bool
}

// room is where the body of a message is put together that say then copies.
func (h *handshake12) room() []byte {
	h.grow()
	return h.scratch[:0]
}

// say frames a message of ours and adds it to the transcript.
func (h *handshake12) say(typ uint8, body []byte) outMessage {
	at := len(h.transcript)
	h.grow()
	h.transcript = appendFragment(h.transcript, fragment{typ: typ, seq: h.seq, length: len(body), body: body})
	m := message{typ: typ, seq: h.seq, raw: slices.Clip(h.transcript[at:])}
	h.seq++
	return handshakeOut(m, 0)
}

// grow begins a transcript if there is none.
func (h *handshake12) grow() {
	if h.scratch == nil {
		h.begin(0)
	}
}

// begin makes room for a transcript, of which messages of ours are parts, and
// returns more bytes that lie behind it.
func (h *handshake12) begin(more int) []byte {
	const (
		most    = 4 << 10 // a transcript with the certificates of WebRTC
		scratch = most + 2<<10
	)
	b := make([]byte, scratch+more)
	h.transcript, h.scratch = b[:0:most], b[most:most:scratch]
	return b[scratch:]
}

// hear adds a message to the transcript.
func (h *handshake12) hear(m message) {
	h.grow()
	h.transcript = append(h.transcript, m.raw...)
}

// unexpected ends a handshake whose messages come in an impossible order.
func unexpected() error { return fatal(AlertUnexpectedMessage, ErrUnexpected) }

func malformed() error { return fatal(AlertDecodeError, ErrMessage) }

// random fills b.
func (c *Conn) random(b []byte) error {
	if _, err := io.ReadFull(c.cfg.Rand, b); err != nil {
		return fatal(AlertInternalError, ErrInternal)
	}
	return nil
}

// deriveKeys12 turns the shared secret into the master secret and the record
// layer. The transcript ends with ClientKeyExchange (RFC 7627 §3).
func (c *Conn) deriveKeys12(secret []byte) error {
	s, h := &c.sess, c.hs
	if h.ems {
		var sum [sha512.Size]byte
		prf12(s.suite.hashLen, s.master[:], secret, labelEMS, s.suite.hashOf(sum[:0], h.transcript))
	} else {
		prf12(s.suite.hashLen, s.master[:], secret, labelMaster, s.clientRandom[:], s.serverRandom[:])
	}
	clear(secret)
	h.share = nil
	records, err := s.suite.keys12(c.cfg.Role, s.master[:], s.clientRandom[:], s.serverRandom[:])
	if err != nil {
		return fatal(AlertInternalError, ErrInternal)
	}
	c.records = records
	c.dress(records)
	if c.cfg.KeyLog != nil {
		random, master := s.clientRandom, s.master
		c.cfg.KeyLog("CLIENT_RANDOM", random[:], master[:])
	}
	return nil
}

// changeCipherSpec is the content of that record; it is not to be changed.
var changeCipherSpec = []byte{1}

// lastWords12 appends ChangeCipherSpec and Finished; our writes are sealed from
// then on.
func (c *Conn) lastWords12(items []outMessage, label string) []outMessage {
	verify := c.sess.suite.finished12(c.hs.room(), c.sess.master[:], label, c.hs.transcript)
	finished := c.hs.say(typeFinished, verify)
	finished.epoch = 1
	c.writeEpoch = 1
	return append(items, outMessage{contentType: ContentChangeCipherSpec, raw: changeCipherSpec}, finished)
}

// peerChain12 takes the peer's Certificate in.
func (c *Conn) peerChain12(m message) (err error) {
	var room [maxCertificates][]byte
	chain, ok := parseChain12(room[:0], m.body())
	if !ok {
		return malformed()
	}
	if len(chain) == 0 { // RFC 5246 §7.4.6
		return fatal(AlertHandshakeFailure, ErrPeerCertificate)
	}
	c.hs.peerKey, c.hs.peerKind, err = c.peerChain(chain)
	return err
}

// checkFinished12 verifies the peer's Finished against the transcript before it.
func (c *Conn) checkFinished12(label string, m message) error {
	if len(m.body()) != verifyLen {
		return malformed()
	}
	if !hmac.Equal(m.body(), c.sess.suite.finished12(c.hs.room(), c.sess.master[:], label, c.hs.transcript)) {
		return fatal(AlertDecryptError, ErrFinished)
	}
	c.hs.hear(m)
	return nil
}
