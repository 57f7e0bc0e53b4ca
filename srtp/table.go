package srtp

// stream is the state of one source: its replay window, which holds the
// highest index and with it the rollover counter.
type stream struct {
	ssrc uint32
	used uint64 // the table's clock when it was last accepted
	// top is ahead of the window, except while a batch is in work: then it
	// is where ahead will be if all packets of the round authenticate.
	top uint64
	window
}

// table finds streams by their source: open addressing with linear probing,
// at most three quarters full. The zero value is empty.
type table struct {
	last  *stream // the last one found
	slots []*stream
	seed  uint64 // odd and secret, so that a peer cannot choose collisions
	shift uint8
	n     int
	clock uint64
}

const firstSlots = 4

// home is the slot a source would like to be in: multiplicative hashing.
func (t *table) home(ssrc uint32) int { return int(uint64(ssrc) * t.seed >> t.shift) }

// find returns the stream of a source, or nil.
func (t *table) find(ssrc uint32) *stream {
	if t.last != nil && t.last.ssrc == ssrc {
		return t.last
	}
	if t.n == 0 {
		return nil
	}
	mask := len(t.slots) - 1
	for i := t.home(ssrc); t.slots[i] != nil; i = (i + 1) & mask {
		if t.slots[i].ssrc == ssrc {
			t.last = t.slots[i]
			return t.last
		}
	}
	return nil
}

// add makes the stream of a source that has none.
func (t *table) add(ssrc uint32) *stream {
	if 4*(t.n+1) > 3*len(t.slots) {
		t.grow()
	}
	s := &stream{ssrc: ssrc}
	t.put(s)
	t.last = s
	t.n++
	return s
}

func (t *table) put(s *stream) {
	i, mask := t.home(s.ssrc), len(t.slots)-1
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]*stream, max(firstSlots, 2*len(old)))
	t.shift = 64
	for n := len(t.slots); n > 1; n >>= 1 {
		t.shift--
	}
	for _, s := range old {
		if s != nil {
			t.put(s)
		}
	}
}

// touch notes that s was accepted just now.
func (t *table) touch(s *stream) {
	t.clock++
	s.used = t.clock
}

// evict removes the stream that was not accepted for longest.
func (t *table) evict() {
	oldest, at := uint64(1<<64-1), -1
	for i, s := range t.slots {
		if s != nil && s.used <= oldest {
			oldest, at = s.used, i
		}
	}
	if at < 0 {
		return
	}
	if t.last == t.slots[at] {
		t.last = nil
	}
	// Close the gap: move up whoever would not be found past it.
	mask := len(t.slots) - 1
	for i := (at + 1) & mask; t.slots[i] != nil; i = (i + 1) & mask {
		if (i-t.home(t.slots[i].ssrc))&mask >= (i-at)&mask {
			t.slots[at] = t.slots[i]
			at = i
		}
	}
	t.slots[at] = nil
	t.n--
}
