package sockets

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// pace decides between parking and sleeping. Each time a thread wakes costs as
// much as several datagrams. Where they come often it is cheaper to sleep for
// delay and find a few of them together than to be woken by each, and it keeps
// them waiting no longer than that.
type pace struct {
	delay     time.Duration // longest sleep; not above zero: none
	busy      bool
	eager     bool      // told not to sleep
	from      mono.Time // of the window
	parks     int       // in the window
	datagrams int
}

// windows is how many delays a window has.
const windows = 8

// sleep returns how long to sleep before the next read, where something is due
// after left, zero for nothing; zero: park.
func (p *pace) sleep(left time.Duration) time.Duration {
	// What is due sooner would be late: the runtime rounds short sleeps up.
	if !p.busy || p.eager || left > 0 && left < p.delay {
		return 0
	}
	return p.delay
}

// park takes note of a wait in the poller.
func (p *pace) park() { p.parks++ }

// arrive takes note of a read. Sleeping begins when the window had two parks or
// more for each delay, and ends when it had fewer than two datagrams for each.
func (p *pace) arrive(now mono.Time, datagrams int) {
	if p.delay <= 0 {
		return
	}
	p.datagrams += datagrams
	length := now.Sub(p.from)
	if length < windows*p.delay {
		return
	}
	seen := p.parks
	if p.busy {
		seen = p.datagrams
	}
	// A window that silence has lengthened says so by itself.
	p.busy = time.Duration(seen)*p.delay >= 2*length
	p.from, p.parks, p.datagrams = now, 0, 0
}
