package dataplane

import "github.com/sluicertc/sluice/internal/mono"

// gate lets a bounded number of handshakes run at once on a lane: those that
// have begun finish before others begin. Were all of a storm to begin, each
// would wait for all others at every flight, and time out with them. Ctl lane.
type gate struct {
	places  int
	running []*Pass // in order of their beginning
	waiting []*Pass
	timer   *Timer
}

// Pass is a handshake's place in a lane's gate, or in the queue before it.
type Pass struct {
	lane  *Lane
	start func(now mono.Time)
	until mono.Time // when the place is given to another; zero: not begun
}

// Enter asks for a place among the handshakes of the lane. If there is one,
// ok is true; else start is called on the lane when there is one. A handshake gives its
// place back by Leave, or loses it after handshakeTurn, which does not end it:
// peers that have gone would keep others out. Ctl lane.
func (l *Lane) Enter(now mono.Time, start func(now mono.Time)) (p *Pass, ok bool) {
	p = &Pass{lane: l, start: start}
	g := &l.gate
	if len(g.running) >= g.places {
		g.waiting = append(g.waiting, p)
		return p, false
	}
	g.begin(now, p)
	return p, true
}

// Leave gives the place back, or leaves the queue. It may be called again, on a
// nil Pass too.
func (p *Pass) Leave(now mono.Time) {
	if p == nil {
		return
	}
	g := &p.lane.gate
	g.running, g.waiting = without(g.running, p), without(g.waiting, p)
	g.next(now)
}

func (g *gate) begin(now mono.Time, p *Pass) {
	p.until = now.Add(handshakeTurn)
	g.running = append(g.running, p)
	g.timer.Set(g.running[0].until)
}

// next gives free places to those that wait.
func (g *gate) next(now mono.Time) {
	for len(g.waiting) > 0 && len(g.running) < g.places {
		p := g.waiting[0]
		g.waiting = without(g.waiting, p)
		g.begin(now, p)
		p.lane.Post(p.start)
	}
}

// expire takes the places of those that have had theirs for long enough.
func (g *gate) expire(now mono.Time) {
	for len(g.running) > 0 && g.running[0].until <= now {
		g.running = without(g.running, g.running[0])
	}
	if len(g.running) > 0 {
		g.timer.Set(g.running[0].until)
	}
	g.next(now)
}
