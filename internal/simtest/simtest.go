// Package simtest runs two sans-IO endpoints against each other on virtual
// time, over two netem links. It knows nothing of what they say.
package simtest

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/netem"
)

// Endpoint is what a core shows of itself here: four of the five verbs. Its
// events are read by World.Drain.
type Endpoint interface {
	HandlePacket(now mono.Time, b []byte) error
	HandleTimeout(now mono.Time)
	Timeout() mono.Time
	Transmit(now mono.Time, b []byte) int
}

// Epoch is the virtual instant at which a World begins.
const Epoch = mono.Time(time.Hour)

// World is two endpoints and the links between them. Links[0] leads from
// Ends[0] to Ends[1].
type World struct {
	Now   mono.Time
	Ends  [2]Endpoint
	Links [2]*netem.Link

	// Drain, if set, is called for an endpoint after each input, before its
	// output is taken: the place to read events.
	Drain func(end int)
	// Tap, if set, sees each packet as it leaves.
	Tap func(from int, b []byte)
	// Burst, if set, delivers all packets of one instant before draining.
	Burst bool
	// Steps counts the instants at which something happened.
	Steps int

	buf [2048]byte
}

// New makes a world at Epoch.
func New(a, b Endpoint, ab, ba netem.Config) *World {
	return &World{Now: Epoch, Ends: [2]Endpoint{a, b}, Links: [2]*netem.Link{netem.New(ab), netem.New(ba)}}
}

// Flush reads the events of both endpoints and sends what they have to say.
// Call it after calling an endpoint directly.
func (w *World) Flush() {
	w.flush(0)
	w.flush(1)
}

func (w *World) flush(end int) {
	for range 1 << 20 {
		if w.Drain != nil {
			w.Drain(end)
		}
		n := w.Ends[end].Transmit(w.Now, w.buf[:])
		if n == 0 {
			return
		}
		if w.Tap != nil {
			w.Tap(end, w.buf[:n])
		}
		w.Links[end].Push(w.Now, w.buf[:n])
	}
	panic("simtest: an endpoint never stops transmitting")
}

// Step advances to the next instant at which something happens and lets it
// happen. It reports false, and stays where it is, when that lies after until
// or nothing will ever happen.
func (w *World) Step(until mono.Time) bool {
	next := mono.Time(0)
	for i := range 2 {
		next = mono.Earliest(next, w.Links[i].Next())
		next = mono.Earliest(next, w.Ends[i].Timeout())
	}
	if next == 0 || next > until {
		return false
	}
	w.Now = max(w.Now, next)
	w.Steps++
	for i := range 2 {
		w.deliver(1 - i)
		if at := w.Ends[i].Timeout(); at != 0 && at <= w.Now {
			w.Ends[i].HandleTimeout(w.Now)
			w.flush(i)
		}
	}
	return true
}

// deliver hands over what has arrived at end.
func (w *World) deliver(end int) {
	any := false
	for {
		b, ok := w.Links[1-end].Pop(w.Now)
		if !ok {
			break
		}
		// What an endpoint thinks of a bad packet is its own business.
		_ = w.Ends[end].HandlePacket(w.Now, b)
		if any = true; !w.Burst {
			w.flush(end)
		}
	}
	if any {
		w.flush(end)
	}
}

// Run steps until done reports true, and reports whether it did within d of
// virtual time.
func (w *World) Run(d time.Duration, done func() bool) bool {
	until := w.Now.Add(d)
	w.Flush()
	for !done() {
		if !w.Step(until) {
			w.Now = max(w.Now, until)
			return done()
		}
	}
	return true
}

// Sleep runs for d of virtual time.
func (w *World) Sleep(d time.Duration) {
	until := w.Now.Add(d)
	w.Flush()
	for w.Step(until) {
	}
	w.Now = until
}
