package dtls

import (
	"net/netip"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Messages of return_routability_check (RFC 9853 §4): a type and a cookie.
const (
	pathChallenge = 0
	pathResponse  = 1
	pathDrop      = 2
	pathCookieLen = 8
	pathLen       = 1 + pathCookieLen
)

// pathMessage is one that waits to be sent; addr is invalid for the current path.
type pathMessage struct {
	addr   netip.AddrPort
	typ    uint8
	cookie [pathCookieLen]byte
}

// pathCheck is a return routability check under way, and what waits to be sent.
type pathCheck struct {
	addr    netip.AddrPort
	cookies [maxChallenges][pathCookieLen]byte // one for each challenge sent
	tries   int
	at      mono.Time // of the next challenge, or the end; 0: no check
	out     []pathMessage
}

// CheckPath asks the peer whether it is at addr, from where a record has come
// which Records.Newest says is the latest: before that is known nobody may take
// addr for the peer's, for anybody can have forwarded the record (RFC 9146 §6). It
// ends in a PathChecked event, within 3 s; a check of another address is given up
// for it, one of the same goes on. Errors: ErrNotConnected, and ErrVersion when
// the check was not negotiated. Drain TransmitPath afterwards.
func (c *Conn) CheckPath(now mono.Time, addr netip.AddrPort) error {
	switch {
	case c.phase != phaseConnected:
		return ErrNotConnected
	case !c.agreed.rrc:
		return ErrVersion
	case c.path.at != 0 && c.path.addr == addr:
		return nil
	}
	c.path.addr, c.path.tries = addr, 0
	c.path.challenge(c, now)
	return nil
}

// challenge sends the next challenge (RFC 9853 §5.1); each has a cookie of its own.
func (p *pathCheck) challenge(c *Conn, now mono.Time) {
	if p.tries == maxChallenges {
		p.done(c, false)
		return
	}
	cookie := &p.cookies[p.tries]
	if c.random(cookie[:]) != nil {
		p.done(c, false)
		return
	}
	p.tries++
	p.at = now.Add(challengeInterval)
	p.send(pathMessage{p.addr, pathChallenge, *cookie})
}

// send queues a message; beyond the bound the peer's oldest gets no answer.
func (p *pathCheck) send(m pathMessage) {
	if len(p.out) == maxPathMessages {
		p.out = p.out[1:]
	}
	p.out = append(p.out, m)
}

func (p *pathCheck) expire(c *Conn, now mono.Time) {
	if p.at != 0 && !now.Before(p.at) {
		p.challenge(c, now)
	}
}

func (p *pathCheck) done(c *Conn, ok bool) {
	c.events = append(c.events, PathChecked{p.addr, ok})
	*p = pathCheck{out: p.out}
}

// HandlePath takes the plaintext of a record with ContentRoutability, and where it
// came from. preferred tells whether that is a path on which we want the peer to
// stay; a challenge that arrives on another is answered so (RFC 9853 §5.2).
// HandleRecord does the same without knowing paths. The error is a reason for a
// drop. Drain TransmitPath and Event afterwards.
func (c *Conn) HandlePath(_ mono.Time, from netip.AddrPort, preferred bool, plaintext []byte) error {
	if !c.agreed.rrc || c.phase != phaseConnected {
		return ErrUnexpected
	}
	if len(plaintext) != pathLen {
		return ErrMessage
	}
	m := pathMessage{addr: from, typ: pathResponse, cookie: [pathCookieLen]byte(plaintext[1:])}
	switch plaintext[0] {
	case pathChallenge:
		if !preferred {
			m.typ = pathDrop
		}
		c.path.send(m)
		return nil
	case pathResponse, pathDrop:
		for _, cookie := range c.path.cookies[:c.path.tries] {
			if c.path.at != 0 && cookie == m.cookie {
				c.path.done(c, plaintext[0] == pathResponse)
				return nil
			}
		}
	}
	return ErrUnexpected // RFC 9853 §4: other types are ignored
}

// TransmitPath writes into b the plaintext of one record, 9 bytes, which the owner
// of Records should seal as ContentRoutability and send to the address returned; if
// that is not valid, to where the peer is. 0: nothing more. Before hand-over
// Transmit does it.
func (c *Conn) TransmitPath(_ mono.Time, b []byte) (n int, to netip.AddrPort) {
	if !c.handed || len(c.path.out) == 0 || len(b) < pathLen {
		return 0, netip.AddrPort{}
	}
	m := c.path.out[0]
	c.path.out = c.path.out[1:]
	b[0] = m.typ
	return 1 + copy(b[1:], m.cookie[:]), m.addr
}

// transmitPath fills b with such records before hand-over, when there is one path.
func (c *Conn) transmitPath(b []byte) (n int) {
	for !c.handed && len(c.path.out) > 0 {
		m := &c.path.out[0]
		k := c.putRecord(b[n:], ContentRoutability, c.writeEpoch, append([]byte{m.typ}, m.cookie[:]...))
		if k == 0 {
			break
		}
		n += k
		c.path.out = c.path.out[1:]
	}
	return n
}

// challengeInterval is RFC 9853 §5.3's T.
const challengeInterval = time.Second
