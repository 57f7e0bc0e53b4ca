package ice

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// Checks can carry the datagrams of a handshake that would otherwise wait until
// a pair works (draft-hancke-webrtc-sped): each Binding request and success
// response has room for one. The receiver acknowledges what it got, by CRC-32,
// in the messages it sends anyway. What authenticates a check authenticates what
// it carries.

// Attributes, with the numbers in use; the draft has not got its own yet.
const (
	attrCarried    stun.Attr = 0xc070 // one datagram, or empty: nothing to say, but understood
	attrCarriedAck stun.Attr = 0xc071 // CRC-32s of what came, oldest first
)

// CarryState is how far the carrying of datagrams is.
type CarryState uint8

// States.
const (
	CarryOff     CarryState = iota // not configured, not agreed on, given up, or unknown to the peer
	CarryOffered                   // nothing has been heard from the peer yet
	CarryAgreed                    // the peer's messages have the attributes
	CarryEnding                    // EndCarry: only the last flight waits for its acknowledgement
	CarryDone
)

var carryStateNames = [...]string{"off", "offered", "agreed", "ending", "done"}

func (s CarryState) String() string {
	if int(s) < len(carryStateNames) {
		return carryStateNames[s]
	}
	return "invalid"
}

// CarryStats counts datagrams in checks and their answers.
type CarryStats struct {
	State        CarryState
	Sent         uint64 // messages that had one, repetitions included
	Acknowledged uint64
	Received     uint64 // events EventCarried
	Duplicates   uint64 // came again, and were acknowledged again
	Malformed    uint64 // attributes of a wrong length, or with something else than DTLS
	Withheld     uint64 // messages that had none because of MaxBlind
}

// carriage is what an agent with Config.Carry knows of it.
type carriage struct {
	flight  uint32 // counts them
	pending []carried
	heard   []uint32 // CRC-32s of the peer's, oldest first, at most maxHeard
	blind   int      // bytes that may go to where nobody has proved to be
	until   mono.Time
	stats   CarryStats
}

// carried is a datagram of the flight that is not acknowledged.
type carried struct {
	b      []byte
	crc    uint32
	bit    uint16
	direct mono.Time // when the owner sent it without us; 0: not
}

// pairCarry is what has been carried on a pair.
type pairCarry struct {
	flight uint32
	mask   uint16 // bits of its datagrams
	at     mono.Time
	proved bool // the peer has shown that it receives there
}

// sends reports whether our requests have the attributes.
func (c *carriage) sends() bool {
	return c != nil && (c.stats.State == CarryOffered || c.stats.State == CarryAgreed ||
		c.stats.State == CarryEnding && len(c.pending) > 0)
}

// listens reports whether the attributes mean something to us.
func (c *carriage) listens() bool {
	return c != nil && c.stats.State != CarryOff && c.stats.State != CarryDone
}

// Carrying reports whether the owner should give its datagrams to Carry: until
// EndCarry or StopCarry, or until a message of the peer's shows that it knows
// nothing of it.
func (a *Agent) Carrying() bool {
	return a.carry != nil && (a.carry.stats.State == CarryOffered || a.carry.stats.State == CarryAgreed)
}

// CarryMTU is the length of the longest datagram that is carried, in bytes, at
// least 600: what leaves a check of MaxCarryPacket bytes all its attributes.
func (a *Agent) CarryMTU() int {
	const fixed = stun.HeaderLen + 4 + 12 + 4 + 8 + (4 + 4*maxAcks) + 4 + 24 + 8
	name := len(a.gen.username)
	if name == 0 {
		name = maxUfrag + 1 + len(a.gen.localUfrag)
	}
	return (MaxCarryPacket - fixed - (name+3)&^3) &^ 3
}

