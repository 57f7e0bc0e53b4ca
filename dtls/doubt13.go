package dtls

import (
	"bytes"

	"github.com/sluicertc/sluice/internal/mono"
)

// A ServerHello is in the clear: a path can spoil it, and anybody forge it. What
// proves one is the first record that opens with the keys it makes. Until then a
// client of DTLS 1.3 holds each that it hears for possible, and tries them all; the
// server repeats its own for as long as nobody answers (RFC 9147 §5.8.1), so that a
// right one comes again.

// belief is what follows from a ServerHello.
type belief struct {
	raw    []byte // the message
	hs     handshake13
	hand   *Records
	state  ConnectionState
	agreed agreement
}

// doubt is about the ServerHello: from when a second one is heard, or a record does
// not open.
type doubt struct {
	in      reassembler // of repetitions
	others  []belief
	newest  recordNumber // of a ServerHello
	failed  bool         // a record has not opened since
	repeats int          // of a hello that is known, while records do not open
}

// question returns the doubt there is.
func (c *Conn) question() *doubt {
	if c.doubt == nil {
		c.doubt = &doubt{in: reassembler{next: c.in.next - 1, exact: true}}
		for _, n := range c.acks {
			c.doubt.newest = max(c.doubt.newest, n)
		}
	}
	return c.doubt
}

// doubts tells whether f is of a ServerHello after the first, which is not proved.
func (c *Conn) doubts(epoch uint16, f fragment) bool {
	return epoch == 0 && c.unproved() && f.seq+1 == c.in.next
}

// unproved tells whether a ServerHello is believed, and no record has opened yet.
func (c *Conn) unproved() bool {
	return c.hs13 != nil && c.hs13.offer != nil && c.hand != nil
}

// proved: a record has opened.
func (c *Conn) proved() {
	if c.unproved() {
		c.hs13.offer, c.hs13.hello, c.doubt = nil, nil, nil
		c.hs.transcript = c.hs.transcript[:0]
	}
}

// repeatedHello takes a fragment of a ServerHello after the first.
func (c *Conn) repeatedHello(now mono.Time, seq uint64, f fragment) error {
	d := c.question()
	if err := d.in.add(0, f); err != nil {
		return err
	}
	m, whole := d.in.peek(0)
	if !whole {
		return nil
	}
	d.in.restart(f.seq)
	if !c.known(m.raw) {
		return c.believeToo(now, m)
	}
	// Whose keys are right has its records opened. A server that repeats its hello,
	// and records that do not open, has heard another ClientHello than was sent, and
	// nothing will change that.
	if d.failed && recordNumber(seq) > d.newest {
		d.newest, d.failed = recordNumber(seq), false
		d.repeats++
	}
	if d.repeats == maxDoubts {
		c.writeEpoch = 0                             // it opens nothing of ours
		c.settle(fatal(AlertBadRecordMAC, ErrHello)) // RFC 9147 §4.5.2
	}
	return ErrUnexpected
}

// known tells whether a ServerHello has been heard before.
func (c *Conn) known(raw []byte) bool {
	for i := range c.doubt.others {
		if bytes.Equal(c.doubt.others[i].raw, raw) {
			return true
		}
	}
	return bytes.Equal(c.hs13.hello, raw)
}

// believeToo takes another ServerHello for possible. One that is not acceptable
// ends nothing: the other may be the server's.
func (c *Conn) believeToo(now mono.Time, m message) error {
	d := c.doubt
	sh, ok := parseServerHello(m.body())
	if !ok || len(d.others) == maxBeliefs-1 || sh.selected != VersionDTLS13 || sh.retry() {
		return ErrUnexpected
	}
	old := c.belief()
	c.state, c.agreed = ConnectionState{}, agreement{}
	if c.onServerHello13(now, m, &sh) != nil {
		c.adopt(old)
		return ErrUnexpected
	}
	d.others = append(d.others, old)
	return nil
}

// belief is the current one.
func (c *Conn) belief() belief {
	return belief{c.hs13.hello, *c.hs13, c.hand, c.state, c.agreed}
}

// adopt makes b the current one.
func (c *Conn) adopt(b belief) {
	*c.hs13, c.hand, c.state, c.agreed = b.hs, b.hand, b.state, b.agreed
}

// openHand opens a record of the handshake's epoch.
func (c *Conn) openHand(dst, rec []byte) (n int, typ uint8, err error) {
	if n, typ, err = c.hand.Open(dst, rec); err == nil {
		c.proved()
		return n, typ, nil
	}
	if !c.unproved() {
		return n, typ, err
	}
	d := c.question()
	for _, b := range d.others {
		if n, typ, err := b.hand.Open(dst, rec); err == nil {
			c.adopt(b)
			c.proved()
			return n, typ, nil
		}
	}
	d.failed = true
	return n, typ, err
}
