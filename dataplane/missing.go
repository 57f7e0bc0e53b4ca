package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// missing is the list of sequence numbers that a stream waits for, ascending
// and bounded. Data lane.
type missing struct {
	list []lostPacket
}

type lostPacket struct {
	seq   int64
	since mono.Time
	asked mono.Time // zero: never
	tries int
}

func (m *missing) reset() { m.list = m.list[:0] }

// gap notes that the numbers from (inclusive) to (exclusive) were skipped. It
// reports false, and waits for none of them, when they are more than a
// retransmission should repair.
func (m *missing) gap(now mono.Time, from, to int64) bool {
	if to-from+int64(len(m.list)) > maxMissing {
		m.reset()
		return false
	}
	for seq := from; seq < to; seq++ {
		m.list = append(m.list, lostPacket{seq: seq, since: now})
	}
	return true
}

// found removes a number and reports whether it was missing.
func (m *missing) found(seq int64) bool {
	for i := range m.list {
		if m.list[i].seq == seq {
			m.list = append(m.list[:i], m.list[i+1:]...)
			return true
		}
	}
	return false
}

// ask appends to dst the numbers to request now, given the round-trip time,
// and forgets those that are not worth it any more. gaveUp reports whether
// any was forgotten.
func (m *missing) ask(dst []uint16, now mono.Time, rtt time.Duration) (seqs []uint16, gaveUp bool) {
	kept := m.list[:0]
	for _, p := range m.list {
		if p.tries >= nackTries || now.Sub(p.since) > nackAge {
			gaveUp = true
			continue
		}
		if p.asked == 0 || now.Sub(p.asked) >= max(rtt, nackInterval) {
			p.asked = now
			p.tries++
			dst = append(dst, uint16(p.seq))
		}
		kept = append(kept, p)
	}
	m.list = kept
	return dst, gaveUp
}
