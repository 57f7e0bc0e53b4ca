package dtls

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// outMessage is a message of a flight.
type outMessage struct {
	contentType uint8  // ContentHandshake or ContentChangeCipherSpec
	epoch       uint16 // 0; 1 in DTLS 1.2; epochHandshake, or epochTraffic for whichever is current
	raw         []byte // handshake: header and body, unfragmented
	off         int    // how much of the body has been sent
	done        bool
	acked       spans // of the body; DTLS 1.3
}

func handshakeOut(m message, epoch uint16) outMessage {
	return outMessage{contentType: ContentHandshake, epoch: epoch, raw: m.raw}
}

// flight is what we said last: kept until the peer's answer is complete, and sent
// again when it does not come (RFC 6347 §4.2.4): as a whole, or in DTLS 1.3 what
// has not been acknowledged (RFC 9147 §7.2).
type flight struct {
	items    []outMessage
	sent     []sentPart // newest last, at most maxSent
	interval time.Duration
	most     time.Duration // that interval becomes
	sentAt   mono.Time
	resendAt mono.Time // 0: no timer runs
}

// sentPart is what went into a record.
type sentPart struct {
	number   recordNumber
	item     int
	from, to int // of the body
}

func (f *flight) start(now mono.Time, interval time.Duration, items []outMessage) {
	*f = flight{items: items, interval: interval, most: maxFlightInterval, sentAt: now, resendAt: now.Add(interval)}
	if interval >= time.Second {
		f.most = slowFlightInterval
	}
}

// stop forgets the flight.
func (f *flight) stop() { *f = flight{} }

// rewind makes all of the flight that is not acknowledged pending. Messages keep their message_seq, while
// their records take new sequence numbers (RFC 6347 §4.2.2).
func (f *flight) rewind(now mono.Time) {
	for i := range f.items {
		m := &f.items[i]
		m.off, m.done = 0, m.acknowledged()
	}
	f.sentAt = now
	if f.resendAt != 0 {
		f.resendAt = now.Add(f.interval)
	}
}

// expire repeats the flight when its timer has run out, and doubles the timer.
func (f *flight) expire(now mono.Time) bool {
	if f.resendAt == 0 || now.Before(f.resendAt) {
		return false
	}
	f.interval = max(f.interval, min(2*f.interval, f.most))
	f.rewind(now)
	return true
}

// again repeats the flight, unless it was sent less than quiet ago.
func (f *flight) again(now mono.Time, quiet time.Duration) bool {
	if len(f.items) == 0 || now.Sub(f.sentAt) < quiet {
		return false
	}
	f.rewind(now)
	return true
}

// Transmit writes one datagram into b and returns its length, at most the MTU; 0:
// nothing more. b should have room for the MTU. After hand-over it yields only
// records of epoch 0; see TransmitRecord for the others.
func (c *Conn) Transmit(now mono.Time, b []byte) int {
	b = b[:min(len(b), c.cfg.MTU)]
	if n := len(c.verify); n > 0 {
		if len(b) < n {
			return 0
		}
		copy(b, c.verify)
		c.verify = nil
		return n
	}
	n := c.transmitACK(b)
	n += c.transmitFlight(b[n:], n == 0)
	n += c.transmitPath(b[n:])
	for len(c.alerts) > 0 && !c.handed {
		a := c.alerts[0]
		k := c.putRecord(b[n:], ContentAlert, c.writeEpoch, []byte{a.level, uint8(a.desc)})
		if k == 0 {
			break
		}
		n += k
		c.alerts = c.alerts[1:]
	}
	return n
}

// ours tells whether records of an epoch are sealed here and not by the owner of
// Records.
func (c *Conn) ours(epoch uint16) bool {
	return !c.handed || epoch == 0 || epoch == epochHandshake
}

// layer returns the record layer of an epoch, nil for plaintext.
func (c *Conn) layer(epoch uint16) *Records {
	switch epoch {
	case 0:
		return nil
	case epochHandshake:
		return c.hand
	}
	return c.records
}

// transmitFlight fills b with records of what is pending, in order. first tells
// that they begin a datagram.
func (c *Conn) transmitFlight(b []byte, first bool) int {
	n := 0
	for i := range c.out.items {
		m := &c.out.items[i]
		for !m.done && c.ours(m.epoch) {
			k := c.transmitPart(b[n:], i, first && n == 0)
			if k == 0 {
				return n
			}
			n += k
		}
	}
	return n
}

// transmitPart writes one record with as much of message i as fits, 0 if too
// little does.
func (c *Conn) transmitPart(b []byte, i int, first bool) int {
	m := &c.out.items[i]
	if m.contentType != ContentHandshake {
		k := c.putRecord(b, m.contentType, m.epoch, m.raw)
		m.done = k > 0
		return k
	}
	overhead, most := headerLen, maxFragment
	var number recordNumber
	if r := c.layer(m.epoch); r != nil {
		overhead, most = r.overhead, r.MaxPlaintext()
		number = recordNumber(r.seal.epoch)<<48 | recordNumber(r.seal.next)
	} else {
		number = recordNumber(c.seq0)
	}
	length := len(m.raw) - messageHeaderLen
	from, to := m.acked.gap(m.off, length)
	room := min(len(b)-overhead, most) - messageHeaderLen
	if room < 0 || (room < to-from && (room == 0 || !first && room < minFragment)) {
		return 0
	}
	to = min(to, from+room)
	f, _, _ := parseFragment(m.raw)
	f.offset, f.body = from, m.raw[messageHeaderLen+from:messageHeaderLen+to]
	front := headerLen
	if r := c.layer(m.epoch); r != nil {
		front = r.headroom
	}
	k := c.putRecord(b, ContentHandshake, m.epoch, appendFragment(b[front:front], f))
	if k == 0 {
		return 0
	}
	if c.hs13 != nil || c.v13() { // nobody acknowledges records of DTLS 1.2
		c.out.remember(sentPart{number, i, from, to})
	}
	next, _ := m.acked.gap(to, length)
	m.off, m.done = next, next == length
	return k
}

// putRecord writes one record to b, 0 if it does not fit or the sequence numbers
// are used up.
func (c *Conn) putRecord(b []byte, contentType uint8, epoch uint16, payload []byte) int {
	if r := c.layer(epoch); r != nil {
		n, err := r.SealAs(b, contentType, payload)
		if err != nil {
			return 0
		}
		return n
	}
	if epoch != 0 {
		return 0 // never in the clear: its keys are gone
	}
	n := headerLen + len(payload)
	if len(b) < n || c.seq0 > maxSequence {
		return 0
	}
	putHeader(b, contentType, c.seq0, len(payload))
	c.seq0++
	return headerLen + copy(b[headerLen:], payload)
}
