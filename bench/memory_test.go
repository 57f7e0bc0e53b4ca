package main

import "testing"

func TestMemoryPeers(t *testing.T) {
	for _, c := range []struct {
		path, peer string
		cannot     bool
	}{
		{"idle", "pion", false}, {"viewer", "pion", false}, {"viewer", "janus", false},
		{"idle", "livekit", true}, {"active", "janus", true},
	} {
		if got := memoryCannot(c.path, c.peer) != ""; got != c.cannot {
			t.Errorf("%s of %s: %v", c.path, c.peer, got)
		}
	}
}