// Carry replaces what is carried by a flight of datagrams, in order, which are
// copied. Only DTLS is (first byte 20 to 63), of at most CarryMTU bytes, and at
// most MaxCarryFlight datagrams; others are for the owner to send alone. Path
// tells that the owner has a path of its own: what Carry returns then is to be
// sent on it, and is not carried again at once. It is all of the flight but what
// goes in answers that wait for Transmit. An empty flight changes nothing.
func (a *Agent) Carry(now mono.Time, flight [][]byte, path bool) (direct [][]byte) {
	c := a.carry
	switch {
	case len(flight) == 0:
		return nil
	case !c.listens() && path:
		return flight
	case !c.listens():
		return nil
	}
	c.flight++
	c.pending = make([]carried, 0, min(len(flight), MaxCarryFlight))
	for _, b := range flight {
		if n := len(c.pending); n < MaxCarryFlight && isDTLS(b) && len(b) <= MaxCarryPacket {
			c.pending = append(c.pending, carried{b: slices.Clone(b), crc: crc32.ChecksumIEEE(b), bit: 1 << n})
		} else if path {
			direct = append(direct, b)
		}
	}
	if path {
		direct = append(a.spare(now), direct...)
	}
	a.step(now)
	return direct
}

// spare gives the datagrams that no answer about to leave takes: the owner sends
// them.
func (a *Agent) spare(now mono.Time) (list [][]byte) {
	c, taken := a.carry, a.taken(now)
	for i := range c.pending {
		if d := &c.pending[i]; taken&d.bit == 0 {
			d.direct = now
			list = append(list, d.b)
		}
	}
	return list
}

// taken is the datagrams that answers about to leave take, on the pair where they
// are the most.
func (a *Agent) taken(now mono.Time) (most uint16) {
	if !a.carry.listens() {
		return 0
	}
	for _, pr := range a.pairs {
		if mask := a.dueCarried(now, pr, a.carriers(pr, false)); bits.OnesCount16(mask) > bits.OnesCount16(most) {
			most = mask
		}
	}
	return most
}

// isDTLS is RFC 9443 §3's test of a first byte.
func isDTLS(b []byte) bool { return len(b) > 0 && b[0] >= 20 && b[0] <= 63 }

// Carried gives the datagrams that are not acknowledged, for an owner that has
// got a path of its own to send them on, but for those that go in answers which
// wait for Transmit; they are not carried again at once. It works when the peer
// turned out to know nothing of it, too, and then forgets them. The datagrams
// must not be changed.
func (a *Agent) Carried(now mono.Time) (list [][]byte) {
	c := a.carry
	if c == nil {
		return nil
	}
	list = a.spare(now)
	if c.stats.State == CarryOff {
		c.pending = nil
	}
	return list
}

// HeardDirectly tells of a datagram of the peer's that came on its own: it is
// acknowledged like those in checks. It reports whether it is new.
func (a *Agent) HeardDirectly(b []byte) bool {
	return !a.carry.listens() || !isDTLS(b) || a.carry.hear(crc32.ChecksumIEEE(b))
}

// hear remembers a datagram of the peer's; news tells that it was not known.
func (c *carriage) hear(crc uint32) (news bool) {
	if slices.Contains(c.heard, crc) {
		return false
	}
	if len(c.heard) == maxHeard {
		c.heard = slices.Delete(c.heard, 0, 1)
	}
	c.heard = append(c.heard, crc)
	return true
}

// EndCarry says that the handshake is complete. keep tells that our flight is
// its last one: it is carried until it is acknowledged, for endingCarry at most.
func (a *Agent) EndCarry(now mono.Time, keep bool) {
	c := a.carry
	if !a.Carrying() {
		return
	}
	if !keep {
		c.pending = nil
	}
	c.stats.State, c.until = CarryEnding, now.Add(endingCarry)
	a.step(now)
}

// StopCarry ends it at once: the descriptions have not agreed on it, or the
// handshake has failed.
func (a *Agent) StopCarry() {
	if a.carry.listens() {
		a.carry.end(CarryOff)
	}
}

// end forgets everything, but keeps what is pending for Carried if the peer
// knows nothing of it.
func (c *carriage) end(s CarryState) {
	if c.stats.State != CarryOffered {
		c.pending = nil
	}
	c.stats.State, c.heard = s, nil
}

