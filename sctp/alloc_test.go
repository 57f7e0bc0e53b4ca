package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/simtest"
)

// two are associations with nothing between them.
type two struct {
	a, b *Association
	now  mono.Time
	buf  [2048]byte
}

func newTwo(t testing.TB, cfg Config) *two {
	x := &two{a: New(cfg), b: New(cfg), now: simtest.Epoch}
	x.a.Start(x.now)
	for range 4 {
		x.cross()
	}
	if x.a.state != stateEstablished || x.b.state != stateEstablished {
		t.Fatal("not connected")
	}
	return x
}

// cross carries everything both have to say and consumes what arrives.
func (x *two) cross() (messages int) {
	ends := [2]*Association{x.a, x.b}
	for quiet := 0; quiet < 2; {
		quiet++
		for i, from := range ends {
			for n := from.Transmit(x.now, x.buf[:]); n > 0; n = from.Transmit(x.now, x.buf[:]) {
				quiet = 0
				_ = ends[1-i].HandlePacket(x.now, x.buf[:n])
			}
			for e, ok := from.Event(); ok; e, ok = from.Event() {
				if e.Kind == EventMessage {
					from.Consume(e.SID, len(e.Data))
					messages++
				}
			}
		}
		x.now = x.now.Add(300 * time.Microsecond)
		x.a.HandleTimeout(x.now)
		x.b.HandleTimeout(x.now)
	}
	return messages
}

func TestSteadyStateAllocatesTheMessagesAlone(t *testing.T) {
	for _, size := range []int{1, 100, 1000, 5000, 60000} {
		x := newTwo(t, Config{HeartbeatInterval: -1})
		data := make([]byte, size)
		turn := func() {
			for range 8 {
				if err := x.a.Write(x.now, 3, 53, data, SendOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			for n := 0; n < 8; n += x.cross() {
			}
		}
		for range 50 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n > 8 {
			t.Errorf("%d bytes: %v allocations for 8 messages", size, n)
		}
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	a := established(t, Config{HeartbeatInterval: -1})
	a.tx.peerWindow = 1 << 20
	now := simtest.Epoch
	data, buf := make([]byte, 5000), make([]byte, 2048)
	pkt := packet(a.tag, appendSack(nil, 0, 1<<20, []tsnRange{{2, 3}}, nil))
	gaps := []tsnRange{{}}
	turn := func() {
		now = now.Add(10 * time.Millisecond)
		if a.Write(now, 1, 53, data, SendOptions{}) != nil {
			t.Fatal("refused")
		}
		for a.Transmit(now, buf) > 0 {
		}
		for _, ok := a.Event(); ok; _, ok = a.Event() {
		}
		top := a.tx.end() - 1
		gaps[0] = tsnRange{top - 1, top}
		for _, g := range [][]tsnRange{gaps, nil} {
			now = now.Add(time.Millisecond)
			cum := top
			if g != nil {
				cum = top - 3
			}
			p := appendSack(pkt[:headerLen], cum, 1<<20, g, nil)
			seal(p)
			if err := a.HandlePacket(now, p); err != nil {
				t.Fatal(err)
			}
			for a.Transmit(now, buf) > 0 {
			}
		}
	}
	for range 100 {
		turn()
	}
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNoStepDependsOnWhatIsOutstanding counts the chunks looked at while
// 100,000 are outstanding: with a loss at the start and everything else
// reported bit by bit, each is looked at a few times.
func TestNoStepDependsOnWhatIsOutstanding(t *testing.T) {
	visits := func(n uint32) float64 {
		a := established(t, Config{})
		w := &a.tx.window
		m := &message{refs: int(n), data: make([]byte, 1)}
		for i := range n {
			w.add(simtest.Epoch.Add(time.Duration(i)*time.Microsecond), sentChunk{msg: m, n: 1, sends: 1})
		}
		base := w.base
		now := simtest.Epoch.Add(time.Second)
		for i := uint32(2); i <= n && i <= maxSpan; i += 2 {
			now = now.Add(time.Microsecond)
			s := appendSack(nil, base-1, 1<<20, []tsnRange{{base + 1, base + i - 1}}, nil)
			must(t, a.HandlePacket(now, packet(a.tag, s)))
		}
		must(t, a.HandlePacket(now, packet(a.tag, appendSack(nil, base+n-1, 1<<20, nil, nil))))
		if w.count != 0 || w.flight != 0 || w.marked != 0 {
			t.Fatalf("%d outstanding, %d in flight, %d marked", w.count, w.flight, w.marked)
		}
		return float64(w.visits) / float64(n)
	}
	few, many := visits(1000), visits(100_000)
	if many > 8 || many > 2*few {
		t.Errorf("%.1f looks at each of 1000 chunks, %.1f at each of 100,000", few, many)
	}
}
