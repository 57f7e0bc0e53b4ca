package dataplane

import (
	"context"
	"runtime/pprof"
	"strconv"
	"sync/atomic"

	"github.com/sluicertc/sluice/internal/mono"
)

// Stage is a part of the walk of a packet.
type Stage uint8

// The stages, with the steps of the walk that ARCHITECTURE.md numbers. The
// first, reading, is the kernel's time and waiting, which a profile tells.
const (
	StageReceive Stage = iota // 2 to 5: demultiplex, open, parse, account
	StageRoute                // 6: headers for each receiver
	StageProtect              // 7: encryption
	StageSend                 // 8: the kernel
	StageOther                // updates, timers, feedback, data channels
	NumStages
)

var stageNames = [NumStages]string{"receive", "route", "protect", "send", "other"}

func (s Stage) String() string { return stageNames[s] }

// StageStats are what a sample of the turns spent in a stage.
type StageStats struct {
	Packets     uint64 // that went through it, in the turns of the sample
	Nanoseconds uint64
}

// stageClock measures every sampleTurns-th turn, by switching from one stage to
// the next. Data lane, save for the sums, which anyone may read.
type stageClock struct {
	turn    uint32
	on      bool
	stage   Stage
	since   mono.Time
	packets [NumStages]atomic.Uint64
	ns      [NumStages]atomic.Uint64
}

// begin starts a turn.
func (c *stageClock) begin() {
	c.turn++
	if c.on = c.turn%sampleTurns == 0; c.on {
		c.stage, c.since = StageOther, mono.Now()
	}
}

// enter leaves the stage that is being measured, which it returns, for another.
func (c *stageClock) enter(s Stage, packets int) (before Stage) {
	if !c.on {
		return s
	}
	now := mono.Now()
	before = c.stage
	bump(&c.ns[before], int(now.Sub(c.since)))
	bump(&c.packets[s], packets)
	c.stage, c.since = s, now
	return before
}

// end ends the turn.
func (c *stageClock) end() {
	c.enter(StageOther, 0)
	c.on = false
}

// label marks the goroutine in profiles.
func label(shard int, lane string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("shard", strconv.Itoa(shard), "lane", lane)))
}
