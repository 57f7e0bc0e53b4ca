package srtp

// window is a replay window (RFC 3711 §3.3.2) in the form of RFC 6479: a ring
// of words, of which moving forward clears whole ones and shifts none. The
// index 0 is a valid one, so ahead is kept: one more than the highest index
// accepted, or 0 if there was none.
type window struct {
	ahead uint64
	seen  [windowWords]uint64
}

// fresh reports whether index was not accepted before and is not too old.
func (w *window) fresh(index uint64) bool {
	if index >= w.ahead {
		return true
	}
	return w.ahead-1-index < Window && w.seen[index/64%windowWords]>>(index%64)&1 == 0
}

// accept marks index, for which fresh holds.
func (w *window) accept(index uint64) {
	if index >= w.ahead {
		if w.ahead > 0 {
			word := (w.ahead - 1) / 64
			for n := min(index/64-word, windowWords); n > 0; n-- {
				word++
				w.seen[word%windowWords] = 0
			}
		}
		w.ahead = index + 1
	}
	w.seen[index/64%windowWords] |= 1 << (index % 64)
}

// next is accept for the index ahead.
func (w *window) next() {
	bit := uint64(1) << (w.ahead % 64)
	if bit == 1 {
		w.seen[w.ahead/64%windowWords] = 0
	}
	w.seen[w.ahead/64%windowWords] |= bit
	w.ahead++
}
