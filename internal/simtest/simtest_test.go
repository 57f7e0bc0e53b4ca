package simtest

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/netem"
)

// pinger answers each packet until it has seen enough, and repeats its last
// one each second.
type pinger struct {
	seen, limit int
	pending     bool
	timer       mono.Time
}

func (p *pinger) HandlePacket(now mono.Time, b []byte) error {
	p.seen++
	p.pending, p.timer = p.seen < p.limit, 0
	return nil
}
func (p *pinger) HandleTimeout(mono.Time) { p.pending, p.timer = true, 0 }
func (p *pinger) Timeout() mono.Time      { return p.timer }
func (p *pinger) Transmit(now mono.Time, b []byte) int {
	if !p.pending {
		return 0
	}
	p.pending, p.timer = false, now.Add(time.Second)
	return 1
}

func TestPingPongTakesTheDelayOfTheLinks(t *testing.T) {
	a, b := &pinger{limit: 10, pending: true}, &pinger{limit: 10}
	w := New(a, b, netem.Config{Delay: 10 * time.Millisecond}, netem.Config{Delay: 30 * time.Millisecond})
	if !w.Run(time.Minute, func() bool { return a.seen == 9 }) {
		t.Fatal("did not finish")
	}
	if got := w.Now.Sub(Epoch); got != 9*40*time.Millisecond {
		t.Fatalf("took %v", got)
	}
}

func TestTimersCarryOnOverALossyLink(t *testing.T) {
	a, b := &pinger{limit: 1000, pending: true}, &pinger{limit: 1000}
	w := New(a, b, netem.Config{Seed: 1, Loss: .5}, netem.Config{Seed: 2, Loss: .5})
	if !w.Run(time.Hour, func() bool { return a.seen >= 20 }) {
		t.Fatal("did not finish")
	}
	if w.Run(0, func() bool { return false }) {
		t.Fatal("Run reported what did not happen")
	}
}
