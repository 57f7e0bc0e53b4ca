package sctp

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

// packet makes a sealed packet for a from its peer.
func packet(tag uint32, chunks ...[]byte) []byte {
	b := appendHeader(nil, header{5000, 5000, tag})
	for _, c := range chunks {
		b = append(b, c...)
	}
	seal(b)
	return b
}

// drain returns the chunks which a wants to send, and the tag of each.
func drain(a *Association, now mono.Time) (out []chunk, tags []uint32) {
	var buf [2048]byte
	for {
		n := a.Transmit(now, buf[:])
		if n == 0 {
			return out, tags
		}
		h, err := parseHeader(buf[:n], true)
		if err != nil {
			panic(err)
		}
		for b := bytes.Clone(buf[headerLen:n]); len(b) > 0; {
			c, rest, ok := nextChunk(b)
			if !ok {
				panic("malformed output")
			}
			out, tags, b = append(out, c), append(tags, h.tag), rest
		}
	}
}

func has(out []chunk, typ chunkType) *chunk {
	for i := range out {
		if out[i].typ == typ {
			return &out[i]
		}
	}
	return nil
}

// established returns one association which is up and talks to nobody: the
// test speaks for its peer, with tag 77 and initial TSN 1000.
func established(t testing.TB, cfg Config) *Association {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = seeded(42)
	}
	a := New(cfg)
	now := simtest.Epoch
	init := initChunk{tag: 77, tsn: 1000, window: 1 << 20, out: 65535, in: 65535, forwardTSN: true, reconfig: true}
	must(t, a.HandlePacket(now, packet(0, appendInit(nil, typeInit, &init))))
	out, _ := drain(a, now)
	ack, ok := parseInit(*has(out, typeInitAck))
	if !ok {
		t.Fatal("bad INIT ACK")
	}
	must(t, a.HandlePacket(now, packet(ack.tag, appendChunk(nil, typeCookieEcho, 0, ack.cookie))))
	if out, _ := drain(a, now); a.state != stateEstablished || has(out, typeCookieAck) == nil {
		t.Fatal("not established")
	}
	if e, _ := a.Event(); e.Kind != EventConnected {
		t.Fatal(e)
	}
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandshakeSurvivesTheLossOfAnyPacket(t *testing.T) {
	for _, simultaneous := range []bool{false, true} {
		for drop := range 10 {
			ab, ba := plain()
			p := newPair(t, Config{}, ab, ba)
			i := 0
			p.Tap = func(from int, _ []byte) {
				p.Links[from].SetDown(i == drop)
				p.Links[1-from].SetDown(false)
				i++
			}
			p.a[0].Start(p.Now)
			if simultaneous {
				p.a[1].Start(p.Now)
			}
			p.write(0, 1, body(1, 3000), SendOptions{})
			p.write(1, 1, body(2, 3000), SendOptions{})
			if !p.Run(10*time.Second, func() bool { return len(p.got[0]) == 1 && len(p.got[1]) == 1 }) {
				t.Fatalf("both %v, drop %d: %v", simultaneous, drop, p.other)
			}
			for e := range 2 {
				if n := p.count(e, EventConnected); n != 1 {
					t.Errorf("both %v, drop %d: end %d connected %d times", simultaneous, drop, e, n)
				}
			}
		}
	}
}

func TestHandshakeOnATerriblePath(t *testing.T) {
	for seed := range uint64(100) {
		ab, ba := both(seed, netem.Config{Loss: .4, Duplicate: .3, Reorder: .3, Corrupt: .05, Delay: 50 * time.Millisecond})
		p := newPair(t, Config{MaxInitRetransmits: 50}, ab, ba)
		p.a[0].Start(p.Now)
		p.Sleep(time.Duration(seed) * 3 * time.Millisecond)
		p.a[1].Start(p.Now)
		if !p.Run(10*time.Minute, func() bool { return p.up(0) && p.up(1) }) {
			t.Fatalf("seed %d", seed)
		}
		if p.a[0].peer.tag != p.a[1].tag || p.a[1].peer.tag != p.a[0].tag {
			t.Fatalf("seed %d: tags differ", seed)
		}
	}
}

func TestStaleCookieIsRefusedAndTheHandshakeBeginsAnew(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{CookieLife: 10 * time.Millisecond}, ab, ba) // a round trip is 20
	p.a[1].cfg.CookieLife = 10 * time.Millisecond
	p.a[0].Start(p.Now)
	p.Sleep(100 * time.Millisecond)
	if p.up(0) || p.up(1) {
		t.Fatal("a stale cookie was taken")
	}
	p.a[1].cfg.CookieLife = time.Minute
	if !p.Run(time.Minute, func() bool { return p.up(0) && p.up(1) }) {
		t.Fatal("did not begin anew")
	}
}

