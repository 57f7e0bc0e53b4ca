package load

// seenMax is how many packets of a stretch are counted: an hour of video.
const seenMax = 1 << 20

// seen are the packets of a stretch that a viewer has, by index from its first.
type seen []uint64

// add reports whether i was not there before; false beyond seenMax.
func (s *seen) add(i uint32) bool {
	if i >= seenMax {
		return false
	}
	for int(i/64) >= len(*s) {
		*s = append(*s, 0)
	}
	w, bit := &(*s)[i/64], uint64(1)<<(i%64)
	fresh := *w&bit == 0
	*w |= bit
	return fresh
}

func (s *seen) clear() { *s = (*s)[:0] }
