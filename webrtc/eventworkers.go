package webrtc

import (
	"sync/atomic"
	"time"
)

const (
	// workerLinger is how long goroutines that have drained a queue of events
	// wait for another one, and twice that at most. A new one would have to grow
	// its stack first, which costs as much as a tenth of what a message and its
	// answer do.
	workerLinger = 50 * time.Millisecond
	// maxIdleWorkers bounds those that wait, in the whole process.
	maxIdleWorkers = 16
)

var (
	eventWork   = make(chan *eventQueue) // taken by who waits; nil: end
	idleWorkers atomic.Int32
	workersUsed atomic.Bool // one that waited got something to do, since the last dismissal
	dismissing  atomic.Bool // dismissIdle will be called
)

// drainSoon drains q on another goroutine.
func drainSoon(q *eventQueue) {
	select {
	case eventWork <- q:
	default:
		go drainQueues(q)
	}
}

func drainQueues(q *eventQueue) {
	for {
		q.drain()
		if idleWorkers.Add(1) > maxIdleWorkers {
			idleWorkers.Add(-1)
			return
		}
		// One timer for all: a timer of its own for each wait would cost more
		// than the wait.
		if !dismissing.Load() && !dismissing.Swap(true) {
			time.AfterFunc(workerLinger, dismissIdle)
		}
		q = <-eventWork
		idleWorkers.Add(-1)
		if q == nil {
			return
		}
		if !workersUsed.Load() {
			workersUsed.Store(true)
		}
	}
}

// dismissIdle ends the goroutines that wait, if none of them has been needed
// since it was called before.
func dismissIdle() {
	if !workersUsed.Swap(false) {
		for range idleWorkers.Load() {
			select {
			case eventWork <- nil:
			default: // it has got something to do, or does not wait yet
			}
		}
	}
	dismissing.Store(false)
	if idleWorkers.Load() > 0 && !dismissing.Swap(true) {
		time.AfterFunc(workerLinger, dismissIdle)
	}
}
