package sctp

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

func TestInterleavedMessagesArriveOnceAndInOrder(t *testing.T) {
	for _, im := range impairments {
		t.Run(im.name, func(t *testing.T) {
			seeds := im.seeds
			if testing.Short() {
				seeds = min(seeds, 5)
			}
			for seed := range seeds {
				ab, ba := both(seed, im.cfg)
				p := newPair(t, Config{MaxInitRetransmits: 100, Interleave: true, Scheduler: Scheduler(seed % 3)}, ab, ba)
				p.Burst = seed&1 == 1
				exchange(p.connect(), seed)
				if st := p.a[0].Stats(); !st.Interleaved {
					t.Error("not negotiated")
				}
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func TestInterleavedPartialReliability(t *testing.T) {
	for _, opt := range []SendOptions{
		{Reliability: Rexmit}, {Reliability: Rexmit, Unordered: true}, {Reliability: Timed, Value: 100}, {Reliability: Timed, Unordered: true},
	} {
		for seed := range uint64(15) {
			ab, ba := both(seed, netem.Config{Loss: .2, Reorder: .1, Delay: 20 * time.Millisecond})
			p := newPair(t, Config{MaxInitRetransmits: 50, Interleave: true}, ab, ba).connect()
			partial(p, seed, opt)
			for i := range p.a {
				for sid, s := range p.a[i].rx.data.streams {
					if len(s.partial[0])+len(s.partial[1]) > 0 {
						t.Errorf("stream %d still holds fragments", sid)
					}
				}
			}
			if t.Failed() {
				t.Fatalf("%+v, seed %d", opt, seed)
			}
		}
	}
}

func TestPeerWithoutInterleavingGetsData(t *testing.T) {
	for i := range 2 {
		ab, ba := plain()
		p := newPair(t, Config{}, ab, ba)
		p.a[i] = New(Config{Interleave: true, Rand: seeded(9)})
		p.Ends[i] = p.a[i]
		p.connect()
		exchange(p, 1)
		if p.a[0].Stats().Interleaved || p.a[1].Stats().Interleaved {
			t.Error("interleaved")
		}
	}
}

// A small message overtakes a large one of another stream, with I-DATA.
func TestLargeMessageDoesNotHoldUpOthers(t *testing.T) {
	arrival := func(interleave bool) time.Duration {
		ab, ba := both(1, netem.Config{Rate: 2e6, Delay: 10 * time.Millisecond, Queue: 32 << 10})
		p := newPair(t, Config{Interleave: interleave}, ab, ba).connect()
		start := p.Now
		p.write(0, 1, body(1, 250_000), SendOptions{})
		p.Sleep(50 * time.Millisecond)
		p.write(0, 2, body(2, 100), SendOptions{})
		if !p.Run(time.Minute, func() bool { return len(p.got[1]) > 0 && p.got[1][len(p.got[1])-1].SID == 2 }) {
			t.Fatal("lost")
		}
		return p.Now.Sub(start)
	}
	with, without := arrival(true), arrival(false)
	if with > 350*time.Millisecond || without < 900*time.Millisecond {
		t.Errorf("%v with and %v without", with, without)
	}
}

func TestSchedulers(t *testing.T) {
	for _, c := range []struct {
		name       string
		scheduler  Scheduler
		interleave bool
		least      float64 // messages of stream 2, of weight 512, for each of stream 1, of 128
		most       float64
	}{
		{"weighted", WeightedFair, false, 3.5, 4.5},
		{"weighted", WeightedFair, true, 3.5, 4.5},
		{"turns", RoundRobin, false, .9, 1.1},
		{"turns", RoundRobin, true, .9, 1.1},
		{"priority", Priority, false, 20, 1e9},
		{"priority", Priority, true, 20, 1e9},
	} {
		ab, ba := both(1, netem.Config{Rate: 2e6, Queue: 1 << 20, Delay: 10 * time.Millisecond})
		p := newPair(t, Config{Scheduler: c.scheduler, Interleave: c.interleave}, ab, ba).connect()
		p.a[0].SetPriority(1, 128)
		p.a[0].SetPriority(2, 512)
		for n := range 200 {
			p.write(0, 1, body(n, 3000), SendOptions{})
			p.write(0, 2, body(n, 3000), SendOptions{})
		}
		p.Run(time.Minute, func() bool { return len(p.got[1]) >= 150 })
		per := map[uint16]float64{}
		for _, e := range p.got[1] {
			per[e.SID]++
		}
		if r := per[2] / max(per[1], .5); r < c.least || r > c.most {
			t.Errorf("%s, interleaved %v: shares %v", c.name, c.interleave, per)
		}
	}
}

// Data of the kind which was not negotiated ends the association (RFC 8260
// §2.2.1), as does the other FORWARD TSN (§2.3.1).
func TestDataOfTheOtherKindIsAViolation(t *testing.T) {
	for name, c := range map[string][]byte{
		"data":    appendData(nil, &dataChunk{flags: 3, tsn: 1000, payload: []byte("x")}),
		"forward": appendForward(nil, typeForwardTSN, 1000, nil),
	} {
		a := established(t, Config{Interleave: true})
		a.peer.interleave = true
		if err := a.HandlePacket(simtest.Epoch, packet(a.tag, c)); err != ErrProtocol || a.state != stateClosed {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := established(t, Config{})
	c := appendData(nil, &dataChunk{flags: 3, idata: true, tsn: 1000, payload: []byte("x")})
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, c)))
	out, _ := drain(a, simtest.Epoch)
	if a.state != stateEstablished || has(out, typeError) == nil || a.Stats().UnknownChunks != 1 {
		t.Errorf("I-DATA without our consent: %+v", out)
	}
}

// TestClass24_FragmentsWithoutEndAreBounded: a peer which begins messages and
// never ends them, or numbers fragments twice, is held to the window.
func TestClass24_FragmentsWithoutEndAreBounded(t *testing.T) {
	for name, chunk := range map[string]func(i uint32) dataChunk{
		"begun":       func(i uint32) dataChunk { return dataChunk{flags: flagBegin, sid: uint16(i % 5000), mid: i} },
		"middles":     func(i uint32) dataChunk { return dataChunk{sid: 1, mid: i, fsn: 5} },
		"same":        func(i uint32) dataChunk { return dataChunk{sid: 1, mid: 1, fsn: 7} },
		"backwards":   func(i uint32) dataChunk { return dataChunk{sid: 1, mid: 1 << 20, fsn: 1<<20 - 2*i} },
		"unordered":   func(i uint32) dataChunk { return dataChunk{flags: flagUnordered, sid: 1, mid: -i, fsn: i} },
		"far ordered": func(i uint32) dataChunk { return dataChunk{flags: 3, sid: 1, mid: i + 1} },
	} {
		a := established(t, Config{Interleave: true})
		a.peer.interleave, a.rx.data.wide = true, true
		for i := range uint32(60000) {
			d := chunk(i)
			d.idata, d.tsn, d.payload = true, 1000+i, []byte("x")
			_ = a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &d)))
		}
		a.invariants(t)
		if n := a.rx.data.entries; n > DefaultMaxReceiveBuffer/entrySize+1 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
}

func TestChecksumIsLeftOutOverDTLS(t *testing.T) {
	for _, c := range []struct{ a, b, want bool }{{true, true, true}, {true, false, false}, {false, true, false}, {false, false, false}} {
		ab, ba := plain()
		p := newPair(t, Config{DTLS: c.a}, ab, ba)
		p.a[1] = New(Config{DTLS: c.b, Rand: seeded(9)})
		p.Ends[1] = p.a[1]
		zero := 0
		p.Tap = func(from int, b []byte) {
			if binary.LittleEndian.Uint32(b[8:]) != 0 {
				return
			}
			if zero++; chunkType(b[headerLen]) == typeInit || chunkType(b[headerLen]) == typeCookieEcho {
				t.Error("no checksum in the handshake") // RFC 9653 §5.2
			}
		}
		p.connect()
		exchange(p, 1)
		if (zero > 100) != c.want || (zero == 0) == c.want {
			t.Errorf("%+v: %d packets without", c, zero)
		}
		if p.a[0].Stats().ZeroChecksum != c.want {
			t.Errorf("%+v: %v", c, p.a[0].Stats().ZeroChecksum)
		}
	}
}

// Without the agreement, and in a packet which makes an association, a
// checksum of zero is a wrong one.
func TestChecksumOfZeroIsRefused(t *testing.T) {
	sack := appendSack(nil, 0, 1<<20, nil, nil)
	unsealed := func(a *Association, tag uint32, c []byte) error {
		b := packet(tag, c)
		copy(b[8:12], zeros[:])
		return a.HandlePacket(simtest.Epoch, b)
	}
	a := established(t, Config{})
	if err := unsealed(a, a.tag, sack); err != ErrChecksum {
		t.Error(err)
	}
	a = established(t, Config{DTLS: true})
	if err := unsealed(a, a.tag, sack); err == ErrChecksum {
		t.Error(err)
	}
	if err := unsealed(a, a.tag, appendChunk(nil, typeCookieEcho, 0, []byte("0123"))); err != ErrChecksum {
		t.Error(err)
	}
	if err := unsealed(a, 0, appendInit(nil, typeInit, &initChunk{tag: 1, in: 1, out: 1})); err != ErrChecksum {
		t.Error(err)
	}
	b := packet(a.tag, sack)
	b[9] ^= 1
	if err := a.HandlePacket(simtest.Epoch, b); err != ErrChecksum {
		t.Error(err)
	}
}

// Interleaved messages which together are larger than the window are no
// deadlock; those beyond every limit end the association.
func TestUnfinishedMessagesBeyondTheWindow(t *testing.T) {
	for _, c := range []struct {
		streams uint16
		budget  *Budget
		ok      bool
	}{{8, nil, true}, {60, nil, true}, {100, nil, false}, {8, NewBudget(64 << 20), true}, {8, NewBudget(100 << 10), false}} {
		ab, ba := both(1, netem.Config{Delay: 5 * time.Millisecond, Loss: .01})
		p := newPair(t, Config{Interleave: true, MaxSendBuffer: 64 << 20}, ab, ba)
		p.a[1] = New(Config{Interleave: true, Rand: seeded(9), Budget: c.budget})
		p.Ends[1] = p.a[1]
		p.connect()
		for sid := range c.streams {
			p.write(0, sid, body(int(sid), 250<<10), SendOptions{})
		}
		done := p.Run(5*time.Minute, func() bool {
			_, closed := p.closed(1)
			return closed || len(p.got[1]) == int(c.streams)
		})
		err, closed := p.closed(1)
		if !done || closed == c.ok || (closed && err != ErrPeerMessage) {
			t.Errorf("%d streams: done %v, closed %v: %v; %d messages", c.streams, done, closed, err, len(p.got[1]))
		}
		if held := p.a[1].rx.data.limit; held > DefaultMaxReceiveMemory {
			t.Errorf("window %d", held)
		}
	}
}
