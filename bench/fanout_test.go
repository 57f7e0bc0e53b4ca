package main

import (
	"os"
	"strings"
	"testing"
)

func TestFanoutCases(t *testing.T) {
	for path, want := range map[string]fanoutCase{
		"video/1x50":       {kind: "video", publishers: 1, viewers: 50},
		"video/20x10":      {kind: "video", publishers: 20, viewers: 10},
		"audio/1x500":      {kind: "audio", publishers: 1, viewers: 500},
		"video-loss/1x50":  {kind: "video", publishers: 1, viewers: 50, loss: lossShare},
		"video-cm80/1x50":  {kind: "video", publishers: 1, viewers: 50, cm80: true},
		"video-paced/1x50": {kind: "video", publishers: 1, viewers: 50, paced: true},
		"video-busy/1x64":  {kind: "video", publishers: 1, viewers: 64, busy: true},
	} {
		if got, err := parseFanout(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"video", "text/1x1", "video/x", "video/1x", "video/0x5", "video/1x-5", "video/1x50x2", "-loss/1x50", "video-/1x50", "video-slow/1x50", "audio-busy/1x64", "audio-paced/1x50"} {
		if _, err := parseFanout(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	for _, path := range fanoutScenario().cases {
		if _, err := parseFanout(path); err != nil {
			t.Error(err)
		}
	}
}

func TestFloorsHaveNoPartInKeysAndRepair(t *testing.T) {
	for path, cannot := range map[string]bool{"video/1x50": false, "video-loss/1x50": true, "video-cm80/1x50": true, "video-busy/1x64": false} {
		c, err := parseFanout(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fanoutCannot(c, "floor-gso") != ""; got != cannot {
			t.Errorf("%s: %v", path, got)
		}
		if why := fanoutCannot(c, "pion"); why != "" {
			t.Errorf("%s: %s", path, why)
		}
	}
}

func TestBudget(t *testing.T) {
	m := budget(map[string]float64{"reads": 100, "writes": 300, "sent": 1200, "gso_runs": 400, "dropped late": 10}, 200, 1000)
	for name, want := range map[string]float64{
		"budget_syscalls_per_packet": 0.4, "budget_wakeups_per_packet": 0.2, "budget_datagrams_per_write": 4,
		"budget_gso_runs_per_packet": 0.4, "budget_dropped_late_per_packet": 0.01,
	} {
		if m[name] != want {
			t.Errorf("%s: %v, want %v", name, m[name], want)
		}
		delete(m, name)
	}
	if len(m) > 0 {
		t.Errorf("also %v", m)
	}
	if m := budget(nil, 5, 10); len(m) != 1 || m["budget_wakeups_per_packet"] != 0.5 {
		t.Errorf("without counters: %v", m)
	}
	if budget(nil, 5, 0) != nil {
		t.Error("figures of nothing")
	}
}

func TestForeignVersions(t *testing.T) {
	if v := janusVersion("Janus version: 1102 (1.1.2)\nJanus commit: not-a-git-repo\n"); v != "1.1.2" {
		t.Error(v)
	}
	if v := janusVersion("no such file"); v != "unknown" {
		t.Error(v)
	}
	for _, mod := range []string{"require github.com/livekit/livekit-server v1.13.5\n", "require (\n\tgithub.com/livekit/livekit-server v1.13.5 // indirect\n)"} {
		if v := livekitVersion([]byte(mod)); v != "v1.13.5" {
			t.Errorf("%q: %s", mod, v)
		}
	}
	mod, err := os.ReadFile("peers/livekit/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if v := livekitVersion(mod); !strings.HasPrefix(v, "v1.") {
		t.Error(v)
	}
}
