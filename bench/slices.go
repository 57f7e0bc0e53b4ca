package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// A contender does the same work as its rivals, in its own way.
type contender struct {
	name string
	// prepare makes ready for one run; its time does not count.
	prepare func()
	// run works through a fixed number of operations, which it returns.
	run func() int
	// turn, instead of these, lets another process work for d, warm, and
	// returns its nanoseconds per operation.
	turn func(d time.Duration) (float64, error)
}

// sliceTime is how long a contender works, counted time alone, before the next
// one's turn. The neighbour on the same core changes its mood more slowly.
const sliceTime = 200 * time.Microsecond

// interleave lets the contenders work in turns and returns, for each, the
// nanoseconds per operation of every round. Collection of garbage happens
// between the rounds and is nobody's cost.
func interleave(cs []contender, rounds int) [][]float64 {
	all, err := turns(cs, rounds)
	must(err) // nobody here is in another process
	return all
}

// remoteTime is how long another process works at a time: a slice and as much
// again several times over what the change of processes costs.
const remoteTime = 5 * sliceTime

// warmTime is how long a contender works uncounted before its slice: caches,
// branch predictors and the units for wide vectors, which the processor switches
// off while others take their turn, are then as in steady work.
const warmTime = 100 * time.Microsecond

// turns is interleave with contenders in other processes.
func turns(cs []contender, rounds int) ([][]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer pprof.SetGoroutineLabels(context.Background())
	ctx := make([]context.Context, len(cs))
	for i, c := range cs {
		ctx[i] = pprof.WithLabels(context.Background(), pprof.Labels("contender", c.name))
		if c.turn == nil {
			slice(c, 0) // warms caches, branch predictors and tables
		}
	}
	clock := clockCost()
	all := make([][]float64, len(cs))
	for round := range rounds {
		for k := range cs {
			i := (k + round) % len(cs) // nobody is always first
			pprof.SetGoroutineLabels(ctx[i])
			if c := cs[i]; c.turn != nil {
				ns, err := c.turn(remoteTime)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				all[i] = append(all[i], ns)
			} else {
				warm(c)
				all[i] = append(all[i], slice(c, clock))
			}
		}
		if round%8 == 7 {
			runtime.GC()
		}
	}
	return all, nil
}

// warm lets c work for warmTime.
func warm(c contender) {
	for t := time.Now(); time.Since(t) < warmTime; {
		once(c)
	}
}

// once does one run that nobody counts.
func once(c contender) {
	if c.prepare != nil {
		c.prepare()
	}
	c.run()
}

// slice returns the nanoseconds per operation of one turn.
func slice(c contender, clock time.Duration) float64 {
	var spent time.Duration
	n := 0
	for spent < sliceTime {
		if c.prepare != nil {
			c.prepare()
		}
		t := time.Now()
		n += c.run()
		spent += max(time.Since(t)-clock, 1)
	}
	return float64(spent) / float64(n)
}

// clockCost is what reading the clock twice adds to an interval.
func clockCost() time.Duration {
	least := time.Hour
	for range 200 {
		t := time.Now()
		least = min(least, time.Since(t))
	}
	return least
}

// allocs counts a contender's allocations per operation, rounded down as
// package testing does.
func allocs(c contender) int {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	count, n := uint64(0), 0
	for i := range 6 {
		if c.prepare != nil {
			c.prepare()
		}
		runtime.ReadMemStats(&before)
		k := c.run()
		runtime.ReadMemStats(&after)
		if i > 0 { // the first run fills what is kept
			n += k
			count += after.Mallocs - before.Mallocs
		}
	}
	return int(count / uint64(n))
}
