package sctp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/internal/mono"
)

// Transmit writes one packet into b and returns its length; 0: nothing more
// at this instant. b must hold Config.MTU bytes; packets are never longer than b, so
// that one as long as Config.MaxMTU lets that be reached. Call it until it returns 0, then read
// Event: sending may bring EventBufferedAmountLow.
func (a *Association) Transmit(now mono.Time, b []byte) int {
	a.pmtu.sent = false
	for a.outbox.len() > 0 {
		pkt, _ := a.outbox.pop()
		if len(pkt) <= len(b) {
			return a.sent(copy(b, pkt))
		}
		a.stats.OutputDropped++
	}
	switch a.state {
	case stateIdle, stateCookieWait, stateClosed:
		return 0
	case stateCookieEchoed:
		if !a.cookieDue { // §5.1 C: nothing else until COOKIE ACK
			return 0
		}
	}
	if len(b) < a.cfg.MTU {
		return 0
	}
	limit := min(a.pmtu.size, len(b))
	pkt := appendHeader(b[:0], header{a.cfg.LocalPort, a.cfg.RemotePort, a.peer.tag})
	if a.pmtu.due && a.state == stateEstablished {
		if a.pmtu.probe <= len(b) {
			pkt = a.pmtu.appendProbe(pkt, a.peer.pad)
			a.pmtu.sent = true
			if !a.peer.zeroSum {
				seal(pkt)
			}
			a.stats.PathProbes++
			return a.sent(len(pkt))
		}
		a.pmtu.most = len(b) &^ 3 // the lower layer takes no more
		a.pmtu.high = min(a.pmtu.high, a.pmtu.most)
		a.nextProbe(now)
	}
	cookie := a.cookieDue
	if cookie {
		a.cookieDue = false
		if headerLen+chunkHeaderLen+pad4(len(a.cookie)) > len(b) {
			a.stats.OutputDropped++
			return 0
		}
		pkt = appendChunk(pkt, typeCookieEcho, 0, a.cookie)
	}
	pkt = a.appendControl(pkt, limit)
	pkt = a.appendAcks(now, pkt, limit)
	pkt = a.appendMessages(now, pkt, limit)
	pkt = a.appendShutdown(pkt, limit)
	if len(pkt) == headerLen {
		return 0
	}
	if !a.peer.zeroSum || cookie { // RFC 9653 §5.2
		seal(pkt)
	}
	return a.sent(len(pkt))
}

func (a *Association) sent(n int) int {
	a.stats.PacketsSent++
	return n
}

// appendControl bundles queued chunks, COOKIE ACK first if there is one.
func (a *Association) appendControl(pkt []byte, limit int) []byte {
	for a.control.len() > 0 && len(*a.control.peek()) <= limit-len(pkt) {
		c, _ := a.control.pop()
		pkt = append(pkt, c...)
	}
	if a.rc.due && a.rc.resetLen() <= limit-len(pkt) {
		pkt = a.rc.appendReset(pkt)
	}
	return pkt
}

// appendAcks adds a SACK which is due, or which is delayed and can go along
// with DATA (RFC 9260 §6.2), and a FORWARD TSN.
func (a *Association) appendAcks(now mono.Time, pkt []byte, limit int) []byte {
	if a.state < stateEstablished || a.state == stateShutdownAckSent {
		return pkt
	}
	r := &a.rx
	if r.sackNow || (r.sackTimer != 0 && a.dataReady()) {
		if room := limit - len(pkt); room >= chunkHeaderLen+sackFixedLen {
			pkt = r.appendSackChunk(pkt, room)
		}
	}
	if a.tx.forwardDue && limit-len(pkt) >= 64 {
		pkt = a.appendForwardChunk(pkt, limit-len(pkt))
		a.tx.startT3(now, mono.Time(a.rto.rto))
		a.scheduleProbe(now)
	}
	return pkt
}

// appendShutdown adds SHUTDOWN or SHUTDOWN ACK.
func (a *Association) appendShutdown(pkt []byte, limit int) []byte {
	if !a.shutdownDue || limit-len(pkt) < 8 {
		return pkt
	}
	a.shutdownDue = false
	if a.state == stateShutdownAckSent {
		return appendChunk(pkt, typeShutdownAck, 0, nil)
	}
	start := len(pkt)
	pkt = binary.BigEndian.AppendUint32(beginChunk(pkt, typeShutdown, 0), a.rx.cum)
	return endChunk(pkt, start)
}

// mayResend reports whether a marked chunk may go out now.
func (a *Association) mayResend() bool {
	t := &a.tx
	if t.closed {
		return t.flight == 0
	}
	return t.tail.due || t.flight < a.cc.cwnd
}

// maySend reports whether n new bytes may go out now, RFC 9260 §6.1: within
// cwnd and the peer's window, or one chunk alone as a probe.
//
// Deviates: §6.1 D would limit bursts to 4 packets. With one SACK per burst
// that would be the rate; pacing limits them instead.
func (a *Association) maySend(n int) bool {
	t := &a.tx
	switch a.state {
	case stateEstablished, stateShutdownPending, stateShutdownReceived, stateCookieEchoed:
	default:
		return false
	}
	if t.count >= maxOutstanding {
		return false
	}
	return t.flight == 0 || ((t.tail.due || t.flight < a.cc.cwnd) && n <= t.peerWindow-t.flight-t.marked)
}

