package main

import (
	"testing"
	"time"
)

// Sluice's side is on virtual time, so that the same seed gives the same
// figure; a share above the link's rate would be a broken measurement.
func TestSCTPOverTheLink(t *testing.T) {
	for _, path := range sctpScenario().cases {
		c, err := parseSCTP(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.memory {
			continue
		}
		mbps, err := c.sluice(1, time.Second)
		if err != nil || mbps <= 0 || mbps > float64(c.rate)/1e6 {
			t.Errorf("%s: %v Mb/s, %v", path, mbps, err)
		}
	}
	for _, path := range []string{"link", "link/20/1pct", "link/1ms/x", "memory/1ms/1pct", "memory", "memory/3KB"} {
		if _, err := parseSCTP(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}
