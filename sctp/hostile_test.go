package sctp

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/simtest"
)

// hostile makes random chunks of a peer which knows the tags and the state.
type hostile struct {
	rng *rand.Rand
	a   *Association
}

func (h *hostile) near(v uint32) uint32 {
	switch h.rng.IntN(8) {
	case 0:
		return h.rng.Uint32()
	case 1:
		return v + uint32(h.rng.IntN(70000))
	default:
		return v + uint32(h.rng.IntN(64)) - 16
	}
}

func (h *hostile) bytes(n int) []byte {
	b := make([]byte, h.rng.IntN(n+1))
	for i := range b {
		b[i] = byte(h.rng.Uint32())
	}
	return b
}

func (h *hostile) chunk() []byte {
	r := h.rng
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		return appendData(nil, &dataChunk{
			flags: uint8(r.IntN(16)), tsn: h.near(h.a.rx.cum + 1), sid: uint16(h.near(0)), ssn: uint16(h.near(0)),
			idata: h.a.peer.interleave, mid: h.near(0), fsn: h.near(0),
			ppid: uint32(50 + r.IntN(8)), payload: h.bytes(1000),
		})
	case 4, 5:
		var gaps []tsnRange
		cum := h.near(h.a.tx.base)
		for at := cum; r.IntN(4) != 0; {
			first := at + 1 + uint32(r.IntN(4))
			last := first + uint32(r.IntN(4))
			gaps, at = append(gaps, tsnRange{first, last}), last
		}
		return appendSack(nil, cum, r.Uint32()>>uint(r.IntN(32)), gaps, nil)
	case 6:
		var list []skip
		for range r.IntN(5) {
			list = append(list, skip{sid: uint16(h.near(0)), mid: uint32(uint16(r.Uint32()))})
		}
		if h.a.peer.interleave {
			return appendForward(nil, typeIForwardTSN, h.near(h.a.rx.cum), list)
		}
		return appendForward(nil, typeForwardTSN, h.near(h.a.rx.cum), list)
	case 7:
		return resetRequest(h.near(h.a.rc.peerNext), h.near(h.a.rx.cum), uint16(r.IntN(8)), uint16(h.near(0)))
	case 8:
		v := append(be32(h.near(h.a.rc.next)), be32(uint32(r.IntN(8)))...)
		return appendChunk(nil, typeReconfig, 0, appendParam(nil, uint16(13+r.IntN(6)), append(v, h.bytes(20)...)))
	case 9:
		return appendChunk(nil, typeHeartbeat+chunkType(r.IntN(2)), 0, appendParam(nil, 1, h.bytes(200)))
	case 10:
		return appendChunk(nil, chunkType(r.Uint32()), uint8(r.IntN(4)), h.bytes(60))
	default:
		return h.bytes(40)
	}
}

// packet holds random chunks, ABORT and SHUTDOWN excepted most of the time.
func (h *hostile) packet() []byte {
	b := appendHeader(nil, header{5000, 5000, h.a.tag})
	for len(b) < 1100 && h.rng.IntN(5) != 0 {
		c := h.chunk()
		if len(c) > 0 && h.rng.IntN(50) != 0 {
			switch chunkType(c[0]) {
			case typeAbort, typeShutdown, typeShutdownAck:
				continue
			}
		}
		b = append(b, c...)
	}
	seal(b)
	return b
}

