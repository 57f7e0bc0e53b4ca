package webrtc

import (
	"sync/atomic"
	"time"
)

const (
	// workerLinger is how long a goroutine that has drained a queue of events
	// waits for another one. A new one would have to grow its stack first, which
	// costs as much as a tenth of what a message and its answer do.
	workerLinger = 50 * time.Millisecond
	// maxIdleWorkers bounds those that wait, in the whole process.
	maxIdleWorkers = 16
)

var (
	eventWork   = make(chan *eventQueue) // taken by who waits
	idleWorkers atomic.Int32
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
	var late *time.Timer
	for q != nil {
		q.drain()
		if idleWorkers.Add(1) > maxIdleWorkers {
			idleWorkers.Add(-1)
			return
		}
		if late == nil {
			late = time.NewTimer(workerLinger)
			defer late.Stop()
		} else {
			late.Reset(workerLinger)
		}
		select {
		case q = <-eventWork:
		case <-late.C:
			q = nil
		}
		idleWorkers.Add(-1)
	}
}
