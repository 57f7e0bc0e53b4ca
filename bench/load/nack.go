package load

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// The figures of libwebrtc's receivers: a gap is asked for at once, and again
// after a round trip, which they take for 100 ms where nothing tells it.
const (
	nackAgain  = 100 * time.Millisecond
	nackTries  = 10
	nackListed = 1000
)

// A nacker finds out which packets of one stream are missing, and when to ask
// for them.
type nacker struct {
	started bool
	highest uint16
	missing []missing // in sending order
}

type missing struct {
	seq   uint16
	asked mono.Time
	tries int
}

// receive takes the number of a packet that arrived and appends to ask those
// to ask for now. It reports whether the packet had been asked for.
func (n *nacker) receive(now mono.Time, seq uint16, ask []uint16) ([]uint16, bool) {
	if !n.started {
		n.started, n.highest = true, seq
		return ask, false
	}
	if ahead := int16(seq - n.highest); ahead <= 0 {
		for i := range n.missing {
			if n.missing[i].seq == seq {
				n.missing = append(n.missing[:i], n.missing[i+1:]...)
				return ask, true
			}
		}
		return ask, false
	}
	for n.highest++; n.highest != seq; n.highest++ {
		if len(n.missing) == nackListed {
			n.missing = n.missing[:copy(n.missing, n.missing[1:])]
		}
		n.missing = append(n.missing, missing{n.highest, now, 1})
		ask = append(ask, n.highest)
	}
	return ask, false
}

// due appends what was asked for in vain and is asked for again. What was
// asked for often enough is given up.
func (n *nacker) due(now mono.Time, ask []uint16) []uint16 {
	kept := n.missing[:0]
	for _, m := range n.missing {
		if now.Sub(m.asked) >= nackAgain {
			if m.tries == nackTries {
				continue
			}
			m.asked, m.tries = now, m.tries+1
			ask = append(ask, m.seq)
		}
		kept = append(kept, m)
	}
	n.missing = kept
	return ask
}
