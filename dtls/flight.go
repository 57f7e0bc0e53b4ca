package dtls

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// outMessage is a message of a flight.
type outMessage struct {
	contentType uint8  // ContentHandshake or ContentChangeCipherSpec
	sealed      bool   // goes out in epoch 1
	raw         []byte // handshake: header and body, unfragmented
	off         int    // how much of the body has been sent
	done        bool
}

func handshakeOut(m message) outMessage {
	return outMessage{contentType: ContentHandshake, raw: m.raw}
}

// flight is what we said last: kept until the peer's answer is complete, and sent
// again as a whole when it does not come (RFC 6347 §4.2.4).
type flight struct {
	items    []outMessage
	interval time.Duration
	sentAt   mono.Time
	resendAt mono.Time // 0: no timer runs
}

func (f *flight) start(now mono.Time, interval time.Duration, items []outMessage) {
	*f = flight{items: items, interval: interval, sentAt: now, resendAt: now.Add(interval)}
}

// stop forgets the flight.
func (f *flight) stop() { *f = flight{} }

// rewind makes the whole flight pending. Messages keep their message_seq, while
// their records take new sequence numbers (RFC 6347 §4.2.2).
func (f *flight) rewind(now mono.Time) {
	for i := range f.items {
		f.items[i].off, f.items[i].done = 0, false
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
	f.interval = max(f.interval, min(2*f.interval, maxFlightInterval))
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
	n := c.transmitFlight(b)
	for len(c.alerts) > 0 && !c.handed {
		a := c.alerts[0]
		k := c.putRecord(b[n:], ContentAlert, c.sealing, []byte{a.level, uint8(a.desc)})
		if k == 0 {
			break
		}
		n += k
		c.alerts = c.alerts[1:]
	}
	return n
}

// transmitFlight fills b with records of what is pending, in order.
func (c *Conn) transmitFlight(b []byte) int {
	n := 0
	for i := range c.out.items {
		m := &c.out.items[i]
		for !m.done {
			if m.sealed && c.handed {
				break
			}
			k := c.transmitPart(b[n:], m, n == 0)
			if k == 0 {
				return n
			}
			n += k
		}
	}
	return n
}

// transmitPart writes one record with as much of m as fits, 0 if too little does.
func (c *Conn) transmitPart(b []byte, m *outMessage, first bool) int {
	if m.contentType != ContentHandshake {
		k := c.putRecord(b, m.contentType, m.sealed, m.raw)
		m.done = k > 0
		return k
	}
	left := len(m.raw) - messageHeaderLen - m.off
	room := len(b) - messageHeaderLen - headerLen
	if m.sealed {
		room -= RecordOverhead - headerLen
	}
	if room < 0 || (room < left && (room == 0 || !first && room < minFragment)) {
		return 0
	}
	part := min(left, room)
	at := messageHeaderLen + m.off
	f, _, _ := parseFragment(m.raw)
	f.offset, f.body = m.off, m.raw[at:at+part]
	k := c.putRecord(b, ContentHandshake, m.sealed, appendFragment(make([]byte, 0, messageHeaderLen+part), f))
	if k == 0 {
		return 0
	}
	m.off += part
	m.done = part == left
	return k
}

// putRecord writes one record to b, 0 if it does not fit or the sequence numbers
// are used up.
func (c *Conn) putRecord(b []byte, contentType uint8, sealed bool, payload []byte) int {
	if sealed {
		n, err := c.records.SealAs(b, contentType, payload)
		if err != nil {
			return 0
		}
		return n
	}
	n := headerLen + len(payload)
	if len(b) < n || c.seq0 > maxSequence {
		return 0
	}
	putHeader(b, contentType, c.seq0, len(payload))
	c.seq0++
	return headerLen + copy(b[headerLen:], payload)
}
