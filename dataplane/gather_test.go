package dataplane

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

// crowd is a publisher of video and its viewers on a shard that is loaded, or
// is not.
type crowd struct {
	*rig
	pub     *peer
	stream  *Stream
	viewers []*peer
	routes  []*Route
	seq     uint16
	body    []byte
}

func newCrowd(t testing.TB, shards, viewers int, loaded bool) *crowd {
	c := &crowd{rig: newRig(t, shards), body: append(bytes.Clone(interPayload), make([]byte, 1000)...)}
	c.pub = c.newPeer(0, srtp.AEAD_AES_128_GCM)
	c.stream = c.pub.publish()[0]
	for i := range viewers {
		v := c.newPeer(i%shards, srtp.AEAD_AES_128_GCM)
		route, _ := v.view(c.stream)
		c.viewers, c.routes = append(c.viewers, v), append(c.routes, route)
	}
	c.deliver(0, c.pub.addr, c.part(true, keyPayload))
	c.setLoaded(loaded)
	c.received()
	return c
}

// setLoaded begins a window whose end is out of sight.
func (c *crowd) setLoaded(on bool) {
	for _, s := range c.e.shards {
		s.gather.loaded, s.gather.from = on, c.now.Add(time.Hour)
	}
}

// part is one packet of a frame, the last one if so said.
func (c *crowd) part(last bool, payload []byte) []byte {
	c.seq++
	return c.pub.rtp(rtp.Header{PayloadType: vp8PT, Seq: c.seq, Timestamp: 3000, SSRC: 77, Marker: last,
		Extensions: []rtp.ExtPair{{ID: midExt, Data: []byte("v")}}}, payload)
}

// arrive delivers n packets in one read, the last of which ends the frame or
// does not.
func (c *crowd) arrive(n int, ends bool) {
	var burst [][]byte
	for i := range n {
		burst = append(burst, c.part(ends && i == n-1, c.body))
	}
	c.deliver(0, c.pub.addr, burst...)
}

// received is how many packets came to each viewer, and in how many runs of
// more than one they came to all; each packet is authenticated, its numbering
// without a gap.
func (c *crowd) received() (each, runs int) {
	c.t.Helper()
	for i, v := range c.viewers {
		media, _ := v.received()
		for k, p := range media {
			if k > 0 && p.Seq != media[k-1].Seq+1 {
				c.t.Fatalf("viewer %d: %d behind %d", i, p.Seq, media[k-1].Seq)
			}
			if pl := p.Payload(); len(pl) == len(c.body) && !bytes.Equal(pl, c.body) {
				c.t.Fatalf("viewer %d: payload changed", i)
			}
		}
		if i > 0 && len(media) != each {
			c.t.Fatalf("viewer %d got %d packets, the ones before %d", i, len(media), each)
		}
		each = len(media)
	}
	for _, f := range c.conns {
		runs += f.runs
		f.runs = 0
	}
	return each, runs
}

func (c *crowd) want(each, runs int) {
	c.t.Helper()
	if n, r := c.received(); n != each || r != runs {
		c.t.Fatalf("%d packets for each viewer in %d runs, want %d in %d", n, r, each, runs)
	}
}

// allFree checks that no cell was lost.
func (c *crowd) allFree() {
	c.t.Helper()
	c.step()
	for _, s := range c.e.shards {
		if got := len(s.slab.free); got != slabCells-inBatch || s.gather.held != 0 || s.gather.until != 0 || len(s.waiting) != 0 {
			c.t.Errorf("shard %d: %d free cells of %d, %d held, until %v, %d streams wait", s.index, got, slabCells-inBatch, s.gather.held, s.gather.until, len(s.waiting))
		}
	}
}

func TestFrameThatArrivesInPartsLeavesInOneRun(t *testing.T) {
	for _, shards := range []int{1, 2} {
		c := newCrowd(t, shards, 10, true)
		c.arrive(3, false)
		c.want(0, 0)
		if at := c.e.shards[0].deadline(); at == 0 || at > c.now.Add(gatherDelay) {
			t.Fatalf("the data lane waits until %v, the burst until %v", at, c.now.Add(gatherDelay))
		}
		c.now = c.now.Add(200 * time.Microsecond)
		c.arrive(2, false)
		c.want(0, 0)
		c.now = c.now.Add(200 * time.Microsecond)
		c.arrive(2, true)
		c.want(7, 10)
		c.allFree()
	}
}

func TestIdleServerLetsNothingWait(t *testing.T) {
	for name, c := range map[string]*crowd{
		"not loaded":    newCrowd(t, 1, 10, false),
		"few receivers": newCrowd(t, 1, gatherLegs-1, true),
		"switched off":  newCrowd(t, 1, 10, true),
	} {
		if name == "switched off" {
			c.e.shards[0].gather.delay = -1
		}
		c.arrive(2, false)
		if each, _ := c.received(); each != 2 {
			t.Errorf("%s: %d packets", name, each)
		}
		c.allFree()
	}
}