func TestRestartedPeerIsTakenAnew(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.write(0, 1, body(1, 100), SendOptions{})
	p.Sleep(time.Second)
	p.a[1] = New(Config{Rand: seeded(77)})
	p.World.Ends[1] = p.a[1]
	p.a[1].Start(p.Now)
	if !p.Run(10*time.Second, func() bool { return p.up(1) && p.count(0, EventRestarted) == 1 }) {
		t.Fatalf("%v", p.other)
	}
	p.write(0, 1, body(2, 100), SendOptions{})
	p.write(1, 1, body(3, 100), SendOptions{})
	if !p.Run(time.Second, func() bool { return len(p.got[0]) == 1 && len(p.got[1]) == 2 }) {
		t.Fatal("no message after the restart")
	}
	p.Sleep(time.Second)
	p.idle()
}

// TestClass23_TagsAreCheckedOnEveryChunk: nothing with a wrong tag has any
// effect, and the T bit rules hold.
func TestClass23_TagsAreCheckedOnEveryChunk(t *testing.T) {
	abort := func(flags uint8) []byte { return appendError(nil, typeAbort, flags, 0, nil) }
	data := appendData(nil, &dataChunk{flags: 3, tsn: 1000, sid: 1, ppid: 53, payload: []byte("x")})
	ours := established(t, Config{}).tag
	for name, c := range map[string]struct {
		tag    uint32
		chunk  []byte
		ended  bool
		events int
	}{
		"data":                       {ours, data, false, 1},
		"data, peer's tag":           {77, data, false, 0},
		"data, no tag":               {0, data, false, 0},
		"abort":                      {ours, abort(0), true, 1},
		"abort, reflected":           {77, abort(flagT), true, 1},
		"abort, ours with T":         {ours, abort(flagT), false, 0},
		"abort, peer's without T":    {77, abort(0), false, 0},
		"abort, tag 0":               {0, abort(flagT), false, 0},
		"shutdown, wrong":            {77, appendChunk(nil, typeShutdown, 0, be32(0)), false, 0},
		"shutdown complete, not due": {ours, appendChunk(nil, typeShutdownComplete, 0, nil), false, 0},
		"shutdown complete, T":       {77, appendChunk(nil, typeShutdownComplete, flagT, nil), false, 0},
		"shutdown ack, wrong":        {77, appendChunk(nil, typeShutdownAck, 0, nil), false, 0},
		"forward tsn, wrong":         {78, appendForward(nil, typeForwardTSN, 2000, nil), false, 0},
	} {
		a := established(t, Config{})
		cum := a.rx.cum
		err := a.HandlePacket(simtest.Epoch, packet(c.tag, c.chunk))
		n := 0
		for {
			if _, ok := a.Event(); !ok {
				break
			}
			n++
		}
		if (a.state == stateClosed) != c.ended || n != c.events {
			t.Errorf("%s: state %d, %d events, %v", name, a.state, n, err)
		}
		if c.events == 0 && a.rx.cum != cum {
			t.Errorf("%s: moved the cumulative TSN", name)
		}
		if c.events == 0 && err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestClass23_InitIsAloneAndWithoutTag(t *testing.T) {
	init := appendInit(nil, typeInit, &initChunk{tag: 5, tsn: 1, window: 1 << 17, out: 1, in: 1})
	for name, pkt := range map[string][]byte{
		"tag":     packet(1, init),
		"bundled": packet(0, init, appendChunk(nil, typeCookieAck, 0, nil)),
		"second":  packet(0, appendChunk(nil, typeCookieAck, 0, nil), init),
		"tag 0":   packet(0, appendInit(nil, typeInit, &initChunk{tsn: 1, out: 1, in: 1})),
	} {
		a := New(Config{})
		err := a.HandlePacket(simtest.Epoch, pkt)
		if out, _ := drain(a, simtest.Epoch); has(out, typeInitAck) != nil || err == nil {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	a := New(Config{})
	must(t, a.HandlePacket(simtest.Epoch, packet(0, init)))
	if out, tags := drain(a, simtest.Epoch); has(out, typeInitAck) == nil || tags[0] != 5 {
		t.Error("the good INIT is not answered")
	}
	if a.state != stateIdle {
		t.Error("an INIT made state")
	}
	for _, c := range []initChunk{{tag: 5, in: 1}, {tag: 5, out: 1}} { // no streams
		a := New(Config{})
		_ = a.HandlePacket(simtest.Epoch, packet(0, appendInit(nil, typeInit, &c)))
		if out, tags := drain(a, simtest.Epoch); has(out, typeAbort) == nil || tags[0] != 5 {
			t.Error("INIT without streams is not aborted")
		}
	}
}

// TestClass23_InitToALiveAssociationChangesNothing: whoever can inject an INIT
// gets an answer and no more; the cookie is what counts.
func TestClass23_InitToALiveAssociationChangesNothing(t *testing.T) {
	a := established(t, Config{})
	for range 100 {
		must(t, a.HandlePacket(simtest.Epoch, packet(0, appendInit(nil, typeInit, &initChunk{tag: 9, tsn: 5, window: 1500, out: 1, in: 1}))))
		out, tags := drain(a, simtest.Epoch)
		ack, _ := parseInit(*has(out, typeInitAck))
		if tags[0] != 9 || ack.tag == a.tag {
			t.Fatal("answered with our live tag") // §5.2.2
		}
	}
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 3, tsn: 1000, ppid: 53, payload: []byte("x")}))))
	if e, ok := a.Event(); !ok || e.Kind != EventMessage {
		t.Error("the association has suffered")
	}
}

