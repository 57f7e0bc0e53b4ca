package srtp

// estimate is the packet index, of 48 bits, that a packet with this sequence
// number most probably has (RFC 3711 §3.3.1 and appendix A), where ahead is one
// more than the highest index authenticated, or 0 if there was none. It never
// falls when ahead grows.
//
// Deviates: where the appendix would take the rollover counter below zero it
// stays zero. No packet has an index before the first, so that this is a leap
// forward, or a forgery.
func estimate(ahead uint64, seq uint16) uint64 {
	if ahead == 0 {
		return uint64(seq)
	}
	const half = 1 << 15
	roc, last, n := (ahead-1)>>16, int(uint16(ahead-1)), int(seq)
	if last < half {
		if n-last > half && roc > 0 {
			roc--
		}
	} else if last-half > n {
		roc++
	}
	return roc<<16 | uint64(seq)
}
