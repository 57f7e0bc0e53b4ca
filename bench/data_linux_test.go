package main

import (
	"net/url"
	"testing"
)

func TestDataCases(t *testing.T) {
	for path, want := range map[string]dataCase{
		"rtt/1KB":                             {rtt: true, size: 1024, chans: 1, conns: 1},
		"throughput/64KB/unordered/1ch/1conn": {size: 65536, unordered: true, chans: 1, conns: 1},
		"throughput/16KB/ordered/10ch/10conn": {size: 16384, chans: 10, conns: 10},
	} {
		if got, err := parseData(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"rtt", "rtt/2KB", "throughput/4KB", "throughput/4KB/ordered/xch/1conn", "rtt/1KB/ordered"} {
		if _, err := parseData(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	for _, path := range dataScenario().cases {
		if _, err := parseData(path); err != nil {
			t.Error(err)
		}
	}
}

// Every stack connects pairs over real sockets and moves messages. It takes
// wall time, so it runs only when asked for.
func TestDataStacksConnect(t *testing.T) {
	needsProcesses(t)
	names := []string{"sluice", "pion"}
	for _, p := range []peer{weriftPeer, nodeDataChannelPeer} {
		if !needs(t, p.name, p.whyNot()) {
			continue
		}
		names = append(names, p.name)
	}
	for _, name := range names {
		p, err := spawnStack(name)
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		if err := connectPairs(t.Context(), p, dataCase{chans: 2, conns: 2}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		query := url.Values{"size": {"1000"}, "for": {"200ms"}}
		var rtt rttResult
		var flow flowResult
		var c census
		for _, q := range []struct {
			path string
			to   any
		}{{"/rtt", &rtt}, {"/flow", &flow}, {"/census", &c}} {
			if err := p.call(t.Context(), q.path, query, q.to); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if rtt.Trips == 0 || c.Heap == 0 || nodeStacks[name] == "" && (c.FDs == 0 || c.Goroutines == 0) {
			t.Errorf("%s: %+v %+v %+v", name, rtt, flow, c)
		}
	}
}