// invariants of an association, whatever its peer does.
func (a *Association) invariants(t testing.TB) {
	t.Helper()
	d := &a.rx.data
	limit := d.limit
	if b := a.cfg.Budget; b != nil {
		limit = max(limit, d.floor+b.limit)
		if b.used < 0 || b.used > b.limit {
			t.Fatalf("%d of the budget used", b.used)
		}
	}
	if d.bytes < 0 || d.entries < 0 || d.promise < 0 || d.bytes > 2*limit || d.entries*entrySize > 2*limit {
		t.Fatalf("receive buffer: %d bytes, %d entries", d.bytes, d.entries)
	}
	if len(a.rx.ranges) > maxRanges || len(a.rx.dups) > maxDuplicates {
		t.Fatalf("%d ranges", len(a.rx.ranges))
	}
	flight, marked := 0, 0
	for tsn := a.tx.base; tsn != a.tx.end(); tsn++ {
		c := a.tx.at(tsn)
		switch c.where {
		case flying:
			flight += int(c.n)
		case lost:
			marked += int(c.n)
		}
	}
	if flight != a.tx.flight || marked != a.tx.marked || a.tx.cost < 0 || a.tx.pending < 0 {
		t.Fatalf("flight %d, counted %d; marked %d, counted %d; cost %d; pending %d", a.tx.flight, flight, a.tx.marked, marked, a.tx.cost, a.tx.pending)
	}
	for p, l := range a.tx.lists {
		n, tsn := 0, l.first
		for ; n < l.n && a.tx.at(tsn).where == place(p); n++ {
			if n+1 < l.n {
				tsn = a.tx.at(tsn).next
			}
		}
		if n != l.n || (n > 0 && tsn != l.last) {
			t.Fatalf("list %d: %d of %d linked", p, n, l.n)
		}
	}
	if r := &a.tx.ranks; r.live < 0 || len(r.heap) > 2*(r.live+1)+64 {
		t.Fatalf("%d ranked, %d live", len(r.heap), r.live)
	}
	if a.control.len() > maxControl || a.outbox.len() > maxOutbox {
		t.Fatal("control output unbounded")
	}
	if a.state != stateClosed && a.tx.outstanding() && a.tx.t3 == 0 && a.state >= stateEstablished {
		t.Fatalf("data outstanding and no timer: state %d count %d flight %d marked %d first %+v advanced %d", a.state, a.tx.count, a.tx.flight, a.tx.marked, *a.tx.at(a.tx.base), a.tx.advanced-a.tx.base)
	}
}

func TestClass24_HostilePeerIsBounded(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() || raceEnabled {
		seeds = 20
	}
	for seed := range seeds {
		wide := seed&1 == 1
		a := established(t, Config{Rand: seeded(seed), Interleave: wide, ServeReconfig: seed&2 != 0, MaxSendBuffer: 200 << 10})
		if seed&4 != 0 {
			a.cfg.Budget = NewBudget(64 << 10)
		}
		a.SetParts(uint16(seed%8), true)
		a.peer.interleave, a.rx.data.wide = wide, wide
		a.tx.size(a.cfg.MTU, a.cfg.MTU, wide)
		h := &hostile{rand.New(rand.NewPCG(seed, 3)), a}
		now := simtest.Epoch
		held := map[uint16]int{}
		for range 2000 {
			now += mono.Time(h.rng.IntN(20)) * mono.Time(time.Millisecond)
			_ = a.HandlePacket(now, h.packet())
			if at := a.Timeout(); at != 0 && at <= now {
				a.HandleTimeout(now)
			}
			if h.rng.IntN(3) == 0 {
				_ = a.Write(now, uint16(h.rng.IntN(8)), 53, make([]byte, 1+h.rng.IntN(3000)),
					SendOptions{Reliability: Reliability(h.rng.IntN(4)), Value: uint32(h.rng.IntN(3)), Unordered: h.rng.IntN(2) == 0})
			}
			if h.rng.IntN(50) == 0 {
				_ = a.ResetStreams(now, []uint16{uint16(h.rng.IntN(8))})
			}
			if h.rng.IntN(100) == 0 {
				_ = a.ResetNumbers(now)
			}
			if h.rng.IntN(10) == 0 {
				_ = a.WritePart(now, uint16(h.rng.IntN(8)), 53, make([]byte, 1+h.rng.IntN(3000)), h.rng.IntN(2) == 0, SendOptions{})
			}
			if out, _ := drain(a, now); len(out) > 4000 {
				t.Fatalf("seed %d: %d chunks for one packet", seed, len(out))
			}
			for {
				e, ok := a.Event()
				if !ok {
					break
				}
				if held[e.SID] += len(e.Data); h.rng.IntN(2) == 0 {
					a.Consume(e.SID, held[e.SID])
					held[e.SID] = 0
				}
			}
			a.invariants(t)
			if a.state == stateClosed {
				break
			}
		}
	}
}

// heap measures what f leaves behind.
func heap(f func() *Association) (int64, *Association) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc), a
}

