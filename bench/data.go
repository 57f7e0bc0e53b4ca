package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A dataCase is a path of the scenario datachannel, taken apart.
type dataCase struct {
	rtt       bool
	size      int // bytes a message
	unordered bool
	chans     int
	conns     int
}

func dataScenario() *scenario {
	s := &scenario{
		name: "datachannel", children: true, about: "data channels over the loopback network: round trip, and delivered bytes with CPU time",
		quick: []string{"rtt/1KB", "rtt/64KB", "throughput/16KB/ordered/1ch/1conn", "throughput/64KB/unordered/1ch/1conn"},
		peers: append(dataPeers(), weriftPeer, nodeDataChannelPeer), missing: fanoutMissing, measure: measureData,
	}
	for _, size := range []string{"100B", "1KB", "4KB", "64KB"} {
		s.cases = append(s.cases, "rtt/"+size)
	}
	s.cases = append(s.cases, "throughput/1KB/ordered/1ch/10conn")
	for _, size := range []string{"4KB", "16KB", "64KB"} {
		for _, order := range []string{"ordered", "unordered"} {
			for _, chans := range []string{"1ch", "10ch"} {
				for _, conns := range []string{"1conn", "10conn"} {
					s.cases = append(s.cases, strings.Join([]string{"throughput", size, order, chans, conns}, "/"))
				}
			}
		}
	}
	return s
}

// dataPeers are those in Go, which tell what a connection holds.
func dataPeers() []peer {
	return []peer{{name: "pion", version: module("github.com/pion/webrtc/v4")}}
}

var dataSizes = map[string]int{"100B": 100, "1KB": 1 << 10, "4KB": 4 << 10, "16KB": 16 << 10, "64KB": 64 << 10}

func parseData(path string) (c dataCase, err error) {
	parts := strings.Split(path, "/")
	bad := fmt.Errorf("%q is no case of datachannel", path)
	if len(parts) < 2 || dataSizes[parts[1]] == 0 {
		return c, bad
	}
	c = dataCase{rtt: true, size: dataSizes[parts[1]], chans: 1, conns: 1}
	switch {
	case parts[0] == "rtt" && len(parts) == 2:
		return c, nil
	case parts[0] != "throughput" || len(parts) != 5:
		return c, bad
	}
	c.rtt, c.unordered = false, parts[2] == "unordered"
	var err1, err2 error
	c.chans, err1 = strconv.Atoi(strings.TrimSuffix(parts[3], "ch"))
	c.conns, err2 = strconv.Atoi(strings.TrimSuffix(parts[4], "conn"))
	if err1 != nil || err2 != nil || c.chans < 1 || c.conns < 1 {
		return c, bad
	}
	return c, nil
}

// A sender waits while more than highWater is buffered, until it is lowWater.
const (
	lowWater  = 512 << 10
	highWater = 1 << 20
)

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
