package main

import (
	"slices"
	"testing"
)

// Each case works, and contenders that show a result show the same one.
// Nothing is timed.
func TestMicroContendersAgree(t *testing.T) {
	var seen []string
	for _, c := range microCases() {
		if slices.Contains(seen, c.path) {
			t.Errorf("%s is there twice", c.path)
		}
		seen = append(seen, c.path)
		if c.sluice == nil {
			if c.why["sluice"] == "" {
				t.Errorf("%s: neither measured nor skipped", c.path)
			}
			continue
		}
		ours := c.sluice()
		works := []microWork{ours}
		for name, make := range map[string]func() microWork{"pion": c.pion, "go-stdlib": c.stdlib} {
			if make == nil {
				if why, member := c.whyNot(name); member && why == "" {
					t.Errorf("%s: %s is neither measured nor skipped", c.path, name)
				}
				continue
			}
			rival := make()
			rival.name = name
			works = append(works, rival)
			if err := agree(ours, rival); err != nil {
				t.Errorf("%s: %v", c.path, err)
			}
		}
		for _, w := range works {
			for range 2 {
				if w.prepare != nil {
					w.prepare()
				}
				if n := w.run(); n < microRun {
					t.Errorf("%s: %s did %d operations", c.path, w.name, n)
				}
			}
		}
	}
	if len(seen) != 41 {
		t.Errorf("%d cases, want the 41 of webrtc_dart", len(seen))
	}
}

// The script knows every case that is not skipped for werift, and agrees.
func TestMicroScriptAgrees(t *testing.T) {
	needsPeer(t, weriftPeer.name, weriftPeer.whyNot())
	node, err := startNode(weriftDir, "micro.mjs")
	if err != nil {
		t.Fatal(err)
	}
	defer node.stop()
	for _, c := range microCases() {
		if why, _ := c.whyNot(weriftPeer.name); why != "" {
			continue
		}
		a, err := node.load(c.path, c.input)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if ours := c.sluice(); a.Missing || ours.out != nil && a.Result != "" && ours.out() != a.Result {
			t.Errorf("%s: %+v", c.path, a)
		}
	}
}
