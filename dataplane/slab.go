package dataplane

// slab is a shard's memory for received packets: fixed cells with headroom in
// front and tailroom behind, made once. Data lane.
type slab struct {
	pages pages // the cells, and what the shard keeps of streams
	mem   []byte
	free  []int32
	refs  []int32 // of each cell, how many shards still read it
}

func newSlab(cells int) *slab {
	s := &slab{free: make([]int32, cells), refs: make([]int32, cells)}
	s.pages.get(&s.mem, cells*cellSize)
	for i := range s.free {
		s.free[i] = int32(cells - 1 - i)
	}
	return s
}

// get takes a free cell, -1 when there is none.
func (s *slab) get() int32 {
	n := len(s.free)
	if n == 0 {
		return -1
	}
	c := s.free[n-1]
	s.free = s.free[:n-1]
	return c
}

// put returns a cell.
func (s *slab) put(c int32) {
	poison(s.buf(c))
	s.free = append(s.free, c)
}

// unref drops one reader of a cell and frees it with the last.
func (s *slab) unref(c int32) {
	if s.refs[c]--; s.refs[c] == 0 {
		s.put(c)
	}
}

// buf is the part of a cell that a datagram may fill. Its capacity excludes
// the tailroom.
func (s *slab) buf(c int32) []byte {
	at := int(c) * cellSize
	return s.mem[at+cellHeadroom : at+cellSize-cellTailroom : at+cellSize-cellTailroom]
}
