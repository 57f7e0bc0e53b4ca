package dtls

// replayWords makes the window 256 records: a shard drains bursts of a hundred
// and more datagrams, which a NIC with several queues may have reordered.
const replayWords = 4

// replayWindow is the anti-replay window (RFC 6347 §4.1.2.6): a ring of bits
// indexed by sequence number, the highest number seen at its edge.
type replayWindow struct {
	top  uint64 // highest sequence number accepted, plus one; 0: none
	bits [replayWords]uint64
}

// fresh tells whether seq is neither too old nor seen.
func (w *replayWindow) fresh(seq uint64) bool {
	if seq >= w.top {
		return true
	}
	if (w.top-1)/64-seq/64 >= replayWords {
		return false
	}
	return w.bits[seq/64%replayWords]&(1<<(seq%64)) == 0
}

// accept marks seq, which must be fresh, as seen. The ring holds whole words, so
// the window behind the edge is between 193 and 256 numbers long.
func (w *replayWindow) accept(seq uint64) {
	if seq >= w.top {
		first, last := w.top/64, seq/64
		if w.top%64 != 0 {
			first++
		}
		if last-first >= replayWords && last >= first {
			w.bits = [replayWords]uint64{}
		} else {
			for i := first; i <= last; i++ {
				w.bits[i%replayWords] = 0
			}
		}
		w.top = seq + 1
	}
	w.bits[seq/64%replayWords] |= 1 << (seq % 64)
}
