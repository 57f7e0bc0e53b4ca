package webrtc

import (
	"sync"
	"sync/atomic"
)

// eventQueue calls functions one at a time, in order, on a goroutine that runs
// while there are any. Whoever adds one waits for nothing: the data lane does.
type eventQueue struct {
	in      atomic.Pointer[event] // added, the last one first
	running atomic.Bool           // somebody drains, or is about to

	// Events of messages for the data lane to use again: it alone takes them.
	free  atomic.Pointer[event]
	nfree atomic.Int32

	head, last *event // of who drains: in their order
}

// event is a function to call.
type event struct {
	next  *event
	f     func()
	dc    *DataChannel // without f: its next message is to be delivered
	times int          // above 0: f is called as often, before what waits
}

func (q *eventQueue) push(f func()) { q.add(&event{f: f}) }

// unshift queues f n times, before what waits.
func (q *eventQueue) unshift(f func(), n int) {
	if n > 0 {
		q.add(&event{f: f, times: n})
	}
}

// message queues the delivery of a message. Data lane.
func (q *eventQueue) message(dc *DataChannel) {
	e := q.free.Load()
	for e != nil && !q.free.CompareAndSwap(e, e.next) {
		e = q.free.Load()
	}
	if e == nil {
		e = new(event)
	} else {
		q.nfree.Add(-1)
	}
	e.dc = dc
	q.add(e)
}

func (q *eventQueue) add(e *event) {
	for {
		old := q.in.Load()
		e.next = old
		if q.in.CompareAndSwap(old, e) {
			break
		}
	}
	if !q.running.Swap(true) {
		drainSoon(q)
	}
}

func (q *eventQueue) drain() {
	done := false
	defer func() {
		if !done {
			go q.drain() // f has ended the goroutine (runtime.Goexit, as testing.T.FailNow does)
		}
	}()
	for {
		if f, dc := q.next(); f != nil {
			f()
		} else if dc != nil {
			dc.deliver()
		} else {
			q.running.Store(false)
			// Whoever has added something before that relies on us.
			if q.in.Load() == nil || q.running.Swap(true) {
				done = true
				return
			}
		}
	}
}

// next removes the first event; there is none when both results are nil.
func (q *eventQueue) next() (f func(), dc *DataChannel) {
	q.arrange()
	e := q.head
	if e == nil {
		return nil, nil
	}
	f, dc = e.f, e.dc
	if e.times > 1 {
		e.times--
		return f, nil
	}
	if q.head = e.next; q.head == nil {
		q.last = nil
	}
	if f == nil && q.nfree.Load() < maxFreeEvents {
		q.nfree.Add(1)
		e.dc = nil
		for {
			old := q.free.Load()
			e.next = old
			if q.free.CompareAndSwap(old, e) {
				break
			}
		}
	}
	return f, dc
}

// arrange puts what was added in its place.
func (q *eventQueue) arrange() {
	if q.in.Load() == nil {
		return
	}
	var added *event
	for e := q.in.Swap(nil); e != nil; {
		e, e.next, added = e.next, added, e
	}
	for e := added; e != nil; {
		next := e.next
		switch {
		case q.head == nil:
			q.head, q.last, e.next = e, e, nil
		case e.times > 0:
			q.head, e.next = e, q.head
		default:
			q.last.next, q.last, e.next = e, e, nil
		}
		e = next
	}
}

// handler holds an event handler, which may be set at any time.
type handler[T any] struct {
	mu sync.Mutex
	f  func(T)
}

func (h *handler[T]) set(f func(T)) {
	h.mu.Lock()
	h.f = f
	h.mu.Unlock()
}

func (h *handler[T]) call(v T) {
	h.mu.Lock()
	f := h.f
	h.mu.Unlock()
	if f != nil {
		f(v)
	}
}
