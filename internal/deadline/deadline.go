// Package deadline has deadlines for the net.Conns of this library: a time that
// may be moved while somebody waits for it. It does not wait itself.
package deadline

import (
	"sync"
	"time"
)

// Deadline is a point in time as a channel that is closed when it has come. The
// zero value is never. Its methods are for any goroutine.
type Deadline struct {
	mu    sync.Mutex
	ch    chan struct{} // nil: nobody has asked yet
	count int           // how often it was set: a timer of an earlier time does nothing
	timer *time.Timer
}

// Set changes it; the zero time means never. Whoever waits for one that has not
// come waits for the new one.
func (d *Deadline) Set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ch == nil || closed(d.ch) {
		d.ch = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(d.ch)
		return
	}
	count := d.count
	d.timer = time.AfterFunc(wait, func() { d.come(count) })
}

// come closes the channel for the timer that was set by call count.
func (d *Deadline) come(count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == count {
		close(d.ch)
	}
}

// Wait returns what is closed when the deadline has come. Ask again after each
// wait: a deadline that has come and was set anew has another channel.
func (d *Deadline) Wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	return d.ch
}

// Past reports whether it has come.
func (d *Deadline) Past() bool { return closed(d.Wait()) }

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
