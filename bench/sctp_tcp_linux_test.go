package main

import (
	"testing"
	"time"
)

// The kernel's TCP crosses the link between two namespaces, where this process
// may make them.
func TestTCPOverTheLink(t *testing.T) {
	needsProcesses(t)
	needsPeer(t, "tcp", tcpPeer().whyNot())
	c := sctpCase{size: sctpMessage, rate: sctpRate, queue: sctpQueue, rtt: 20 * time.Millisecond}
	mbps, err := c.tcp(1, time.Second)
	if err != nil || mbps <= 0 || mbps > sctpRate/1e6 {
		t.Errorf("%v Mb/s, %v", mbps, err)
	}
}
