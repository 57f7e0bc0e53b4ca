package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A steerCase is a path of the scenario, taken apart.
type steerCase struct {
	kind    string // shards, cost or balance
	what    string // shards: 1, 2 or 2over1; cost: flow or ufrag; balance: the number of flows
	sockets int    // cost and balance: of the group
}

const (
	steerFlows      = 64
	steerPublishers = 4
	steerViewers    = 64 // of each publisher
)

var (
	pionMux    = peer{name: "pion", version: module("github.com/pion/webrtc/v4")}
	kernelHash = peer{name: "kernel-hash", version: kernelRelease}
)

func kernelRelease() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}

func steerScenario() *scenario {
	return &scenario{
		name: "steer", children: true,
		about: "two shards against one, and what it costs and gives that the kernel steers by flow map",
		cases: []string{"shards/1", "shards/2", "shards/2over1", "cost/flow/2sockets", "cost/ufrag/2sockets", "balance/64flows/2sockets", "balance/64flows/4sockets"},
		// pion has a part in shards alone, kernel-hash in the others.
		peers:   []peer{pionMux, kernelHash},
		missing: fanoutMissing, measure: measureSteer,
	}
}

func parseSteer(path string) (c steerCase, err error) {
	parts := strings.Split(path, "/")
	bad := fmt.Errorf("%q is no case of steer", path)
	if len(parts) < 2 {
		return c, bad
	}
	c.kind, c.what = parts[0], parts[1]
	switch tail := parts[2:]; {
	case c.kind == "shards" && slices.Contains([]string{"1", "2", "2over1"}, c.what) && len(tail) == 0:
		return c, nil
	case c.kind == "cost" && (c.what == "flow" || c.what == "ufrag") && len(tail) == 1:
	case c.kind == "balance" && c.what == fmt.Sprint(steerFlows, "flows") && len(tail) == 1:
	default:
		return c, bad
	}
	number, okay := strings.CutSuffix(parts[2], "sockets")
	if c.sockets, err = strconv.Atoi(number); err != nil || !okay || c.sockets < 2 || c.sockets > 8 {
		return c, bad
	}
	return c, nil
}

// peer is who the case is compared with.
func (c steerCase) peer() string {
	if c.kind == "shards" {
		return pionMux.name
	}
	return kernelHash.name
}

// A stretch is what a server did while it was offered more than it can carry.
type stretch struct {
	packets   float64 // that arrived
	wall, run float64 // seconds: that passed, that its threads ran
	wait      float64 // seconds that they would have run, had a processor been free
	offered   float64 // packets, had all arrived
}

// busy is how many processors the server had work for, of those it may use.
func (s stretch) busy(cpus int) float64 { return min((s.run+s.wait)/s.wall, float64(cpus)) }

// rate is the packets a second that the server carries on processors of its
// own: what other processes took of them is given back. Threads that wait for
// each other are busy with nothing, and lower it.
func (s stretch) rate(cpus int) float64 {
	if !(s.run > 0) || !(s.wall > 0) {
		return 0
	}
	return s.packets / s.run * s.busy(cpus)
}
