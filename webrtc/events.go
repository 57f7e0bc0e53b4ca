package webrtc

import (
	"slices"
	"sync"
)

// eventQueue calls functions one at a time, in order, on a goroutine that
// lives while there are any.
type eventQueue struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

func (q *eventQueue) push(f func()) {
	q.mu.Lock()
	q.queue = append(q.queue, f)
	q.start()
}

// unshift queues f n times, before what waits.
func (q *eventQueue) unshift(f func(), n int) {
	if n == 0 {
		return
	}
	q.mu.Lock()
	q.queue = append(slices.Repeat([]func(){f}, n), q.queue...)
	q.start()
}

// start begins to drain if nobody does. It releases mu.
func (q *eventQueue) start() {
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
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
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.queue, q.running = nil, false
			q.mu.Unlock()
			done = true
			return
		}
		f := q.queue[0]
		q.queue[0] = nil
		q.queue = q.queue[1:]
		q.mu.Unlock()
		f()
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
