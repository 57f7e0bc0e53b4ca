package main

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A socketCase is a path of the scenario, taken apart.
type socketCase struct {
	send  bool
	burst int // datagrams at a time for one receiver, or from one sender
	// plain: the receivers of what is sent cannot take runs whole, so that the
	// kernel cuts them, as it does for a NIC which cannot.
	plain bool
	// merged: what is read comes in runs, as a network card or a sender of this
	// machine leaves them (UDP_GRO).
	merged bool
	veth   bool // vethCase, which is like no other
}

// vethCase is of the interface's ring (AF_XDP).
const vethCase = "tx/audio/500dst/veth"

const (
	socketSize      = 1200 // bytes a datagram
	socketReceivers = 64   // of one round that is sent
	socketReaders   = 16   // sockets, each with a burst waiting, of a round that is read
)

var (
	goNet = peer{name: "go-net", version: runtime.Version}
	// goNetAll asks the kernel for what Sluice asks it for: when a datagram came,
	// and its ECN codepoint.
	goNetAll = peer{name: "go-net-all", version: runtime.Version}
	sendmmsg = peer{name: "sendmmsg", version: func() string { return developing }}
	recvmmsg = peer{name: "recvmmsg", version: func() string { return developing }}
)

// plays reports whether a peer has a part in a case.
func (c socketCase) plays(p peer) bool {
	switch p.name {
	case sendmmsg.name:
		return c.send
	case recvmmsg.name, goNetAll.name:
		return !c.send
	}
	return true
}

func socketsScenario() *scenario {
	s := &scenario{
		name:  "sockets",
		about: "CPU time of the thread per delivered datagram of 1200 bytes: sent to 64 receivers, or read",
		quick: []string{"tx/burst1/64dst", "tx/burst8/64dst", "tx/burst8/64dst/nooffload", "tx/burst32/64dst", "rx/burst1", "rx/burst16", "rx/burst16/merged", vethCase},
		// go-net is one system call a datagram, Pion's way; sendmmsg and recvmmsg
		// are ours with segmentation offload and merging switched off.
		peers: []peer{goNet, goNetAll, sendmmsg, recvmmsg}, missing: fanoutMissing, measure: measureSockets,
	}
	for _, suffix := range []string{"", "/nooffload"} {
		for _, burst := range []string{"1", "4", "8", "16", "32"} {
			if burst != "1" || suffix == "" { // a run of one has nothing to cut
				s.cases = append(s.cases, "tx/burst"+burst+"/64dst"+suffix)
			}
		}
	}
	s.cases = append(s.cases, "rx/burst1", "rx/burst4", "rx/burst8", "rx/burst16", "rx/burst32", "rx/burst4/merged", "rx/burst16/merged", vethCase)
	return s
}

func parseSocket(path string) (c socketCase, err error) {
	if path == vethCase {
		return socketCase{send: true, burst: 1, veth: true}, nil
	}
	parts := strings.Split(path, "/")
	bad := fmt.Errorf("%q is no case of sockets", path)
	if len(parts) < 2 {
		return c, bad
	}
	number, okay := strings.CutPrefix(parts[1], "burst")
	if c.burst, err = strconv.Atoi(number); err != nil || !okay || c.burst < 1 || c.burst > 32 {
		return c, bad
	}
	c.send = parts[0] == "tx"
	switch tail := parts[2:]; {
	case parts[0] == "rx" && len(tail) == 0:
	case parts[0] == "rx" && slices.Equal(tail, []string{"merged"}):
		c.merged = true
	case c.send && slices.Equal(tail, []string{"64dst"}):
	case c.send && slices.Equal(tail, []string{"64dst", "nooffload"}):
		c.plain = true
	default:
		return c, bad
	}
	return c, nil
}
