package dtlsnet

import (
	"sync"
	"time"
)

// deadline is a point in time as a channel that is closed when it has come.
type deadline struct {
	mu    sync.Mutex
	ch    chan struct{} // nil: nobody has asked yet
	count int           // how often it was set: a timer of an earlier time does nothing
	timer *time.Timer
}

// set changes it; zero means never. Whoever waits for one that has not come waits for
// the new one.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ch == nil || isClosed(d.ch) {
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
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.count == count {
			close(d.ch)
		}
	})
}

// wait returns what is closed when the deadline has come.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	return d.ch
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
