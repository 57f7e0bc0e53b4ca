package dataplane

import "github.com/sluicertc/sluice/rtp"

// pad makes packets of st's burst that are nearly of one size equal, so that
// they share a run: encoders cut a frame into parts that differ by a few bytes.
// A packet grows by at most most bytes, and to no more than its run's largest
// has. Only packets that come for the first time are padded: what comes
// again, late or by retransmission, is to be what went out before, to the byte.
func (st *Stream) pad(most int) (added int) {
	burst := st.burst
	for from := 0; from < len(burst); {
		size := len(burst[from].v.Raw)
		low, to := size, from+1
		for ; to < len(burst); to++ {
			n := len(burst[to].v.Raw)
			if max(size, n)-min(low, n) > most {
				break
			}
			low, size = min(low, n), max(size, n)
		}
		// A shorter packet may end the run, so its last needs no padding, unless
		// one that is shorter still comes behind.
		last := to - 1
		if to < len(burst) && len(burst[to].v.Raw) < size {
			last = to
		}
		for i := from; i < min(last, to); i++ {
			added += burst[i].padTo(size)
		}
		from = max(to, last+1)
	}
	return added
}

// padTo pads the packet to size bytes, where it may be and has the room.
func (p *packet) padTo(size int) int {
	n := size - len(p.v.Raw)
	if n == 0 || !p.first || !p.v.SetPadding(uint8(n)) {
		return 0
	}
	return n
}

// unpad takes off what the source has padded: what padding there is from here
// on is the run's.
func unpad(v *rtp.View) {
	if v.Padding() > 0 {
		v.SetPadding(0)
	}
}
