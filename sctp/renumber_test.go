package sctp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

// An action is something which one side does in the tables below.
var actions = map[string]func(p *pair, i int) error{
	"numbers":  func(p *pair, i int) error { return p.a[i].ResetNumbers(p.Now) },
	"outgoing": func(p *pair, i int) error { return p.a[i].ResetStreams(p.Now, []uint16{1, 2}) },
	"incoming": func(p *pair, i int) error { return p.a[i].ResetIncoming(p.Now, []uint16{1}) },
	"add":      func(p *pair, i int) error { return p.a[i].AddStreams(p.Now, 1, 1) },
}

// TestClass26_ResetInterleavings has both sides reset this and that at once,
// with data under way both ways, over paths good and bad. Nothing deadlocks,
// every message arrives once and in order, and the numbers are usable after it.
func TestClass26_ResetInterleavings(t *testing.T) {
	names := []string{"numbers", "outgoing", "incoming", "add"}
	for _, first := range names {
		for _, second := range append(names, "") {
			for seed := range uint64(12) {
				rng := rand.New(rand.NewPCG(seed, 5))
				n := netem.Config{Delay: 10 * time.Millisecond}
				if seed >= 4 {
					n.Loss, n.Reorder, n.Duplicate = .1, .1, .05
				}
				ab, ba := both(seed, n)
				p := newPair(t, Config{MaxStreams: 50, ServeReconfig: true, Interleave: seed&1 == 1}, ab, ba)
				p.Burst = seed&2 != 0
				p.connect()
				for i := range p.a {
					p.a[i].cfg.MaxStreams = 60
				}
				count := 0
				write := func() {
					for i := range 2 {
						for sid := range uint16(4) {
							p.write(i, sid, body(count, 100+rng.IntN(4000)), SendOptions{})
						}
					}
					count++
				}
				write()
				write()
				p.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
				must(t, actions[first](p, 0))
				write()
				if seed%3 > 0 {
					p.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
				}
				if second != "" {
					must(t, actions[second](p, 1))
				}
				for range 3 {
					write()
					p.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
				}
				name := fmt.Sprintf("%s and %q, seed %d", first, second, seed)
				if !p.Run(10*time.Minute, func() bool { return len(p.got[0]) == 4*count && len(p.got[1]) == 4*count }) {
					t.Fatalf("%s: %d and %d of %d messages; %v %v", name, len(p.got[0]), len(p.got[1]), 4*count, p.other[0], p.other[1])
				}
				for i := range 2 {
					var next [4]int
					for _, e := range p.got[i] {
						if string(e.Data) != string(body(next[e.SID], len(e.Data))) {
							t.Fatalf("%s: stream %d out of order at %d", name, e.SID, next[e.SID])
						}
						next[e.SID]++
					}
				}
				p.Sleep(30 * time.Second)
				p.idle()
				resets := [2]int{p.count(0, EventNumbersReset), p.count(1, EventNumbersReset)}
				want := b2i(first == "numbers") + b2i(second == "numbers")
				for i := range 2 {
					if a := p.a[i]; resets[i] != want || a.tx.frozen || a.rc.kind != 0 || len(a.rc.asked) > 0 || len(a.rc.waiting) > 0 {
						t.Errorf("%s: end %d: %d resets of numbers, frozen %v, under way %d", name, i, resets[i], a.tx.frozen, a.rc.kind)
					}
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}

func TestNumbersBeginAnew(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{ServeReconfig: true}, ab, ba).connect()
	for n := range 10 {
		p.write(0, 1, body(n, 100), SendOptions{})
		p.write(1, 1, body(n, 100), SendOptions{})
	}
	p.Sleep(time.Second)
	cum, end := p.a[1].rx.cum, p.a[1].tx.end()
	must(t, p.a[0].ResetNumbers(p.Now))
	p.Sleep(5 * time.Second)
	// RFC 6525 §5.2.4: the asker goes on 2^31 above, the other where it was.
	if p.a[0].tx.base != cum+1+1<<31 || p.a[1].rx.cum != cum+1<<31 || p.a[1].tx.base != end || p.a[0].rx.cum != end-1 {
		t.Errorf("%d %d %d %d", p.a[0].tx.base, p.a[1].rx.cum, p.a[1].tx.base, p.a[0].rx.cum)
	}
	ssn := -1
	p.Tap = func(from int, b []byte) {
		if d, ok := parseData(mustChunk(b)); ok && chunkType(b[headerLen]) == typeData {
			ssn = int(d.ssn)
		}
	}
	p.write(0, 1, []byte("new"), SendOptions{})
	p.Sleep(time.Second)
	if n := len(p.got[1]); ssn != 0 || n != 11 || string(p.got[1][n-1].Data) != "new" {
		t.Errorf("SSN %d, %d messages", ssn, n)
	}
}

func mustChunk(b []byte) chunk {
	c, _, _ := nextChunk(b[headerLen:])
	return c
}

func TestNumbersAreNotResetForThePeerByDefault(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	must(t, p.a[0].ResetNumbers(p.Now))
	p.write(0, 1, []byte("held"), SendOptions{})
	p.Sleep(5 * time.Second)
	denied := 0
	for _, e := range p.other[0] {
		if e.Kind == EventReconfigDone && e.Err == ErrResetDenied {
			denied++
		}
	}
	if denied != 1 || len(p.got[1]) != 1 || p.a[0].tx.frozen {
		t.Errorf("%v, %d messages", p.other[0], len(p.got[1]))
	}
	p.a[0].peer.reconfig = false
	if err := p.a[0].ResetNumbers(p.Now); err != ErrNoStreamReset {
		t.Error(err)
	}
}

// A response without the numbers is no agreement.
func TestAnswerWithoutNumbers(t *testing.T) {
	a := established(t, Config{})
	must(t, a.ResetNumbers(simtest.Epoch))
	drain(a, simtest.Epoch)
	must(t, a.Write(simtest.Epoch, 1, 53, []byte("x"), SendOptions{}))
	base := a.tx.base
	v := append(be32(a.rc.next), be32(resultPerformed)...)
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendChunk(nil, typeReconfig, 0, appendParam(nil, paramResetResponse, v)))))
	if a.tx.base != base || a.tx.frozen {
		t.Error("renumbered")
	}
	out, _ := drain(a, simtest.Epoch)
	if has(out, typeData) == nil {
		t.Error("still held")
	}
}
