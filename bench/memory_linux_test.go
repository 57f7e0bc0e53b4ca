package main

import (
	"net/url"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWeights(t *testing.T) {
	var w weights
	for _, v := range []float64{3, 1, 2} {
		w.add("descriptors", v)
	}
	if m := w.also(); len(m) != 1 || m["descriptors"] != 2 {
		t.Error(m)
	}
}

// Every stack is weighed with one pair, at rest and while it talks, and makes
// a connection over a slow network. It takes wall time, so it runs only when
// asked for.
func TestStacksAreWeighedAndConnect(t *testing.T) {
	needsProcesses(t)
	call := func(p *child, path string, query url.Values, v any) {
		t.Helper()
		if err := p.call(t.Context(), path, query, v); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"sluice", "pion"} {
		weighed, err := spawn("memory-"+name, unix.CPUSet{})
		if err != nil {
			t.Fatal(err)
		}
		defer weighed.stop()
		var rest float64
		var c census
		call(weighed, "/connect", url.Values{"n": {"1"}}, nil)
		call(weighed, "/rest", url.Values{"for": {"100ms"}}, &rest)
		call(weighed, "/talk", url.Values{"for": {"300ms"}}, &c)
		if rest < 0 || c.Heap == 0 || c.FDs == 0 {
			t.Errorf("%s: at rest %v us/s, then %+v", name, rest, c)
		}
		connecting, err := startConnectors(connectCase{measure: "roundtrips", server: true, rtt: 20}, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		defer connecting.stop()
		res, err := connecting.turn(t.Context(), 0, 2)
		// Signalling alone takes one round trip, ICE and DTLS one at least.
		if err != nil || len(res.Walls) != 2 || res.CPU <= 0 || min(res.Walls[0], res.Walls[1]) < 40 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}
