package main

import (
	"fmt"
	"slices"
	"strings"
)

// A connectCase is a path of the scenario, taken apart.
type connectCase struct {
	measure string // wall, cpu or roundtrips
	server  bool   // the contender answers Pion; else it answers itself
	channel bool   // until a data channel is open at both ends
	sped    bool   // so, and Sluice has SPED and SNAP, and answers as DTLS client
	rtt     int    // ms that the network takes; 0: none is in between
}

// connectRTT is the round trip, in ms, of the slow network, a relay on the
// loopback one. The figure of roundtrips is the wall time divided by it: from
// before the first PeerConnection is made until both are connected, ICE and
// DTLS, or in the server's cases until the offering one is. The offer and the
// answer cross the network too, which is the first round trip. What the ends
// compute, and timers that they wait for, count as the part of one that they
// take. In the cases of a channel it is until a negotiated data channel is open at
// both ends, which may be before ICE's nomination, and in those named sped Sluice
// carries the DTLS handshake in ICE's checks and begins SCTP in the descriptions,
// which Pion, as it is released, does not.
const connectRTT = 100

func connectScenario() *scenario {
	return &scenario{
		name: "connect", children: true, about: "a PeerConnection with a data channel, from nothing to connected at both ends: wall, CPU, round trips",
		cases: []string{
			"wall/pair/rtt0", "cpu/pair", "roundtrips/pair/rtt100", "roundtrips/channel/rtt100", "roundtrips/sped/rtt100",
			"wall/server/rtt0", "cpu/server", "roundtrips/server/rtt100",
		},
		peers:   []peer{{name: "pion", version: module("github.com/pion/webrtc/v4")}},
		missing: fanoutMissing, measure: measureConnect,
	}
}

func parseConnect(path string) (c connectCase, err error) {
	parts := strings.Split(path, "/")
	bad := fmt.Errorf("%q is no case of connect", path)
	if len(parts) < 2 || !slices.Contains([]string{"pair", "server", "channel", "sped"}, parts[1]) {
		return c, bad
	}
	sped := parts[1] == "sped"
	c = connectCase{measure: parts[0], server: parts[1] == "server", channel: sped || parts[1] == "channel", sped: sped}
	switch rest := strings.Join(parts[2:], "/"); {
	case c.channel && c.measure != "roundtrips":
		return c, bad
	case c.measure == "cpu" && rest == "", c.measure == "wall" && rest == "rtt0":
	case c.measure == "roundtrips" && rest == fmt.Sprintf("rtt%d", connectRTT):
		c.rtt = connectRTT
	default:
		return c, bad
	}
	return c, nil
}

func (c connectCase) unit() string {
	return map[string]string{"wall": "ms", "cpu": "us CPU/connection", "roundtrips": "round trips"}[c.measure]
}