// TestClass24_MemoryUnderFloods: each flood is a way to make a receiver hold
// much for little.
func TestClass24_MemoryUnderFloods(t *testing.T) {
	flood := func(n int, make func(i uint32) dataChunk) func() *Association {
		return func() *Association {
			a := established(t, Config{})
			for i := range uint32(n) {
				d := make(i)
				_ = a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &d)))
				if i%64 == 0 {
					drain(a, simtest.Epoch)
				}
				if a.state == stateClosed {
					break
				}
			}
			drain(a, simtest.Epoch)
			return a
		}
	}
	one, big := []byte{1}, make([]byte, 1000)
	for name, f := range map[string]func() *Association{
		"tiny fragments with gaps": flood(200000, func(i uint32) dataChunk { return dataChunk{tsn: 1001 + 2*i, payload: one} }),
		"tiny fragments":           flood(200000, func(i uint32) dataChunk { return dataChunk{tsn: 1000 + i, payload: one, sid: uint16(i)} }),
		"begins without end":       flood(200000, func(i uint32) dataChunk { return dataChunk{flags: flagBegin, tsn: 1000 + i, payload: big} }),
		"message without end": flood(200000, func(i uint32) dataChunk {
			if i == 0 {
				return dataChunk{flags: flagBegin, tsn: 1000, payload: big}
			}
			return dataChunk{tsn: 1000 + i, payload: big}
		}),
		"messages nobody reads":  flood(200000, func(i uint32) dataChunk { return dataChunk{flags: 7, tsn: 1000 + i, payload: big} }),
		"tiny, nobody reads":     flood(200000, func(i uint32) dataChunk { return dataChunk{flags: 7, tsn: 1000 + i, payload: one} }),
		"every stream":           flood(200000, func(i uint32) dataChunk { return dataChunk{flags: 3, tsn: 1000 + i, sid: uint16(i), payload: one} }),
		"ahead of its order":     flood(200000, func(i uint32) dataChunk { return dataChunk{flags: 3, tsn: 1000 + i, ssn: uint16(1 + i), payload: one} }),
		"a window, then filling": flood(200000, func(i uint32) dataChunk { return dataChunk{flags: 3, tsn: 1000 + (60000-i)&0xffff, payload: big} }),
	} {
		t.Run(name, func(t *testing.T) {
			n, a := heap(f)
			if limit := int64(12 * DefaultMaxReceiveBuffer); n > limit {
				t.Errorf("%d KiB held, at most %d expected", n>>10, limit>>10)
			}
			runtime.KeepAlive(a)
		})
	}
}

func TestClass24_ManyResetsAndForwardsAreCheap(t *testing.T) {
	// Chunks which each cost a walk count once in a packet.
	a := established(t, Config{})
	for i := range uint32(2000) {
		d := dataChunk{flags: flagBegin, tsn: 1001 + 2*i, payload: []byte{1}}
		_ = a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &d)))
	}
	drain(a, simtest.Epoch)
	var chunks [][]byte
	for i := range uint32(100) {
		chunks = append(chunks, appendForward(nil, typeForwardTSN, 1000+i, nil))
	}
	_ = a.HandlePacket(simtest.Epoch, packet(a.tag, chunks...))
	if a.rx.cum != 1001 { // 1000 forwarded, 1001 was there
		t.Error(a.rx.cum)
	}
}

func TestClass24_OversizeMessageEndsTheAssociation(t *testing.T) {
	for _, size := range []int{5000, 5001} {
		a := established(t, Config{MaxMessageSize: 5000})
		for i := 0; i < size; i += 1000 {
			d := dataChunk{tsn: 1000 + uint32(i/1000), payload: make([]byte, min(1000, size-i))}
			if i == 0 {
				d.flags |= flagBegin
			}
			if i+1000 >= size {
				d.flags |= flagEnd
			}
			_ = a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &d)))
		}
		e, _ := a.Event()
		if size <= 5000 && (e.Kind != EventMessage || len(e.Data) != size) {
			t.Errorf("%d: %+v", size, e)
		}
		if size > 5000 && (e.Kind != EventClosed || e.Err != ErrPeerMessage) {
			t.Errorf("%d: %+v", size, e)
		}
	}
}

func TestClass24_NamesOfRemoteChannelsAreBounded(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	long := make([]byte, maxName)
	for n := range 100 {
		id := uint16(2 * n)
		_, err := p.c[0].Open(p.Now, ChannelParams{Label: string(long), ID: &id})
		if err != nil {
			t.Fatal(err)
		}
		p.Sleep(time.Second)
	}
	if n := len(p.c[1].channels); n != maxRemoteNames/maxName || p.c[1].names > maxRemoteNames {
		t.Errorf("%d channels, %d bytes", n, p.c[1].names)
	}
}

func TestEmptyDataAborts(t *testing.T) {
	a := established(t, Config{})
	_ = a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 3, tsn: 1000})))
	out, _ := drain(a, simtest.Epoch)
	c := has(out, typeAbort)
	if c == nil || binary.BigEndian.Uint16(c.value) != causeNoUserData || binary.BigEndian.Uint32(c.value[4:]) != 1000 {
		t.Errorf("%+v", out)
	}
}