// dataReady reports whether the next packet will carry DATA.
func (a *Association) dataReady() bool {
	if _, c := a.tx.nextMarked(); c != nil {
		return a.mayResend()
	}
	_, m := a.tx.next()
	return m != nil && a.maySend(min(len(m.data)-m.sent, a.tx.maxFrag))
}

// appendMessages fills the packet with DATA: retransmissions first (§6.1 C).
func (a *Association) appendMessages(now mono.Time, pkt []byte, limit int) []byte {
	t := &a.tx
	start := len(pkt)
	for limit-len(pkt) > t.head {
		room := limit - len(pkt) - t.head
		tsn, c := t.nextMarked()
		if c == nil {
			n := len(pkt)
			if pkt = a.appendNew(now, pkt, room); len(pkt) == n {
				break
			}
			continue
		}
		if c.msg.policy == Timed && a.peer.forwardTSN && c.msg.expired(now, 0) {
			a.abandonNow(now, c.msg)
			continue
		}
		if !a.mayResend() || pad4(int(c.n)) > room || (len(pkt) == start && !a.mayBurst(now) && !t.tail.due) {
			break
		}
		a.cc.sending(now, t.flight, a.rto.rto)
		if t.resent(now, tsn); c.sends > suspectSends {
			a.lostLong(now)
		}
		a.cc.sent(int(c.n), t.flight)
		a.spent(now, int(c.n))
		if t.closed {
			t.probe, t.probing = tsn, true
		}
		a.stats.Retransmissions++
		if tsn == t.base { // a new attempt for the earliest gets its full time
			t.t3 = 0
		}
		pkt = a.appendSent(pkt, tsn, c)
	}
	if len(pkt) > start {
		t.tail.due = false
		a.noticed(now, len(pkt))
		if a.state >= stateEstablished { // before that T1 watches
			t.startT3(now, mono.Time(a.rto.rto))
			a.scheduleProbe(now)
		}
		a.tryReset(now)
	}
	return pkt
}

func (a *Association) abandonNow(now mono.Time, m *message) {
	a.abandon(now, m)
	a.advancePeerAck()
	if a.tx.forwardDue {
		a.tx.startT3(now, mono.Time(a.rto.rto))
	}
	a.checkWritable()
}

// appendNew adds the next fragment of the next message, if it may go out and
// fits into room bytes of payload.
func (a *Association) appendNew(now mono.Time, pkt []byte, room int) []byte {
	t := &a.tx
	s, m := t.next()
	for m != nil {
		if m.gone { // has made room
			t.dequeue(s)
			a.rc.check = true
		} else if m.policy == Timed && m.expired(now, 0) && (m.sent == 0 || a.peer.forwardTSN) {
			a.abandonNow(now, m)
		} else {
			break
		}
		s, m = t.next()
	}
	if m == nil {
		a.progressShutdown(now)
		return pkt
	}
	left := len(m.data) - m.sent
	n := min(left, t.maxFrag)
	if left > n && left <= t.wholeFrag && t.pending == 1 && m.sent == 0 && pad4(left) <= room && a.maySend(left) {
		n = left // nothing else would use what fragments leave of the packet
	}
	if pad4(n) > room {
		// A message which is fragmented anyway may use the rest of a packet.
		if n = room &^ 3; left <= t.maxFrag || n < t.maxFrag/2 {
			return pkt
		}
	}
	if !a.maySend(n) || (len(pkt) == headerLen && !a.mayBurst(now) && !t.tail.due) {
		return pkt
	}
	c := sentChunk{msg: m, off: int32(m.sent), n: int32(n), sends: 1, flags: uint8(b2i(m.unordered)) * flagUnordered}
	if m.sent == 0 {
		if !m.cont {
			c.flags |= flagBegin
		}
		m.first = t.end()
		t.number(s, m)
	}
	c.fsn = m.fsn
	m.fsn++
	if t.tail.due {
		c.flags |= flagImmediate // RFC 8985 §7.2 has the probe's SACK at once
	}
	if m.more || m.cont {
		s.mid, s.fsn, s.middle = m.mid, m.fsn, m.more || m.sent+n < len(m.data)
	}
	if m.sent+n == len(m.data) && !m.more {
		c.flags |= flagEnd
		if s.queue.len() == 1 && (s.resetting || a.state != stateEstablished) {
			c.flags |= flagImmediate // RFC 7053 §5.1: the last for now
		}
	}
	a.cc.sending(now, t.flight, a.rto.rto)
	if t.flight == 0 && n > t.peerWindow {
		t.probe, t.probing = t.end(), true
	}
	tsn := t.add(now, c)
	a.cc.sent(n, t.flight)
	a.spent(now, n)
	m.last = tsn
	m.refs++
	t.taken(s, m, n)
	if s.resetting && s.drained() {
		a.rc.check = true
	}
	a.stats.ChunksSent++
	a.stats.BytesSent += uint64(n)
	a.bufferedLow(s, m, n)
	return a.appendSent(pkt, tsn, &c)
}

func (a *Association) appendSent(pkt []byte, tsn uint32, c *sentChunk) []byte {
	pkt = appendData(pkt, &dataChunk{
		flags: c.flags, idata: a.peer.interleave, tsn: tsn, sid: c.msg.sid, ssn: uint16(c.msg.mid),
		mid: c.msg.mid, fsn: c.fsn, ppid: c.msg.ppid,
		payload: c.msg.data[c.off : c.off+c.n],
	})
	a.tx.at(tsn).long = len(pkt) > a.pmtu.size-a.tx.maxFrag
	return pkt
}