// stepCarry starts checks for what of the flight has not gone out yet: those of
// a handshake with post-quantum keys are longer than one datagram. When there is
// a path that works, the rest is the owner's.
func (a *Agent) stepCarry(now mono.Time) {
	c := a.carry
	if c == nil {
		return
	}
	if c.stats.State == CarryEnding && now >= c.until {
		c.end(CarryDone)
	}
	if !c.sends() || !a.checks() || a.state == StateFailed {
		return
	}
	pr := a.carrier()
	if pr == nil {
		return
	}
	due := bits.OnesCount16(a.dueCarried(now, pr, MaxCarryFlight))
	for n := a.carriers(pr, true); now >= a.ahead(burstTriggered) && due > n && len(a.txs) < MaxTransactions; n++ {
		a.check(now, pr)
		a.take(now)
	}
}

// carrier is the pair on which the rest of a flight goes: where the peer was
// heard last, else the best one that has been asked. nil: none, or there is a
// path.
func (a *Agent) carrier() (best *pair) {
	if a.selected != nil {
		return nil
	}
	for _, pr := range a.pairs {
		switch {
		case pr.validAt != 0:
			return nil
		case pr.firstRequest == 0 && pr.state != PairInProgress, pr.state == PairFailed:
		case best == nil, pr.heard > best.heard, pr.heard == best.heard && pr.priority > best.priority:
			best = pr
		}
	}
	return best
}

// carriers counts the answers, and the checks, about to leave that will carry
// something on pr.
func (a *Agent) carriers(pr *pair, checks bool) (n int) {
	path := pr.path()
	for i := a.outHead; i < len(a.out); i++ {
		o := &a.out[i]
		if o.kind == outSuccess && o.carry && o.path == path || checks && o.kind == outRequest && o.tx.pair == pr {
			n++
		}
	}
	return n
}

// dueCarried is the datagrams that should go out on pr, and can: the first most of
// them.
func (a *Agent) dueCarried(now mono.Time, pr *pair, most int) (due uint16) {
	c, room := a.carry, a.CarryMTU()
	budget, mask := c.blind, pr.carry.sent(c, now, a.cfg.RTO)
	for i := range c.pending {
		d := &c.pending[i]
		if mask&d.bit != 0 || d.fresh(now, a.cfg.RTO) || len(d.b) > room {
			continue
		}
		if budget -= len(d.b); most == 0 || budget < 0 && !pr.carry.proved {
			break
		}
		due |= d.bit
		most--
	}
	return due
}

// fresh reports whether the owner sent d less than rto ago.
func (d *carried) fresh(now mono.Time, rto time.Duration) bool {
	return d.direct != 0 && now < d.direct.Add(rto)
}

// sent is the datagrams of the flight that need not go again: all of them have
// gone, less than rto ago, or some have.
func (p *pairCarry) sent(c *carriage, now mono.Time, rto time.Duration) uint16 {
	all := uint16(0)
	for i := range c.pending {
		all |= c.pending[i].bit
	}
	if p.flight != c.flight || p.mask&all == all && now >= p.at.Add(rto) {
		return 0
	}
	return p.mask
}

// appendCarried adds the attributes to a message on pr, which is nil where the
// peer is not known yet. limit is the room there is, in bytes.
//
// Deviates: RFC 8489 §6.2.1 repeats a request as it was. One that carries
// something carries what is missing now; who has acted on it acts on nothing of
// it again, and what it carries has numbers of its own.
func (a *Agent) appendCarried(now mono.Time, m *stun.Builder, pr *pair, limit int) {
	c := a.carry
	acks := c.heard[max(0, len(c.heard)-maxAcks):]
	var list [4 * maxAcks]byte
	for i, crc := range acks {
		binary.BigEndian.PutUint32(list[4*i:], crc)
	}
	const tail = 24 + 8 // MESSAGE-INTEGRITY and FINGERPRINT
	room := limit - len(m.Bytes()) - tail - (4 + 4*len(acks)) - 4
	if room < 0 {
		return
	}
	m.Raw(attrCarriedAck, list[:4*len(acks)])
	m.Raw(attrCarried, a.nextCarried(now, pr, room))
}