func TestInvalidStreamIsReportedAndAcknowledged(t *testing.T) {
	a := established(t, Config{MaxStreams: 10})
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 11, tsn: 1000, sid: 10, payload: []byte("x")}))))
	out, _ := drain(a, simtest.Epoch)
	if c := has(out, typeError); c == nil || binary.BigEndian.Uint16(c.value) != causeInvalidStream {
		t.Errorf("%+v", out)
	}
	if s, _ := parseSack(*has(out, typeSack)); s.cum != 1000 {
		t.Errorf("%+v", s)
	}
}

// FuzzAssociation feeds an established association with what the fuzzer makes
// of a packet's body; tag and checksum are right.
func FuzzAssociation(f *testing.F) {
	f.Add(appendData(nil, &dataChunk{flags: 3, tsn: 1000, sid: 2, ppid: 51, payload: []byte("hello")}), []byte{})
	f.Add(appendSack(nil, 0, 2, []tsnRange{{3, 4}}, nil), appendForward(nil, typeForwardTSN, 1005, []skip{{sid: 1, mid: 1}}))
	f.Add(resetRequest(1000, 1001, 1, 2), appendData(nil, &dataChunk{flags: 3, tsn: 1001, payload: []byte("x")}))
	f.Add(appendChunk(nil, typeShutdown, 0, be32(0)), appendChunk(nil, typeShutdownAck, 0, nil))
	f.Add(appendData(nil, &dataChunk{flags: 3, tsn: 1000, ppid: 50, payload: appendOpen(nil, &ChannelParams{Label: "x"})}), []byte{})
	f.Add(appendData(nil, &dataChunk{idata: true, flags: 2, tsn: 1000, ppid: 50, payload: []byte("x")}), appendForward(nil, typeIForwardTSN, 1005, []skip{{sid: 0, mid: 1}}))
	long := func(flags uint8, tsn uint32) []byte {
		return appendData(nil, &dataChunk{flags: flags, tsn: tsn, sid: 2, ppid: 51, payload: make([]byte, 60)})
	}
	f.Add(append(long(flagBegin, 1000), append(long(0, 1002), long(flagEnd, 1003)...)...), append(long(0, 1001), 0, 0))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		cfg := Config{Interleave: true, ServeReconfig: len(second)&1 == 1, Budget: NewBudget(1 << 20)}
		if len(second)&2 == 2 {
			cfg.MaxMessageSize, cfg.MaxPartsSize = 100, 150
		}
		a := established(t, cfg)
		a.rx.data.refuses = len(second)&2 == 2
		a.SetParts(2, true)
		if len(first) > 0 && first[0] == byte(typeIData) {
			a.peer.interleave, a.rx.data.wide = true, true
			a.tx.size(a.cfg.MTU, a.cfg.MTU, true)
		}
		c := &Channels{assoc: a, channels: make(map[uint16]*channel), connected: true}
		now := simtest.Epoch
		_, _ = c.Open(now, ChannelParams{Label: "ours"})
		_ = c.Send(now, 1, false, make([]byte, 20000))
		for _, b := range [][]byte{first, second} {
			if len(b) == 0 {
				continue
			}
			_ = c.HandlePacket(now, packet(a.tag, b))
			for range 20 {
				drain(a, now)
				c.pump(now)
				a.invariants(t)
				if now = c.Timeout(); now == 0 {
					break
				}
				c.HandleTimeout(now)
			}
			if now == 0 {
				now = simtest.Epoch
			}
		}
	})
}

// FuzzPacket feeds raw packets in every state.
func FuzzPacket(f *testing.F) {
	f.Add(packet(0, appendInit(nil, typeInit, &initChunk{tag: 1, out: 1, in: 1})))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range []*Association{New(Config{Rand: seeded(1)}), established(t, Config{}), New(Config{Rand: seeded(2)})} {
			if a.state == stateIdle && a.tag&1 == 0 {
				a.Start(simtest.Epoch)
			}
			_ = a.HandlePacket(simtest.Epoch, b)
			if len(b) >= headerLen {
				fixed := append([]byte(nil), b...)
				seal(fixed)
				_ = a.HandlePacket(simtest.Epoch, fixed)
			}
			drain(a, simtest.Epoch)
			a.invariants(t)
		}
	})
}
