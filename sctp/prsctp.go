package sctp

import "github.com/sluicertc/sluice/internal/mono"

// Partial reliability, the sender's side: RFC 3758 §3.5.

// expired reports whether a message may not be sent any more, now that sends
// copies of some fragment are gone.
func (m *message) expired(now mono.Time, sends uint32) bool {
	switch m.policy {
	case Rexmit:
		return sends > m.limit
	case Timed:
		return now.After(m.expires)
	}
	return false
}

// retire abandons the message of a chunk just marked for retransmission if
// its policy does not allow another.
func (a *Association) retire(now mono.Time, c *sentChunk) {
	if a.peer.forwardTSN && !c.msg.gone && c.msg.expired(now, c.sends) {
		a.abandon(now, c.msg)
	}
}

// abandon gives a message up: all its fragments, sent or not (RFC 3758 §3.5
// A3). It must be the first of its stream's queue if any of it is unsent.
func (a *Association) abandon(now mono.Time, m *message) {
	t := &a.tx
	a.stats.MessagesAbandoned++
	a.rc.check = true // its stream may have drained
	if m.sent < len(m.data) {
		s := t.streams[m.sid]
		rest := len(m.data) - m.sent
		if !m.quiet {
			s.buffered -= rest
		}
		if m.sent > 0 {
			// The peer may have everything sent so far. One more TSN, which is
			// never sent, lets FORWARD TSN say that no end will come.
			m.last = t.add(now, sentChunk{msg: m, acked: true})
			m.refs++
		}
		t.dequeue(s)
		a.bufferedLow(s, m, rest)
	}
	if m.sent > 0 {
		for tsn := m.first; tsnLessEq(tsn, m.last); tsn++ {
			if t.contains(tsn) && t.at(tsn).msg == m { // others may lie between
				t.settle(tsn)
			}
		}
	}
	t.forget(m)
}

// forget notes that a message will never be delivered.
func (t *sender) forget(m *message) {
	m.gone = true
	t.cost -= m.cost
	m.cost = 0
	t.unrank(m)
}

// unrank notes that a message occupies nothing any more.
func (t *sender) unrank(m *message) {
	if m.policy == Prioritized {
		t.ranks.live--
	}
}

// advancePeerAck moves Advanced.Peer.Ack.Point over abandoned chunks, C1 to
// C3, and asks for a FORWARD TSN if it is ahead of the cumulative TSN.
func (a *Association) advancePeerAck() {
	t := &a.tx
	if !a.peer.forwardTSN {
		return
	}
	if tsnLess(t.advanced, t.base-1) {
		t.advanced = t.base - 1
	}
	for t.contains(t.advanced+1) && t.at(t.advanced+1).msg.gone {
		t.advanced++
	}
	t.forwardDue = tsnLess(t.base-1, t.advanced)
}

// appendForwardChunk writes the FORWARD TSN due, of at most room bytes. Where
// the streams to name do not fit, it stops short: the next SACK brings the rest.
func (a *Association) appendForwardChunk(b []byte, room int) []byte {
	t := &a.tx
	t.forwardDue = false
	typ, size := typeForwardTSN, 4
	if a.peer.interleave {
		typ, size = typeIForwardTSN, 8
	}
	most := (room - 8) / size
	cum := t.base - 1
	list := a.skipped[:0]
	var prev *message
	for tsn := t.base; tsnLessEq(tsn, t.advanced); tsn++ {
		m := t.at(tsn).msg
		if m != prev && (!m.unordered || a.peer.interleave) {
			if i := findSkip(list, m); i >= 0 {
				if int32(m.mid-list[i].mid) > 0 || !a.peer.interleave {
					list[i].mid = m.mid
				}
			} else if len(list) == most {
				break
			} else {
				list = append(list, skip{m.sid, m.unordered, m.mid})
			}
		}
		cum, prev = tsn, m
	}
	a.skipped = list
	a.stats.ForwardTSNs++
	return appendForward(b, typ, cum, list)
}

func findSkip(list []skip, m *message) int {
	for i := range list {
		if list[i].sid == m.sid && list[i].unordered == m.unordered {
			return i
		}
	}
	return -1
}
