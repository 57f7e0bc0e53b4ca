package sockets

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// runs is what a receiver has besides where the kernel merges datagrams
// (UDP_GRO). A message's buffer holds one datagram; what a run has beyond that
// lands behind it. So a datagram that comes alone is where it belongs, and of a
// run all but the first are copied: some 40 ns each, where receiving each by
// itself costs ten times that.
type runs struct {
	landings [landings][]byte
	size     [landings]int // bytes of message i
	seg      [landings]int // of each of its datagrams; 0: it is one
	first    [landings]int // where its first datagram goes
	each     int           // datagrams of a message in the last read
	lost     bool          // a run was longer than its buffers
	off      bool          // nothing is merged any more

	// What was received beyond the caller's messages.
	bytes []byte
	list  []leftover
	next  int // in list
}

// leftover is a datagram in runs.bytes.
type leftover struct {
	m        Message // without its buffer
	from, to int
}

// merge has the kernel merge datagrams, where it can, and makes room for runs:
// outside of Go's heap, whose memory is cleared by writing to it.
func (r *receiver) merge(fd int) {
	if unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) != nil {
		return
	}
	slab, err := unix.Mmap(-1, 0, landings*landing, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
		return
	}
	// A read may be under way when the conn is closed.
	runtime.AddCleanup(r.c, func(b []byte) { _ = unix.Munmap(b) }, slab)
	r.runs = &runs{each: 1}
	for i := range landings {
		b := slab[i*landing : (i+1)*landing]
		r.runs.landings[i] = b
		r.iovs[i][1].Base = &b[0]
		r.iovs[i][1].SetLen(len(b))
		r.hs[i].hdr.SetIovlen(2)
	}
}

// single ends it, where it does not work. What the kernel has merged already is
// lost; what is kept for the next read is not.
func (r *receiver) single(fd uintptr) {
	// The option was set before, so it is known here.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 0)
	r.c.stats.groFallbacks.Add(1)
	r.runs.lost, r.runs.off = false, true
	for i := range landings {
		r.hs[i].hdr.SetIovlen(1)
	}
}

// headers is how many of k to ask for so that, with runs as long as the last
// ones, about k datagrams come.
func (u *runs) headers(k int) int { return max(min(k/u.each, landings), 1) }

// count is how many datagrams message i has.
func (u *runs) count(i int) int {
	if u.seg[i] == 0 {
		return 1
	}
	return (u.size[i] + u.seg[i] - 1) / u.seg[i]
}

// part returns datagram j of message i, whose beginning is in head.
func (u *runs) part(i, j int) (from, to int) {
	if u.seg[i] == 0 {
		return 0, u.size[i]
	}
	from = j * u.seg[i]
	return from, min(from+u.seg[i], u.size[i])
}

// copy copies bytes of message i, whose beginning is in head, to dst.
func (u *runs) copy(dst, head []byte, i, from int) {
	n := 0
	if from < len(head) {
		n = copy(dst, head[from:])
		from += n
	}
	if n < len(dst) {
		copy(dst[n:], u.landings[i][from-len(head):])
	}
}

// split gives each datagram of n messages received a message of its own, in
// order, and returns how many datagrams there were and how many messages are
// filled. Those without a message are kept for the next read.
func (r *receiver) split(n int) (datagrams, filled int) {
	u, ms := r.runs, r.ms
	for i := range n {
		u.first[i] = datagrams
		datagrams += u.count(i)
	}
	for i := range n {
		for j := max(len(ms)-u.first[i], 0); j < u.count(i); j++ {
			from, to := u.part(i, j)
			u.keep(&ms[i], i, from, to)
		}
	}
	// From the end: a datagram never goes to a message before its own, so
	// nothing is overwritten that is still to be moved.
	for i := n - 1; i >= 0; i-- {
		m := ms[i]
		head := m.Buf[:cap(m.Buf)]
		for j := min(u.count(i), len(ms)-u.first[i]) - 1; j >= 0; j-- {
			from, to := u.part(i, j)
			at := u.first[i] + j
			dst := r.fit(ms[at].Buf, to-from)
			if at != i {
				u.copy(dst, head, i, from)
			}
			ms[at] = m
			ms[at].Buf = dst
		}
	}
	return datagrams, min(datagrams, len(ms))
}

// fit cuts a buffer to size, or to nothing where that is more than it has.
func (r *receiver) fit(b []byte, size int) []byte {
	if size > cap(b) {
		r.c.stats.truncated.Add(1)
		size = 0
	}
	return b[:size]
}

// keep stores bytes of message i for the next read.
func (u *runs) keep(m *Message, i, from, to int) {
	l := leftover{m: *m, from: len(u.bytes), to: len(u.bytes) + to - from}
	head := m.Buf[:cap(m.Buf)]
	if from < len(head) {
		k := min(to, len(head))
		u.bytes = append(u.bytes, head[from:k]...)
		from = k
	}
	if from < to {
		u.bytes = append(u.bytes, u.landings[i][from-len(head):to-len(head)]...)
	}
	l.m.Buf = nil
	u.list = append(u.list, l)
}

// take fills ms with what is kept, and returns how many messages that took.
func (r *receiver) take(ms []Message) (n int) {
	u := r.runs
	for ; n < len(ms) && u.next < len(u.list); n++ {
		l := &u.list[u.next]
		u.next++
		dst := r.fit(ms[n].Buf, l.to-l.from)
		copy(dst, u.bytes[l.from:l.to])
		ms[n] = l.m
		ms[n].Buf = dst
	}
	if u.next == len(u.list) {
		u.bytes, u.list, u.next = u.bytes[:0], u.list[:0], 0
	}
	return n
}