func TestLoadIsWhatTheShardSends(t *testing.T) {
	now, sent := mono.Time(time.Hour), uint64(0)
	g := gather{from: now}
	for _, step := range []struct {
		rate uint64
		want bool
	}{{0, false}, {gatherRate - 100, false}, {gatherRate, true}, {gatherRate * 3, true}, {gatherRate / 2, false}} {
		for range 10 { // 10 ms each
			now = now.Add(gatherWindow / 10)
			sent += step.rate / 100
			g.note(now, sent)
		}
		if g.loaded != step.want {
			t.Errorf("%d packets a second: loaded %v", step.rate, g.loaded)
		}
	}
}

func TestWholeFramesAndLongBurstsDoNotWait(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	c.arrive(4, true)
	c.want(4, 5)
	c.arrive(gatherEnough, false)
	c.want(gatherEnough, 5)
	c.allFree()
}

func TestWaitEndsAtItsBound(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	c.arrive(2, false)
	c.now = c.now.Add(gatherDelay - 1)
	c.step()
	c.want(0, 0)
	c.now = c.now.Add(1)
	c.step()
	c.want(2, 5)
	c.allFree()
}

// A sender that paces itself sends the rest of a frame much later: fewer and
// fewer bursts wait for it, and all do again once waiting is of use.
func TestWaitingInVainBecomesRare(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	waited := 0
	burst := func() {
		c.arrive(2, false)
		if n, _ := c.received(); n == 0 {
			waited++
		}
		c.now = c.now.Add(5 * time.Millisecond)
		c.setLoaded(true)
		c.step()
		c.received()
	}
	for range 1000 {
		burst()
	}
	if most := gatherVain + 1000>>gatherVain + 1; waited > most || waited <= gatherVain {
		t.Fatalf("%d of 1000 bursts waited, expected more than %d, at most %d", waited, gatherVain, most)
	}
	for range 1 << gatherVain {
		c.arrive(1, false)
		if n, _ := c.received(); n == 0 {
			break
		}
	}
	c.arrive(1, true)
	c.received()
	for range 10 {
		c.arrive(1, false)
		c.want(0, 0)
		c.arrive(1, true)
		c.want(2, 5)
	}
	c.allFree()
}

// What changes who receives, or ends a stream, finds the burst sent: it was
// received before.
func TestUpdateFindsNoBurstWaiting(t *testing.T) {
	for name, update := range map[string]func(c *crowd){
		"a receiver leaves":       func(c *crowd) { c.routes[4].Close(nil) },
		"the source leaves":       func(c *crowd) { c.pub.tr.Close(nil) },
		"nothing is received now": func(c *crowd) { c.pub.tr.SetReceivers(Receivers{}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, 1, 5, true)
			taps := 0
			c.stream.SetTap(func(_ mono.Time, from *Transport, vs []rtp.View) {
				if taps += len(vs); from != c.pub.tr {
					t.Errorf("the tap was told of transport %p", from)
				}
			})
			c.arrive(2, false)
			c.want(0, 0)
			update(c)
			c.step()
			c.want(2, 5)
			if taps != 2 {
				t.Errorf("the tap saw %d packets", taps)
			}
			c.allFree()
		})
	}
}

func TestWaitingPacketsAreBounded(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	s := c.e.shards[0]
	s.gather.held = gatherPackets - 3
	c.arrive(2, false)
	c.want(0, 0)
	c.arrive(2, false)
	c.want(4, 5)
	s.gather.held -= gatherPackets - 3
	c.allFree()

	// With hardly a cell free, what other shards may need is left to them.
	c = newCrowd(t, 1, 5, true)
	s = c.e.shards[0]
	taken := s.slab.free
	s.slab.free = taken[:1:1]
	c.arrive(2, false)
	c.want(2, 5)
	s.slab.free = append(taken[1:], s.slab.free...)
	c.allFree()
}

func TestPanicWhileABurstWaitsLosesNoCell(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	s := c.e.shards[0]
	c.arrive(2, false)
	s.Post(func(*Shard, mono.Time) {
		for i := range 2 { // in the turn that holds cells of its own batch
			c.stream.enqueue(packet{cell: s.cells[i], v: c.stream.burst0(t, c)})
		}
		if !s.keepCells(c.stream) {
			t.Error("no cells to keep")
		}
		panic("broken")
	})
	s.turn(2)
	c.allFree()
}

// burst0 is a view of some packet.
func (st *Stream) burst0(t *testing.T, c *crowd) rtp.View {
	h := rtp.Header{PayloadType: vp8PT, SSRC: 77}
	v, ok := rtp.Parse(append(h.Append(nil), c.body...))
	if !ok {
		t.Fatal("no RTP")
	}
	return v
}

func TestWaitingAllocatesNothing(t *testing.T) {
	c := newCrowd(t, 1, 5, true)
	s := c.e.shards[0]
	s.conn.(*fakeConn).keep = false
	const rounds = 50
	var parts [2 * (rounds + 2)][]byte
	for i := range parts {
		parts[i] = c.part(i%2 == 1, c.body)
	}
	i := 0
	one := func() {
		m := &s.msgs[0]
		m.Buf = append(m.Buf[:0], parts[i]...)
		m.Addr, m.At = c.pub.addr, c.now
		s.step(c.now, 1)
		i++
	}
	n := testing.AllocsPerRun(rounds, func() {
		one()
		if len(s.waiting) != 1 {
			t.Fatal("the burst does not wait")
		}
		one()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
