package dtls

// earlyQueue keeps what came too early: records of epoch 1 until there are keys
// for them (the packets of a flight may be reordered), then application data
// until hand-over. Its memory is bounded by maxEarlyRecords and maxEarlyBytes.
type earlyQueue struct {
	packets [][]byte
	bytes   int
	sealed  bool // packets are sealed records, not application data
}

// keep copies a packet in.
func (q *earlyQueue) keep(b []byte) error {
	if len(q.packets) == maxEarlyRecords || q.bytes+len(b) > maxEarlyBytes {
		return ErrBuffered
	}
	q.packets = append(q.packets, append([]byte(nil), b...))
	q.bytes += len(b)
	return nil
}

// takeSealed removes and returns the sealed records, if that is what there is.
func (q *earlyQueue) takeSealed() [][]byte {
	if !q.sealed {
		return nil
	}
	p := q.packets
	*q = earlyQueue{}
	return p
}

// pop copies the oldest packet to b, cut to its length, and removes it.
func (q *earlyQueue) pop(b []byte) int {
	if len(q.packets) == 0 {
		return 0
	}
	n := copy(b, q.packets[0])
	q.bytes -= len(q.packets[0])
	q.packets = q.packets[1:]
	return n
}

// EarlyData returns application data that arrived before hand-over, one record
// per call, in b (2^14 bytes hold any); 0: nothing more. It returns data after
// Connected only. At most 8 records are kept; others were dropped.
func (c *Conn) EarlyData(b []byte) int {
	if c.phase != phaseConnected {
		return 0
	}
	return c.early.pop(b)
}
