package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// flow keeps a pair busy for d of virtual time.
func flow(p *pair, d time.Duration) {
	p.t.Helper()
	data := make([]byte, 20<<10)
	for until := p.Now.Add(d); p.Now < until; {
		for p.a[0].tx.cost < 60<<10 {
			p.write(0, 1, data, SendOptions{})
		}
		p.Sleep(20 * time.Millisecond)
	}
}

func TestPathMTUIsFound(t *testing.T) {
	for _, c := range []struct{ path, most, low, high int }{
		{0, 0, 1408, 1408},
		{1500, 1408, 1408, 1408},
		{1300, 1408, 1300 - 2*probeStep, 1300},
		{1400, 9000, 1400 - 2*probeStep, 1400},
		{1150, 1408, 1148, 1148},
		{1100, -1, 1148, 1148}, // no probes: nobody looks
	} {
		n := netem.Config{Delay: 5 * time.Millisecond, MTU: c.path, Rate: 2e6}
		if c.most < 0 {
			n.MTU = 0
		}
		ab, ba := both(1, n)
		p := newPair(t, Config{MaxMTU: c.most}, ab, ba).connect()
		longest := 0
		p.Tap = func(from int, b []byte) {
			if from == 0 && chunkType(b[headerLen]) == typeData {
				longest = max(longest, len(b))
			}
		}
		flow(p, 40*time.Second)
		st := p.a[0].Stats()
		if st.MTU < c.low || st.MTU > c.high || longest > st.MTU || st.Timeouts != 0 || st.BlackHoles != 0 {
			t.Errorf("path %d: %d, longest %d; %+v", c.path, st.MTU, longest, st)
		}
		if st.PathProbes > 30 || (c.most < 0 && st.PathProbes > 0) {
			t.Errorf("path %d: %d probes", c.path, st.PathProbes)
		}
		if p.a[1].Stats().PathProbes != 0 {
			t.Error("a side that sends nothing has probed")
		}
	}
}

// A peer that does not say that it knows PAD chunks is sent none: werift ends
// the association at the first.
func TestPathMTUIsFoundWithoutPadChunks(t *testing.T) {
	for _, path := range []int{0, 1300} {
		n := netem.Config{Delay: 5 * time.Millisecond, MTU: path, Rate: 2e6}
		ab, ba := both(1, n)
		p := newPair(t, Config{}, ab, ba).connect()
		if !p.a[0].peer.pad || !p.a[1].peer.pad {
			t.Fatal("ours do not say that they know PAD")
		}
		p.a[0].peer.pad = false
		p.Tap = func(from int, b []byte) {
			for rest := b[headerLen:]; len(rest) > 0; {
				c, more, ok := nextChunk(rest)
				if !ok {
					break
				}
				if rest = more; c.typ == typePad {
					t.Error("a PAD chunk")
				}
			}
		}
		flow(p, 40*time.Second)
		st := p.a[0].Stats()
		low, high := 1408, 1408
		if path > 0 {
			low, high = path-2*probeStep, path
		}
		if st.MTU < low || st.MTU > high || st.PathProbes == 0 || st.Timeouts != 0 {
			t.Errorf("path %d: %+v", path, st)
		}
	}
}

// Short messages need no longer packets.
func TestPathIsNotProbedForNothing(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	for n := range 100 {
		p.write(0, 1, body(n, 300), SendOptions{})
		p.Sleep(50 * time.Millisecond)
	}
	if st := p.a[0].Stats(); st.PathProbes != 0 || st.MTU != 1148 {
		t.Errorf("%+v", st)
	}
}

// The path gets narrower and wider while data flows: everything arrives, and
// the size follows.
func TestPathMTUChanges(t *testing.T) {
	for _, burst := range []bool{false, true} {
		n := netem.Config{Delay: 10 * time.Millisecond, Rate: 2e6}
		ab, ba := both(1, n)
		p := newPair(t, Config{MTU: 600, MaxMTU: 1408}, ab, ba).connect()
		p.Burst = burst
		flow(p, 10*time.Second)
		if st := p.a[0].Stats(); st.MTU != 1408 {
			t.Fatalf("%+v", st)
		}
		set := func(mtu int) {
			n.MTU = mtu
			p.Links[0].SetConfig(n)
		}
		set(1000)
		start, before := p.Now, len(p.got[1])
		flow(p, 6*time.Second)
		if st := p.a[0].Stats(); st.BlackHoles != 1 || st.MTU > 1000 || len(p.got[1]) == before {
			t.Fatalf("%v after the path got narrow: %+v", p.Now.Sub(start), st)
		}
		flow(p, 40*time.Second)
		if st := p.a[0].Stats(); st.MTU < 1000-2*probeStep || st.MTU > 1000 {
			t.Errorf("%+v", st)
		}
		set(0)
		p.Sleep(raiseInterval)
		flow(p, 20*time.Second)
		if st := p.a[0].Stats(); st.MTU != 1408 || st.BlackHoles != 1 {
			t.Errorf("%+v", st)
		}
		p.Sleep(10 * time.Second)
		p.idle()
	}
}

// Losses that have other reasons do not keep long packets from being used.
func TestLossyPathIsNoBlackHole(t *testing.T) {
	for seed := range uint64(10) {
		ab, ba := both(seed, netem.Config{Delay: 10 * time.Millisecond, Loss: .03, Rate: 2e6})
		p := newPair(t, Config{}, ab, ba).connect()
		flow(p, 20*time.Second)
		if st := p.a[0].Stats(); st.MTU != 1408 || st.BlackHoles != 0 {
			t.Errorf("seed %d: %+v", seed, st)
		}
	}
}

// A buffer that holds no more than MTU is a limit like any other.
func TestProbesFitTheBufferGiven(t *testing.T) {
	a := established(t, Config{MaxMTU: 1408})
	a.tx.peerWindow = 1 << 20
	must(t, a.Write(1, 1, 53, make([]byte, 50000), SendOptions{}))
	buf := make([]byte, 1200)
	for a.Transmit(1, buf) > 0 {
	}
	if st := a.Stats(); st.PathProbes != 1 || a.pmtu.probe != 1200 {
		t.Errorf("%d probes, of %d", st.PathProbes, a.pmtu.probe)
	}
}

func TestProbeAnswersOfOthersAreIgnored(t *testing.T) {
	a := established(t, Config{})
	a.probePath(1)
	for _, info := range [][]byte{nil, make([]byte, 12), append(append([]byte(nil), be32(uint32(a.pmtu.nonce>>32))...), 1, 2, 3, 4, 0, 0, 5, 128)} {
		if err := a.HandlePacket(1, packet(a.tag, appendChunk(nil, typeHeartbeatAck, 0, appendParam(nil, paramHeartbeatInfo, info)))); err == nil {
			t.Errorf("%x accepted", info)
		}
	}
	if a.pmtu.size != 1148 {
		t.Error(a.pmtu.size)
	}
}
