package dataplane

import "github.com/sluicertc/sluice/internal/mono"

// timers is a binary heap of deadlines whose entries carry their own place,
// so that setting one costs no allocation and at most log n steps. It belongs
// to one lane.
type timers[T timed] struct{ heap []T }

type timed interface{ timerNode() *timerNode }

// timerNode is an entry's deadline, zero when it is not in the heap, and its
// place plus one.
type timerNode struct {
	at    mono.Time
	place int
}

// next is the earliest deadline, zero if there is none.
func (h *timers[T]) next() mono.Time {
	if len(h.heap) == 0 {
		return 0
	}
	return h.heap[0].timerNode().at
}

// pop removes and returns an entry that is due.
func (h *timers[T]) pop(now mono.Time) (t T, ok bool) {
	if len(h.heap) == 0 || h.heap[0].timerNode().at > now {
		return t, false
	}
	t = h.heap[0]
	h.set(t, 0)
	return t, true
}

// set moves an entry to another deadline; zero removes it.
func (h *timers[T]) set(t T, at mono.Time) {
	n := t.timerNode()
	n.at = at
	switch {
	case at == 0 && n.place == 0:
		return
	case at == 0:
		i, last := n.place-1, len(h.heap)-1
		h.swap(i, last)
		var none T
		h.heap[last] = none // or the array keeps it alive
		h.heap = h.heap[:last]
		n.place = 0
		if i < last {
			h.fix(i)
		}
	case n.place == 0:
		h.heap = append(h.heap, t)
		n.place = len(h.heap)
		h.fix(n.place - 1)
	default:
		h.fix(n.place - 1)
	}
}

// advance moves an entry to an earlier deadline and leaves it where it is
// otherwise.
func (h *timers[T]) advance(t T, at mono.Time) {
	if n := t.timerNode(); at != 0 && (n.at == 0 || at < n.at) {
		h.set(t, at)
	}
}

func (h *timers[T]) less(i, j int) bool {
	return h.heap[i].timerNode().at < h.heap[j].timerNode().at
}

func (h *timers[T]) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].timerNode().place, h.heap[j].timerNode().place = i+1, j+1
}

// fix restores the order around place i.
func (h *timers[T]) fix(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		c := 2*i + 1
		if c >= len(h.heap) {
			return
		}
		if c+1 < len(h.heap) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
