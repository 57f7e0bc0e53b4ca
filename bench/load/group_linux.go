package load

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
)

// A Group is a publisher and its viewers at one server. The loop owns it.
type Group struct {
	loop      *Loop
	kind      Kind
	addr      netip.Addr // of the clients' sockets
	plain     bool
	nack      bool
	cm80      bool
	sink      bool
	publisher *client
	viewers   []*client

	source  source
	active  bool
	base    mono.Time // when the source's clock stood at elapsed
	elapsed time.Duration
	speed   float64 // of that clock
	seq     uint16
	twcc    uint16
	sent    uint32 // ever: the index of the next packet
	first   uint32 // index of the stretch's first packet
	got     uint64
	late    uint64     // arrived in this stretch, of before it
	bad     uint64     // packets that do not authenticate, or hold no stamp
	chance  *rand.Rand // nil: nothing is dropped
	loss    float64
	lost    uint64 // media packets dropped on arrival
	mended  uint64 // of those missing, delivered later
	ask     []uint16
	delays  []int32 // µs
	shots   []shot
	packet  []byte
	out     []byte
}

// Result is a measured stretch.
type Result struct {
	Sent      uint64  // packets published
	Expected  uint64  // the same times viewers
	Delivered uint64  // packets that arrived and authenticated, each once
	Late      uint64  // those of before that arrived meanwhile
	Bad       uint64  // packets that did not
	Dropped   uint64  // media packets that the load itself dropped on arrival
	Repaired  uint64  // packets that were missing and came when asked for
	Silent    int     // viewers that received nothing
	P50, P99  float64 // µs from the publisher's send to the viewer's socket
	Stall     float64 // µs of the load's longest turn: with much more than a tick it is late itself
}

// Loss is the part of the packets, in percent, that did not arrive.
func (r *Result) Loss() float64 {
	if r.Expected == 0 {
		return 0
	}
	return 100 * (1 - float64(r.Delivered)/float64(r.Expected))
}

func newGroup(l *Loop, j Joining) *Group {
	kind := j.Kind
	return &Group{loop: l, kind: kind, addr: j.Addr, plain: j.Plain, nack: j.NACK, sink: j.Sink, cm80: j.CM80, source: source{kind: kind, busy: j.Busy, paced: j.Paced}, base: mono.Now(), speed: 1, packet: make([]byte, 0, 1500), out: make([]byte, 1600)}
}

// clock is the source's.
func (g *Group) clock(now mono.Time) time.Duration {
	return g.elapsed + time.Duration(float64(now.Sub(g.base))*g.speed)
}

// pace changes the clock's speed.
func (g *Group) pace(now mono.Time, speed float64) {
	g.elapsed, g.base, g.speed = g.clock(now), now, speed
}

// begin lets the k-th of n groups that publish together do so.
func (g *Group) begin(now mono.Time, k, n int) {
	g.source.skip(g.clock(now))
	g.source.stagger(k, n)
	g.active = true
}

// reset begins a stretch, with a key frame at once or, of the later groups, in
// their turn. What was sent before does not count, even if it arrives now.
func (g *Group) reset(now mono.Time, k, n int) {
	if !g.active {
		g.begin(now, k, n)
	}
	g.source.staggerKeys(k, n)
	g.first, g.got, g.late, g.bad, g.lost, g.mended, g.delays = g.sent, 0, 0, 0, 0, 0, g.delays[:0]
	for _, v := range g.viewers {
		v.received = false
		v.seen.clear()
	}
}

// lose drops a share of the packets that arrive, always the same by their
// count; 0 ends it.
func (g *Group) lose(share float64) {
	g.loss, g.chance = share, nil
	if share > 0 {
		g.chance = rand.New(rand.NewPCG(1, 2))
	}
}

// loses decides about the next packet.
func (g *Group) loses() bool { return g.chance != nil && g.chance.Float64() < g.loss }

// results sums up groups that published together.
func results(groups []*Group) (r Result) {
	var delays []int32
	for _, g := range groups {
		sent := uint64(g.sent - g.first)
		r.Sent += sent
		r.Expected += sent * uint64(len(g.viewers))
		r.Delivered += g.got
		r.Late += g.late
		r.Bad += g.bad
		r.Dropped += g.lost
		r.Repaired += g.mended
		for _, v := range g.viewers {
			if !v.received {
				r.Silent++
			}
		}
		delays = append(delays, g.delays...)
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		r.P50 = float64(delays[len(delays)/2])
		r.P99 = float64(delays[len(delays)*99/100])
	}
	return r
}

func (g *Group) count(ns int64) {
	g.got++
	g.delays = append(g.delays, int32(min(max(ns/1000, 0), math.MaxInt32)))
}

// publish sends what is due.
func (g *Group) publish(now mono.Time) {
	g.shots = g.source.due(g.clock(now), g.shots[:0])
	for _, s := range g.shots {
		g.send(s)
	}
}

func (g *Group) timestamp(at time.Duration) uint32 {
	rate := int64(90000)
	if g.kind == Audio {
		rate = 48000
	}
	return uint32(int64(at) * rate / int64(time.Second))
}

func (g *Group) send(s shot) {
	c := g.publisher
	h := rtp.Header{Marker: s.marker, PayloadType: c.pt, Seq: g.seq, Timestamp: g.timestamp(s.at), SSRC: c.ssrc}
	var ext [1]rtp.ExtPair
	if c.twcc != 0 {
		ext[0] = rtp.ExtPair{ID: c.twcc, Data: []byte{byte(g.twcc >> 8), byte(g.twcc)}}
		h.Extensions = ext[:]
		g.twcc++
	}
	g.seq++
	size := videoPacket
	if g.kind == Audio {
		size = audioPacket
	}
	b := h.Append(g.packet[:0])
	head := len(b)
	b = b[:size]
	payload := b[head:]
	if g.kind == Video {
		describe(payload, s)
	}
	putStamp(payload, time.Now().UnixNano(), g.sent)
	g.sent++
	c.packets++
	if c.out == nil {
		send(c.fd, b)
		return
	}
	if n, err := c.out.Protect(g.out, b); err == nil {
		send(c.fd, g.out[:n])
	}
}

// describe writes a VP8 payload descriptor (RFC 7741 §4.2) and the beginning
// of the frame (RFC 6386 §9.1).
func describe(payload []byte, s shot) {
	clear(payload[:11])
	if !s.first {
		return
	}
	payload[0] = 0x10
	if s.key {
		copy(payload[4:], []byte{0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01})
	} else {
		payload[1] = 1
	}
}
