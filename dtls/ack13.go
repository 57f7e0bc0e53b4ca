package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// spans is a set of bytes of a message, as sorted ranges that do not touch.
type spans [][2]int

// add puts [from, to) in. An empty range at 0 marks an empty message.
func (s *spans) add(from, to int) {
	at := 0
	for at < len(*s) && (*s)[at][1] < from {
		at++
	}
	end := at
	for end < len(*s) && (*s)[end][0] <= to {
		from, to = min(from, (*s)[end][0]), max(to, (*s)[end][1])
		end++
	}
	*s = slices.Replace(*s, at, end, [2]int{from, to})
}

// gap returns the first range at or behind off that is not in s; from is length
// when there is none.
func (s spans) gap(off, length int) (from, to int) {
	from = off
	for _, r := range s {
		if from < r[0] {
			return from, min(r[0], length)
		}
		from = max(from, r[1])
	}
	return min(from, length), length
}

// acknowledged tells whether the peer has the whole message.
func (m *outMessage) acknowledged() bool {
	return len(m.acked) == 1 && m.acked[0] == [2]int{0, len(m.raw) - messageHeaderLen}
}

// remember notes what a record holds.
func (f *flight) remember(p sentPart) {
	if len(f.sent) == maxSent {
		f.sent = slices.Delete(f.sent, 0, maxSent/4)
	}
	if f.sent == nil {
		f.sent = make([]sentPart, 0, 16)
	}
	f.sent = append(f.sent, p)
}

// acknowledge takes one record number of an ACK; it tells whether it was news.
func (f *flight) acknowledge(n recordNumber) (news bool) {
	for _, p := range f.sent {
		if p.number == n {
			m := &f.items[p.item]
			news = news || !m.acknowledged()
			m.acked.add(p.from, p.to)
		}
	}
	return news
}

func (f *flight) acknowledged() bool {
	return !slices.ContainsFunc(f.items, func(m outMessage) bool { return !m.acknowledged() })
}

// received notes a record of the peer's flight, to acknowledge it.
func (c *Conn) received(n recordNumber) {
	if slices.Contains(c.acks, n) {
		return
	}
	if len(c.acks) == maxACK {
		c.acks = slices.Delete(c.acks, 0, 1)
	}
	c.acks = append(c.acks, n)
}

// partial starts the timer after which a flight that is still incomplete is
// acknowledged as far as it has come (RFC 9147 §7.1).
func (c *Conn) partial(now mono.Time) {
	if c.ackAt == 0 && len(c.acks) > 0 {
		c.ackAt = now.Add(c.cfg.FlightInterval / 4)
	}
}

// acknowledge sends an ACK with the next Transmit.
func (c *Conn) acknowledge() { c.ackAt, c.ackDue = 0, len(c.acks) > 0 }

// ackPayload takes the ACK that is due, with the newest record numbers which fit
// into room bytes.
func (c *Conn) ackPayload(room int) []byte {
	k := min(len(c.acks), (room-2)/ackLen)
	if !c.ackDue || k <= 0 {
		return nil
	}
	c.ackDue = false
	b := appendACK(nil, c.acks[len(c.acks)-k:])
	if c.phase != phaseHandshake {
		c.acks = nil
	}
	return b
}

// transmitACK writes the ACK that is due: in the highest epoch we write, which is
// never below that of what it acknowledges (RFC 9147 §7).
func (c *Conn) transmitACK(b []byte) int {
	if !c.ackDue || !c.ours(c.writeEpoch) {
		return 0
	}
	r := c.layer(c.writeEpoch)
	payload := c.ackPayload(min(len(b)-r.overhead, r.MaxPlaintext()))
	if payload == nil {
		return 0
	}
	return c.putRecord(b, ContentACK, c.writeEpoch, payload)
}

// handleACK takes an authentic ACK. What it leaves open is sent at once, unless
// that has only just been done (RFC 9147 §7.2).
func (c *Conn) handleACK(now mono.Time, plain []byte) error {
	r := reader{b: plain}
	ack := r.bytes(len(plain) - numberLen)
	r.bytes(numberLen - 2)
	post := r.u16()
	if !r.done() || !numbersOf(ack, func(n recordNumber) {
		if n.epoch() < epochTraffic {
			c.out.acknowledge(n)
		}
	}) {
		return c.broken(malformed())
	}
	switch {
	case c.posting != 0 && post == c.nextSeq:
		if c.posting == typeKeyUpdate {
			c.writeEpoch++
		}
		c.posting = 0
		c.out.stop()
		c.postNext(now)
	case c.posting != 0 || len(c.out.items) == 0:
	case c.out.acknowledged():
		c.out.stop()
		c.hand = nil // the server is done with it, too
		c.postNext(now)
	case c.out.resendAt != 0 && c.out.again(now, c.cfg.FlightInterval/4):
		c.stats.Resent++
	}
	return nil
}
