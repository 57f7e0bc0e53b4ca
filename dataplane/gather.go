package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// gather lets the packets of a video frame that has not wholly arrived wait for
// the rest of it: each receiver then gets one run instead of two. It waits only
// while the shard is loaded, for delay at most, and less and less often where
// the rest did not come in time, as with senders that pace themselves.
// Data lane.
type gather struct {
	delay  time.Duration // longest wait; not above zero: none
	loaded bool
	from   mono.Time // of the window that tells whether the shard is loaded
	sent   uint64    // packets that had left when it began
	held   int       // packets that wait
	until  mono.Time // when the first of them is due; zero: none wait
}

// patience is a burst's wait, and what the waits before it were good for.
type patience struct {
	until mono.Time // zero: the burst does not wait
	from  int       // packets it had when it began to
	held  int       // packets whose cells are kept
	vain  uint8     // waits in a row that nothing came of
	skip  uint8     // bursts that do not wait for that reason
}

// note takes the shard's load from the packets it has sent so far.
func (g *gather) note(now mono.Time, sent uint64) {
	length := now.Sub(g.from)
	if length < gatherWindow {
		return
	}
	g.loaded = float64(sent-g.sent) >= gatherRate*length.Seconds()
	g.from, g.sent = now, sent
}

// divide parts the streams that have a burst into those that forward it now and
// those that wait.
func (s *Shard) divide(now mono.Time) {
	s.gather.note(now, s.count.rtpOut.Load())
	s.gather.until = 0
	all := append(s.waiting, s.dirty...)
	s.dirty, s.waiting = s.dirty[:0], all[:0]
	for _, st := range all {
		if s.waits(now, st) {
			s.waiting = append(s.waiting, st)
		} else {
			s.dirty = append(s.dirty, st)
		}
	}
	clear(all[len(s.waiting):]) // or the array keeps streams alive
}

// waits decides whether st's burst is left for a later turn, and keeps its
// packets in that case.
func (s *Shard) waits(now mono.Time, st *Stream) bool {
	p := &st.patience
	n := len(st.burst)
	whole := st.burst[n-1].v.Marker || n >= gatherEnough
	if p.until == 0 {
		switch {
		case whole || s.gather.delay <= 0 || !s.gather.loaded || !st.cfg.Video || len(st.legs)+gatherLegs*len(st.mirrors) < gatherLegs:
			return false
		case p.skip > 0:
			p.skip--
			return false
		case !s.keepCells(st):
			return false
		}
		p.until, p.from = now.Add(s.gather.delay), n
		bump(&s.count.burstWaits, 1)
	} else {
		if now >= p.until || whole || !s.keepCells(st) {
			if n > p.from {
				bump(&s.count.burstGains, 1)
			}
			p.learn(n > p.from)
			return false
		}
	}
	if s.gather.until == 0 || p.until < s.gather.until {
		s.gather.until = p.until
	}
	return true
}

// learn doubles the bursts that do not wait with each wait in vain.
func (p *patience) learn(gained bool) {
	if gained {
		p.vain = 0
		return
	}
	p.vain = min(p.vain+1, gatherVain)
	p.skip = 1<<p.vain - 1
}

// keepCells keeps the cells of st's burst beyond this turn: all, or none that
// are not kept yet where a packet lies elsewhere or too many wait already. A
// cell of the current batch that is kept needs a free one in its place.
func (s *Shard) keepCells(st *Stream) bool {
	p := &st.patience
	fresh := st.burst[p.held:]
	if s.gather.held+len(fresh) > gatherPackets || len(s.slab.free) < s.holding+len(fresh) {
		return false
	}
	for i := range fresh {
		if fresh[i].cell < 0 {
			return false
		}
	}
	for i := range fresh {
		cell := fresh[i].cell
		if s.slab.refs[cell] == 0 {
			s.holding++
		}
		s.slab.refs[cell]++
	}
	s.gather.held += len(fresh)
	p.held = len(st.burst)
	return true
}

// letGo gives back, at the end of this turn, what keepCells kept.
func (s *Shard) letGo(st *Stream) {
	p := &st.patience
	for i := range p.held {
		s.borrowed = append(s.borrowed, st.burst[i].cell)
	}
	s.gather.held -= p.held
	p.held, p.until = 0, 0
}

// deadline is when the data lane has to look again, whatever comes.
func (s *Shard) deadline() mono.Time {
	at := s.timers.next()
	if g := s.gather.until; g != 0 && (at == 0 || g < at) {
		at = g
	}
	return at
}
