package main

import (
	"os"
	"testing"
	"time"
)

// The kernel's TCP crosses the link between two namespaces, where this process
// may make them.
func TestTCPOverTheLink(t *testing.T) {
	if os.Getenv("SLUICE_BENCH") != "1" {
		t.Skip("set SLUICE_BENCH=1 to make network namespaces")
	}
	if why := tcpPeer().whyNot(); why != "" {
		t.Skip(why)
	}
	c := sctpCase{size: sctpMessage, rtt: 20 * time.Millisecond}
	mbps, err := c.tcp(1, time.Second)
	if err != nil || mbps <= 0 || mbps > sctpRate/1e6 {
		t.Errorf("%v Mb/s, %v", mbps, err)
	}
}
