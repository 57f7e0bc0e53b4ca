package main

import (
	"math"
	"testing"
)

func TestSteerCases(t *testing.T) {
	for path, want := range map[string]steerCase{
		"shards/1":                 {kind: "shards", what: "1"},
		"shards/2over1":            {kind: "shards", what: "2over1"},
		"cost/ufrag/2sockets":      {"cost", "ufrag", 2},
		"balance/64flows/4sockets": {"balance", "64flows", 4},
	} {
		if got, err := parseSteer(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"shards", "shards/3", "shards/2/2sockets", "cost/flow", "cost/hash/2sockets", "cost/flow/1sockets",
		"cost/flow/9sockets", "cost/flow/xsockets", "cost/flow/2", "balance/65flows/2sockets", "turn/flow/2sockets", ""} {
		if _, err := parseSteer(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	s := steerScenario()
	for _, path := range s.cases {
		c, err := parseSteer(path)
		if err != nil {
			t.Error(err)
		}
		want := kernelHash.name
		if c.kind == "shards" {
			want = pionMux.name
		}
		if c.peer() != want {
			t.Errorf("%s is against %s", path, c.peer())
		}
	}
	for _, p := range s.peers {
		if p.version() == "" {
			t.Errorf("%s has no version", p.name)
		}
	}
}

// What other processes took is given back; what threads waited for each other
// is not.
func TestRateOfAStretch(t *testing.T) {
	for _, c := range []struct {
		name string
		s    stretch
		cpus int
		want float64
	}{
		{"alone on its processor", stretch{packets: 1000, wall: 1, run: 1}, 1, 1000},
		{"half of it taken by others", stretch{packets: 500, wall: 1, run: 0.5, wait: 0.5}, 1, 1000},
		{"two threads in the way of each other", stretch{packets: 1000, wall: 1, run: 1, wait: 0.8}, 1, 1000},
		{"two processors", stretch{packets: 2000, wall: 1, run: 2}, 2, 2000},
		{"two, of which one is half taken", stretch{packets: 1500, wall: 1, run: 1.5, wait: 0.5}, 2, 2000},
		{"two behind one lock", stretch{packets: 1000, wall: 1, run: 1}, 2, 1000},
		{"nothing ran", stretch{packets: 1000, wall: 1}, 1, 0},
		{"no time", stretch{packets: 1000, run: 1}, 1, 0},
	} {
		if got := c.s.rate(c.cpus); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
