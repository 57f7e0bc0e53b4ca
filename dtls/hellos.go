package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// sentinel ends the random of a server which could do better than DTLS 1.2; the
// same with 0 at its end, than 1.1 (RFC 8446 §4.1.3).
const sentinel = "DOWNGRD\x01"

// downgraded tells whether a ServerHello of 1.2 says that it should not be one.
func downgraded(random [randomLen]byte) bool {
	tail := string(random[randomLen-len(sentinel):])
	return tail == sentinel || tail == sentinel[:len(sentinel)-1]+"\x00"
}

// onlyNull is the only compression method there is, and the only point format. It
// is not to be changed.
var onlyNull = []byte{0}

// startClient sends the first flight: one hello for every version offered.
func (c *Conn) startClient(now mono.Time) error {
	h := c.hs
	h.state = stateServerHello
	c.in.strict = true
	h.hello = clientHello{
		version:      VersionDTLS12, // RFC 9147 §5.3: in 1.3, too
		compressions: onlyNull,
		groups:       c.cfg.Groups,
		schemes:      c.cfg.SignatureSchemes,
		options:      c.offerOptions(),
	}
	if len(c.cfg.SRTPProfiles) > 0 {
		h.hello.profiles = c.cfg.SRTPProfiles
	}
	if err := c.random(h.hello.random[:]); err != nil {
		return err
	}
	c.sess.clientRandom = h.hello.random
	h.hello.suites = c.offeredSuites(h.suites[:0])
	if c.cfg.MaxVersion == VersionDTLS13 {
		h.hello.versions = []uint16{VersionDTLS13}
		var err error
		c.hs13 = &handshake13{}
		if c.hs13.offer, h.hello.shares, err = newOffer(c.firstShares(), c.keys()); err != nil {
			return err
		}
	}
	if c.cfg.MinVersion == VersionDTLS12 {
		if c.hs13 != nil {
			h.hello.versions = append(h.hello.versions, VersionDTLS12)
		} else {
			h.hello.groups = classical(c.cfg.Groups)
			h.hello.limit = min(h.hello.limit, maxFragment)
		}
		h.hello.points, h.hello.ems, h.hello.reneg = onlyNull, true, onlyNull[:0]
	}
	c.in.block = h.begin(reassemblyBlock)
	c.send(now, append(h.items[:0], h.say(typeClientHello, h.hello.append(h.room())))...)
	return nil
}

// offeredSuites appends the cipher suites of the versions we offer.
func (c *Conn) offeredSuites(b []uint16) []uint16 {
	for _, id := range c.cfg.CipherSuites {
		if suite13ByID(id) != nil && c.cfg.MaxVersion == VersionDTLS13 || suiteByID(id) != nil && c.cfg.MinVersion == VersionDTLS12 {
			b = append(b, id)
		}
	}
	return b
}

// firstShares is what the first hello has shares of; see Config.Groups.
func (c *Conn) firstShares() []Group {
	n := 1
	if c.cfg.Groups[0].curve() == nil && len(c.cfg.Groups) > 1 {
		n = 2
	}
	return c.cfg.Groups[:n]
}

// onServerFirst takes what answers a ClientHello, and with it the version.
func (c *Conn) onServerFirst(now mono.Time, m message) error {
	switch m.typ {
	case typeHelloRequest: // RFC 5246 §7.4.1.1: ignored, and not hashed
		return nil
	case typeHelloVerifyRequest:
		if c.cfg.MinVersion == VersionDTLS13 || c.hs13 != nil && c.hs13.retried != nil {
			return unexpected() // it is of DTLS 1.2 (RFC 9147 §5.1)
		}
		return c.onHelloVerify(now, m)
	case typeServerHello:
	default:
		return unexpected()
	}
	sh, ok := parseServerHello(m.body())
	if !ok {
		return malformed()
	}
	switch {
	case sh.selected == 0 && c.hs13 != nil && c.hs13.retried != nil: // RFC 8446 §4.1.4
		return fatal(AlertIllegalParameter, ErrVersion)
	case sh.selected == 0:
		return c.onServerHello12(m, &sh)
	case c.hs13 == nil: // we sent no supported_versions
		return fatal(AlertUnsupportedExtension, ErrParameter)
	case sh.selected != VersionDTLS13, // RFC 8446 §4.2.1
		c.hs.verifies > 0: // RFC 9147 §5.3: no hello of 1.3 has the cookie that it asked for
		return fatal(AlertIllegalParameter, ErrVersion)
	}
	return c.onServerHello13(now, m, &sh)
}

// versionOf negotiates the version of a ClientHello, 0 if there is none in
// common. RFC 8446 §4.2.1: supported_versions, where present, is all that counts.
// Versions of DTLS count downwards.
func (c *Conn) versionOf(ch *clientHello) uint16 {
	legacy := ch.versions == nil && ch.version>>8 == 0xfe && ch.version <= VersionDTLS12
	switch {
	case c.cfg.MaxVersion == VersionDTLS13 && slices.Contains(ch.versions, VersionDTLS13):
		return VersionDTLS13
	case c.cfg.MinVersion == VersionDTLS12 && (legacy || slices.Contains(ch.versions, VersionDTLS12)):
		return VersionDTLS12
	}
	return 0
}

// handleHellos looks for a whole ClientHello. Until one is accepted the server
// keeps no state but fragments, takes hellos of any round of cookies, and goes on
// waiting after those which do not parse: anybody can have sent them.
func (c *Conn) handleHellos(now mono.Time, recordSeq uint64) error {
	rounds := 1
	if c.cfg.HelloVerify || c.cfg.MaxVersion == VersionDTLS13 {
		rounds += maxHelloVerify
	}
	for i := 0; i < rounds; i++ {
		m, ok := c.in.peek(i)
		if !ok {
			continue
		}
		c.in.drop(i)
		err := c.handleHello(now, m, recordSeq)
		if c.phase == phaseHandshake && c.hs.state == stateClientHello {
			c.in.block = nil
		}
		return err
	}
	return nil
}

// handleHello takes a whole message where a ClientHello is due.
func (c *Conn) handleHello(now mono.Time, m message, recordSeq uint64) error {
	if m.typ != typeClientHello {
		return c.broken(unexpected())
	}
	ch, ok := parseClientHello(&c.hs.lists, m.body())
	if !ok {
		return c.broken(malformed())
	}
	switch c.versionOf(&ch) {
	case VersionDTLS13:
		return c.handleHello13(now, m, recordSeq, &ch)
	case VersionDTLS12:
		return c.handleHello12(now, m, recordSeq, &ch)
	}
	c.accept(m)
	c.settle(fatal(AlertProtocolVersion, ErrVersion))
	return nil
}

// accept makes a hello the one that this handshake answers.
func (c *Conn) accept(m message) {
	c.hs.seq = m.seq
	c.in.strict = true
	c.in.restart(m.seq + 1)
	c.graceEnd = 0
}

func (c *Conn) handleHello12(now mono.Time, m message, recordSeq uint64, ch *clientHello) error {
	if c.cfg.HelloVerify {
		if !c.cookieValid(ch) {
			return c.sendHelloVerify(m.seq, recordSeq, ch)
		}
		// RFC 6347 §4.2.1: our record numbers go on from the client's, our
		// message numbers from its message_seq.
		c.seq0 = max(c.seq0, recordSeq)
	}
	c.accept(m)
	c.hs.hear(m)
	c.settle(c.onClientHello12(now, ch))
	return nil
}
