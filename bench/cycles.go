package main

import "time"

// adds is how many additions a pass of the chain makes.
const adds = 32

// coreGHz is the clock of the core that this thread is on, in cycles per
// nanosecond: additions of which each needs the one before take a cycle each on
// every processor since 2000. The time stamp counter would tell the nominal
// clock, and the operating system what it wished.
func coreGHz() float64 {
	const passes = 4000
	best, x := time.Hour, uint64(0)
	for range 16 {
		t := time.Now()
		x = chain(x, passes, 1) // not inlined, so it is no dead code
		best = min(best, time.Since(t))
	}
	return passes * adds / float64(best)
}

//go:noinline
func chain(x uint64, passes int, y uint64) uint64 {
	for range passes {
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
		x += y
		x ^= y
	}
	return x
}

// perPacket is what the table leaves out of a row about packets of size bytes:
// the same value in other units.
func perPacket(ns float64, size int, ghz float64) map[string]float64 {
	if !(ns > 0) {
		return nil
	}
	return map[string]float64{
		"packets_per_s": 1e9 / ns, "gb_per_s": float64(size) / ns, "cycles_per_byte": ns * ghz / float64(size),
	}
}
