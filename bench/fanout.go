package main

import (
	"fmt"
	"os"
	"strings"
)

// A fanoutCase is a path of the scenario, taken apart.
type fanoutCase struct {
	kind    string
	viewers int
}

// baseBinary names an environment variable: the path of bench as built before
// a change. Its Sluice is then a peer too, so that a change can be judged in
// interleaved rounds.
const (
	baseBinary = "SLUICE_BENCH_BASE"
	basePeer   = "sluice-base"
)

func fanoutScenario() *scenario {
	pion := module("github.com/pion/webrtc/v4")
	s := &scenario{
		name: "fanout", about: "one publisher through a server to many viewers: server CPU per delivered packet, latency, memory",
		cases: []string{"video/1x50", "video/1x100", "audio/1x200"},
		quick: []string{"video/1x50"},
		peers: []peer{
			{name: "pion", version: pion},
			{name: "pion-bare", version: pion},
			{name: "floor-gso", version: func() string { return developing }},
			{name: "floor-sendto", version: goStdlib.version},
		},
		missing: fanoutMissing,
		measure: measureFanout,
	}
	if path := os.Getenv(baseBinary); path != "" {
		s.peers = append(s.peers, peer{name: basePeer, version: func() string { return path }})
	}
	return s
}

func parseFanout(path string) (c fanoutCase, err error) {
	kind, rest, _ := strings.Cut(path, "/")
	if kind != "video" && kind != "audio" {
		return c, fmt.Errorf("%q is no case of fanout", path)
	}
	c.kind = kind
	if _, err := fmt.Sscanf(rest, "1x%d", &c.viewers); err != nil {
		return c, fmt.Errorf("%q: %w", path, err)
	}
	return c, nil
}