func TestOutOfTheBlue(t *testing.T) {
	a := New(Config{})
	_ = a.HandlePacket(simtest.Epoch, packet(9, appendChunk(nil, typeHeartbeat, 0, nil)))
	out, tags := drain(a, simtest.Epoch)
	if c := has(out, typeAbort); c == nil || c.flags != flagT || tags[0] != 9 {
		t.Errorf("%+v", out)
	}
	_ = a.HandlePacket(simtest.Epoch, packet(9, appendChunk(nil, typeShutdownAck, 0, nil)))
	if out, tags := drain(a, simtest.Epoch); has(out, typeShutdownComplete) == nil || out[0].flags != flagT || tags[0] != 9 {
		t.Errorf("%+v", out)
	}
	for _, typ := range []chunkType{typeAbort, typeShutdownComplete, typeCookieAck, typeError} {
		_ = a.HandlePacket(simtest.Epoch, packet(9, appendChunk(nil, typ, 0, nil)))
		if out, _ := drain(a, simtest.Epoch); len(out) != 0 {
			t.Errorf("type %d is answered: %+v", typ, out)
		}
	}
}

func TestUnknownChunksByTheirTopBits(t *testing.T) {
	data := appendData(nil, &dataChunk{flags: 3, tsn: 1000, ppid: 53, payload: []byte("x")})
	for _, c := range []struct {
		typ          chunkType
		goOn, report bool
	}{{0x3f, false, false}, {0x7f, false, true}, {0xbf, true, false}, {0xff, true, true}} {
		a := established(t, Config{})
		must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendChunk(nil, c.typ, 0, []byte("what")), data)))
		out, _ := drain(a, simtest.Epoch)
		_, goOn := a.Event()
		if goOn != c.goOn || (has(out, typeError) != nil) != c.report {
			t.Errorf("%x: went on %v, out %v", c.typ, goOn, out)
		}
	}
}

func TestHeartbeatIsEchoed(t *testing.T) {
	a := established(t, Config{})
	info := appendParam(nil, paramHeartbeatInfo, []byte("anything at all"))
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendChunk(nil, typeHeartbeat, 0, info))))
	out, _ := drain(a, simtest.Epoch)
	if c := has(out, typeHeartbeatAck); c == nil || !bytes.Equal(c.value, info) {
		t.Errorf("%+v", out)
	}
}

func TestHeartbeatsKeepAnIdleAssociation(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{HeartbeatInterval: time.Second}, ab, ba).connect()
	p.Sleep(time.Hour)
	if !p.up(0) || !p.up(1) || p.a[0].stats.PacketsSent < 1000 {
		t.Error(p.a[0].stats)
	}
	if p.a[0].hb.pending || p.a[0].tx.errors != 0 {
		t.Error("unanswered heartbeats")
	}
}

// TestClass40_YearsOfUptime runs the association with a clock which is already
// beyond 32 bits of anything.
func TestClass40_YearsOfUptime(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	p.Now = mono.Time(50 * 365 * 24 * time.Hour)
	p.connect()
	p.write(0, 1, body(1, 100000), SendOptions{})
	p.Sleep(10 * 24 * time.Hour)
	if len(p.got[1]) != 1 || !p.up(0) || !p.up(1) {
		t.Fatal(len(p.got[1]), p.other)
	}
}
