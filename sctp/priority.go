package sctp

import "github.com/sluicertc/sluice/internal/mono"

// The priority policy of RFC 7496 §3.3: what matters least makes room for what
// matters more.

// ranking holds the messages which may have to make room, as a heap with the
// least important one first. Messages leave it when they are looked at and have
// been dealt with, or when those are the greater part.
type ranking struct {
	heap []*message
	live int // not acknowledged and not abandoned
}

func (r *ranking) less(i, j int) bool { return r.heap[i].limit > r.heap[j].limit }

func (r *ranking) add(m *message) {
	if r.live++; len(r.heap) > 2*r.live+64 {
		kept := r.heap[:0]
		for _, m := range r.heap {
			if m.cost > 0 {
				kept = append(kept, m)
			}
		}
		clear(r.heap[len(kept):])
		r.heap = kept
		for i := len(kept)/2 - 1; i >= 0; i-- {
			r.down(i)
		}
	}
	r.heap = append(r.heap, m)
	for i := len(r.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if !r.less(i, p) {
			return
		}
		r.heap[i], r.heap[p] = r.heap[p], r.heap[i]
		i = p
	}
}

func (r *ranking) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(r.heap) {
			return
		}
		if c+1 < len(r.heap) && r.less(c+1, c) {
			c++
		}
		if !r.less(c, i) {
			return
		}
		r.heap[i], r.heap[c] = r.heap[c], r.heap[i]
		i = c
	}
}

// pop returns the least important message if it matters less than value.
func (r *ranking) pop(value uint32) *message {
	for len(r.heap) > 0 {
		m := r.heap[0]
		if m.cost > 0 && m.limit <= value {
			return nil
		}
		last := len(r.heap) - 1
		r.heap[0], r.heap[last] = r.heap[last], nil
		r.heap = r.heap[:last]
		r.down(0)
		if m.cost > 0 {
			return m
		}
	}
	return nil
}

// makeRoom gives messages up until cost bytes fit into the send buffer, as long
// as there are any that matter less than value.
func (a *Association) makeRoom(now mono.Time, cost int, value uint32) {
	t := &a.tx
	for t.cost > 0 && t.cost+cost > a.sendLimit() {
		m := t.ranks.pop(value)
		switch {
		case m == nil:
			return
		case m.sent == 0:
			a.withdraw(m)
		case a.peer.forwardTSN:
			a.abandonNow(now, m)
		default: // the peer cannot be told to do without it
		}
	}
}

// withdraw gives up a message of which nothing was sent. It stays in its
// stream's queue, empty, until its turn comes.
func (a *Association) withdraw(m *message) {
	s, n := a.tx.streams[m.sid], len(m.data)
	a.stats.MessagesAbandoned++
	if !m.quiet {
		s.buffered -= n
	}
	m.data = nil
	a.tx.forget(m)
	a.bufferedLow(s, m, n)
}