// nextCarried picks what goes on pr, nil if there is nothing to be said.
func (a *Agent) nextCarried(now mono.Time, pr *pair, room int) []byte {
	c := a.carry
	if pr == nil || len(c.pending) == 0 {
		return nil
	}
	mask := pr.carry.sent(c, now, a.cfg.RTO)
	for i := range c.pending {
		d := &c.pending[i]
		if mask&d.bit != 0 || d.fresh(now, a.cfg.RTO) || len(d.b) > room {
			continue
		}
		if !pr.carry.proved {
			if c.blind < len(d.b) {
				c.stats.Withheld++
				return nil
			}
			c.blind -= len(d.b)
		}
		pr.carry.flight, pr.carry.mask, pr.carry.at = c.flight, mask|d.bit, now
		c.stats.Sent++
		return d.b
	}
	return nil
}

// pairOf finds the pair of a path, nil if there is none.
func (a *Agent) pairOf(p Path) *pair {
	r, b := a.findRemote(p.Remote), a.baseFor(p.Local, p.Remote)
	if r == nil || b == nil {
		return nil
	}
	return a.findPair(b, r)
}

// carries reports whether m has an attribute of ours.
func carries(m stun.Message) bool {
	_, data := m.Get(attrCarried)
	_, acks := m.Get(attrCarriedAck)
	return data || acks
}

// receiveCarried takes the attributes of an authentic message of this
// generation. It is the last to look at the message: what it reports comes from
// an address that has been reported as valid.
func (a *Agent) receiveCarried(m stun.Message, p Path) {
	c := a.carry
	if !c.listens() {
		return
	}
	if !carries(m) {
		switch c.stats.State {
		case CarryOffered:
			// The peer ignores what it does not know (RFC 8489 §14).
			c.end(CarryOff)
		case CarryEnding:
			c.end(CarryDone)
		}
		return
	}
	if c.stats.State == CarryOffered {
		c.stats.State = CarryAgreed
	}
	if acks, ok := m.Get(attrCarriedAck); ok {
		a.takeAcks(acks, p)
	}
	data, _ := m.Get(attrCarried)
	switch {
	case len(data) == 0:
	case !isDTLS(data):
		c.stats.Malformed++
	case len(a.events)-a.eventHead >= MaxEvents:
		a.drops.Events++ // unacknowledged, so that it comes again
	case !c.hear(crc32.ChecksumIEEE(data)):
		c.stats.Duplicates++
	default:
		c.stats.Received++
		a.emit(Event{Kind: EventCarried, Path: p, Data: slices.Clone(data)})
	}
}

// takeAcks forgets what the peer has got. Who knows the CRC-32 of something
// that was sent to p has received it there: our random numbers are in it.
func (a *Agent) takeAcks(acks []byte, p Path) {
	c := a.carry
	if len(acks)%4 != 0 {
		c.stats.Malformed++
		return
	}
	for n := 0; len(acks) > 0 && n < maxAcksRead; acks, n = acks[4:], n+1 {
		crc := binary.BigEndian.Uint32(acks)
		i := slices.IndexFunc(c.pending, func(d carried) bool { return d.crc == crc })
		if i < 0 {
			continue
		}
		if pr := a.pairOf(p); pr != nil && pr.carry.flight == c.flight && pr.carry.mask&c.pending[i].bit != 0 {
			pr.carry.proved = true
		}
		c.stats.Acknowledged++
		c.pending = slices.Delete(c.pending, i, i+1)
	}
}

// carryCredit lets more go to who has sent an authentic request of n bytes, as
// RFC 9147 §5.1 lets a server.
func (a *Agent) carryCredit(n int) {
	if a.carry != nil {
		a.carry.blind = min(a.carry.blind+3*n, MaxBlind)
	}
}

func (a *Agent) carryTimeout(t *earliest) {
	if a.carry != nil && a.carry.stats.State == CarryEnding {
		t.add(a.carry.until)
	}
}
