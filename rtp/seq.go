package rtp

// SeqDiff returns how far a is ahead of b, modulo 2^16: positive if a is
// newer. Of two numbers 2^15 apart each is behind the other.
func SeqDiff(a, b uint16) int16 { return int16(a - b) }

// SeqLess reports whether a is older than b (RFC 3550 §A.1's arithmetic).
func SeqLess(a, b uint16) bool { return int16(a-b) < 0 }

// Unwrapper extends 16-bit sequence numbers to 64 bits. The zero value is
// ready; the first number stands for itself.
type Unwrapper struct {
	highest int64
	started bool
}

// Unwrap returns the 64-bit number nearest to the highest so far that ends in
// seq. It is below zero for a number older than the first that belongs before
// it.
func (u *Unwrapper) Unwrap(seq uint16) int64 {
	if !u.started {
		u.started, u.highest = true, int64(seq)
		return u.highest
	}
	n := u.highest + int64(SeqDiff(seq, uint16(u.highest)))
	u.highest = max(u.highest, n)
	return n
}
