package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A fanoutCase is a path of the scenario, taken apart.
type fanoutCase struct {
	kind       string
	publishers int
	viewers    int     // of each publisher
	loss       float64 // share of the packets that viewers lose and ask for
	cm80       bool    // AES_CM_128_HMAC_SHA1_80 instead of AEAD_AES_128_GCM
	busy       bool    // 10,000 packets a second, and viewers who only count
	paced      bool    // frames leave the publisher as browsers pace them, not at once
}

func (c fanoutCase) all() int { return c.publishers * c.viewers }

// baseBinary names an environment variable: the path of bench as built before
// a change. Its Sluice is then a peer too, so that a change can be judged in
// interleaved rounds.
const (
	baseBinary = "SLUICE_BENCH_BASE"
	basePeer   = "sluice-base"
)

func fanoutScenario() *scenario {
	pion := module("github.com/pion/webrtc/v4")
	s := &scenario{
		name: "fanout", children: true, about: "publishers through a server to many viewers: server CPU per delivered packet, latency, memory",
		cases: []string{
			"video/1x1", "video/1x50", "video/1x100", "video/1x200", "video/1x600", "video/20x10", "audio/1x200", "audio/1x500",
			"video-paced/1x50", "video-paced/20x10", "video-cm80/1x50", "video-loss/1x50", "video-busy/1x64",
		},
		quick: []string{"video/1x50"},
		peers: []peer{
			{name: "pion", version: pion},
			{name: "pion-bare", version: pion},
			livekitPeer,
			janusPeer,
			{name: "floor-gso", version: func() string { return developing }},
			{name: "floor-sendto", version: goStdlib.version},
		},
		missing: fanoutMissing,
		measure: measureFanout,
	}
	if path := os.Getenv(baseBinary); path != "" {
		s.peers = append(s.peers, peer{name: basePeer, version: func() string { return path }})
	}
	return s
}

// lossShare is what the viewers of a case "-loss" lose.
const lossShare = 0.01

func parseFanout(path string) (c fanoutCase, err error) {
	kind, rest, _ := strings.Cut(path, "/")
	kind, what, special := strings.Cut(kind, "-")
	bad := fmt.Errorf("%q is no case of fanout", path)
	switch {
	case !special:
	case what == "loss":
		c.loss = lossShare
	case what == "cm80":
		c.cm80 = true
	case what == "busy" && kind == "video":
		c.busy = true
	case what == "paced" && kind == "video":
		c.paced = true
	default:
		return c, bad
	}
	if c.kind = kind; kind != "video" && kind != "audio" {
		return c, bad
	}
	publishers, viewers, _ := strings.Cut(rest, "x")
	var err1, err2 error
	c.publishers, err1 = strconv.Atoi(publishers)
	c.viewers, err2 = strconv.Atoi(viewers)
	if err1 != nil || err2 != nil || c.publishers < 1 || c.viewers < 1 {
		return c, bad
	}
	return c, nil
}

// fanoutCannot tells why a peer has no part in a case; empty: it has.
func fanoutCannot(c fanoutCase, peer string) string {
	switch floor := strings.HasPrefix(peer, "floor-"); {
	case floor && c.loss > 0:
		return "a floor keeps nothing to send again"
	case floor && c.cm80:
		return "a floor has no keys: as with AEAD_AES_128_GCM"
	}
	return ""
}
