package dtlsnet

import (
	"sync"
	"time"
)

// deadline is a point in time as a channel that is closed when it has come.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{} // nil: as if open
}

// set changes it; zero means never. Whoever waits sees the change.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ch // it is running: let it close this channel and no other
	}
	d.timer = nil
	closed := d.ch != nil && isClosed(d.ch)
	if d.ch == nil || closed {
		d.ch = make(chan struct{})
	}
	ch := d.ch
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait > 0:
		d.timer = time.AfterFunc(wait, func() { close(ch) })
	default:
		close(ch)
	}
}

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
