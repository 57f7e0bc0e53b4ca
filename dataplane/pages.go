package dataplane

// pages is memory outside of the collected heap, for what is large, holds no
// pointers and ends when its owner says so: the collector lets garbage grow to
// the size of all that it counts as in use, so that a megabyte of cells on its heap
// costs two, touched or not. It is resident as far as it was touched, and
// GOMEMLIMIT does not count it. One goroutine at a time.
//
// What is given back keeps its address until close, as zeros where the system
// can: whoever reads it too late gets no fault and no other stream's packets.
type pages struct {
	used []*[]byte // owners
	idle [][]byte
}

// get points owner to size bytes, all zero.
func (p *pages) get(owner *[]byte, size int) {
	for i, b := range p.idle {
		if len(b) == size {
			p.idle[i] = p.idle[len(p.idle)-1]
			p.idle = p.idle[:len(p.idle)-1]
			*owner = b
			p.used = append(p.used, owner)
			return
		}
	}
	*owner = mapPages(size)
	p.used = append(p.used, owner)
}

// put takes back what owner has.
func (p *pages) put(owner *[]byte) {
	p.used = without(p.used, owner)
	dropPages(*owner)
	p.idle = append(p.idle, *owner)
	*owner = nil
}

// close ends all of it, and nobody may have it any more.
func (p *pages) close() {
	for _, owner := range p.used {
		unmapPages(*owner)
		*owner = nil
	}
	for _, b := range p.idle {
		unmapPages(b)
	}
	*p = pages{}
}

// release gives back the memory of a shard whose lanes have ended.
func (s *Shard) release() {
	for i := range s.msgs {
		s.msgs[i].Buf = nil
	}
	s.slab.pages.close()
	for _, q := range []*ctlQueue{s.ctlKnown, s.ctlHandshake, s.ctlUnknown} {
		q.pages.close()
		clear(q.cells)
	}
}
