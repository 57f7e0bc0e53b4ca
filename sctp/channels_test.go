package sctp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

// dcPair is two Channels and what they reported. End 0 is the DTLS client.
type dcPair struct {
	*simtest.World
	t   testing.TB
	c   [2]*Channels
	ev  [2][]ChannelEvent
	got [2][]ChannelEvent // messages
}

func newChannelPair(t testing.TB, cfg Config, ab, ba netem.Config) *dcPair {
	p := &dcPair{t: t}
	for i := range p.c {
		c := cfg
		c.Rand = seeded(ab.Seed*2 + uint64(i))
		p.c[i] = NewChannels(c, i == 0)
	}
	p.World = simtest.New(p.c[0], p.c[1], ab, ba)
	p.Drain = func(i int) {
		for {
			e, ok := p.c[i].Event()
			if !ok {
				return
			}
			if e.Kind == ChannelMessage {
				p.got[i] = append(p.got[i], e)
				p.c[i].Consume(e.ID, len(e.Data))
			} else {
				p.ev[i] = append(p.ev[i], e)
			}
		}
	}
	return p
}

func (p *dcPair) start() *dcPair {
	p.c[0].Start(p.Now)
	p.c[1].Start(p.Now)
	return p
}

func (p *dcPair) connect() *dcPair {
	p.t.Helper()
	p.start()
	if !p.Run(time.Minute, func() bool { return p.c[0].connected && p.c[1].connected }) {
		p.t.Fatal("not connected")
	}
	return p
}

func (p *dcPair) count(i int, k ChannelEventKind, id uint16) (n int) {
	for _, e := range p.ev[i] {
		if e.Kind == k && e.ID == id {
			n++
		}
	}
	return n
}

func (p *dcPair) find(i int, k ChannelEventKind, id uint16) *ChannelEvent {
	for n := range p.ev[i] {
		if e := &p.ev[i][n]; e.Kind == k && e.ID == id {
			return e
		}
	}
	return nil
}

func (p *dcPair) open(i int, params ChannelParams) uint16 {
	p.t.Helper()
	id, err := p.c[i].Open(p.Now, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *dcPair) send(i int, id uint16, text bool, data string) {
	p.t.Helper()
	if err := p.c[i].Send(p.Now, id, text, []byte(data)); err != nil {
		p.t.Fatal(err)
	}
}

// opened opens a channel from end i and waits until both sides know.
func (p *dcPair) opened(i int, params ChannelParams) uint16 {
	p.t.Helper()
	id := p.open(i, params)
	acks, opens := p.count(i, ChannelReady, id), p.count(1-i, ChannelOpened, id)
	if !p.Run(time.Minute, func() bool {
		return p.count(i, ChannelReady, id) > acks && p.count(1-i, ChannelOpened, id) > opens
	}) {
		p.t.Fatalf("channel %d did not open: %v %v", id, p.ev[0], p.ev[1])
	}
	return id
}

func ptr(v uint16) *uint16 { return &v }

func TestChannelOpensWithItsParameters(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for i, params := range []ChannelParams{
		{},
		{Label: "chat", Protocol: "json", Priority: 512},
		{Label: "u", Unordered: true},
		{MaxRetransmits: ptr(0)},
		{MaxRetransmits: ptr(65535), Unordered: true},
		{MaxPacketLifeTime: ptr(1000)},
		{Label: long, Protocol: long},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for from := range 2 {
				ab, ba := plain()
				p := newChannelPair(t, Config{}, ab, ba).start()
				id := p.open(from, params) // before the association is up
				p.send(from, id, true, "first")
				if !p.Run(time.Minute, func() bool { return p.count(from, ChannelReady, id) == 1 && len(p.got[1-from]) == 1 }) {
					t.Fatal("did not open")
				}
				if int(id&1) != from {
					t.Errorf("end %d chose id %d", from, id)
				}
				got := p.find(1-from, ChannelOpened, id).Params
				if got.Label != params.Label || got.Protocol != params.Protocol || got.Unordered != params.Unordered ||
					got.Priority != params.Priority || fmt.Sprint(deref(got.MaxRetransmits), deref(got.MaxPacketLifeTime)) !=
					fmt.Sprint(deref(params.MaxRetransmits), deref(params.MaxPacketLifeTime)) || *got.ID != id {
					t.Errorf("got %.100v", got)
				}
				if m := p.got[1-from][0]; !m.Text || string(m.Data) != "first" {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

func deref(p *uint16) int {
	if p == nil {
		return -1
	}
	return int(*p)
}

func TestMessagesKeepTheirKindAndEmptiness(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	id := p.opened(1, ChannelParams{Label: "x"})
	for i := range 2 {
		p.send(i, id, true, "text")
		p.send(i, id, false, "binary")
		p.send(i, id, true, "")
		p.send(i, id, false, "")
	}
	p.Sleep(time.Second)
	for i := range 2 {
		got := ""
		for _, m := range p.got[i] {
			got += fmt.Sprintf("%v:%s ", m.Text, m.Data)
		}
		if got != "true:text false:binary true: false: " {
			t.Errorf("end %d got %s", i, got)
		}
		if n := p.c[i].assoc.rx.data.bytes; n != 0 {
			t.Errorf("%d bytes unconsumed", n)
		}
	}
}

func TestNegotiatedChannelNeedsNoOpen(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba)
	for i := range 2 {
		p.open(i, ChannelParams{Negotiated: true, ID: ptr(7), Label: "n"})
	}
	p.start()
	p.send(0, 7, false, "a")
	p.send(1, 7, false, "b")
	p.Sleep(time.Second)
	for i := range 2 {
		if len(p.got[i]) != 1 || p.count(i, ChannelReady, 7) != 1 || p.count(i, ChannelOpened, 7) != 0 {
			t.Errorf("end %d: %v %v", i, p.got[i], p.ev[i])
		}
	}
	for _, bad := range []ChannelParams{
		{Negotiated: true}, {ID: ptr(65535)}, {MaxRetransmits: ptr(1), MaxPacketLifeTime: ptr(1)},
		{Label: strings.Repeat("x", maxName+1)}, {Protocol: strings.Repeat("x", maxName+1)},
	} {
		if _, err := p.c[0].Open(p.Now, bad); err != ErrChannelParams {
			t.Errorf("%.60v: %v", bad, err)
		}
	}
	if _, err := p.c[0].Open(p.Now, ChannelParams{ID: ptr(7)}); err != ErrChannelInUse {
		t.Error(err)
	}
}

func TestThousandChannels(t *testing.T) {
	ab, ba := both(5, netem.Config{Delay: 20 * time.Millisecond, Loss: .01})
	p := newChannelPair(t, Config{}, ab, ba).connect()
	var ids []uint16
	for n := range 1000 {
		id := p.open(n%2, ChannelParams{Label: fmt.Sprint(n), Unordered: n%3 == 0})
		p.send(n%2, id, true, fmt.Sprint("m", n))
		ids = append(ids, id)
	}
	if !p.Run(time.Minute, func() bool { return len(p.got[0])+len(p.got[1]) == 1000 && len(p.c[0].channels) == 1000 }) {
		t.Fatalf("%d + %d messages", len(p.got[0]), len(p.got[1]))
	}
	for n, id := range ids {
		p.c[(n/2)%2].Close(p.Now, id)
	}
	if !p.Run(time.Minute, func() bool { return len(p.c[0].channels)+len(p.c[1].channels) == 0 }) {
		t.Fatalf("%d and %d channels left", len(p.c[0].channels), len(p.c[1].channels))
	}
	for i := range 2 {
		if n := len(p.c[i].assoc.tx.streams) + len(p.c[i].assoc.rx.data.streams); n != 0 {
			t.Errorf("end %d keeps %d streams", i, n)
		}
	}
}

// TestClass26_CloseInterleavings closes a channel from one or both sides with
// data in flight, over paths which lose each packet of the exchange in turn,
// and wants it closed on both sides, everything delivered, and the id usable.
func TestClass26_CloseInterleavings(t *testing.T) {
	type step struct {
		at  time.Duration
		end int
	}
	cases := map[string][]step{
		"client":                    {{0, 0}},
		"server":                    {{0, 1}},
		"both at once":              {{0, 0}, {0, 1}},
		"server while on its way":   {{0, 0}, {5 * time.Millisecond, 1}},
		"server as it arrives":      {{0, 0}, {10 * time.Millisecond, 1}},
		"client while answered":     {{0, 1}, {15 * time.Millisecond, 0}},
		"both, twice":               {{0, 0}, {0, 1}, {time.Millisecond, 0}, {12 * time.Millisecond, 1}},
		"server, then client later": {{0, 1}, {25 * time.Millisecond, 0}},
	}
	for name, steps := range cases {
		for _, size := range []int{0, 100, 200 << 10} {
			for drop := -1; drop < 12; drop++ {
				t.Run(fmt.Sprintf("%s/%d bytes/drop %d", name, size, drop), func(t *testing.T) {
					ab, ba := plain()
					p := newChannelPair(t, Config{}, ab, ba).connect()
					id := p.opened(0, ChannelParams{Label: "x"})
					p.Sleep(time.Second) // no SACK is left over
					want := [2]int{}
					if size > 0 {
						p.send(0, id, false, strings.Repeat("a", size))
						p.send(1, id, false, strings.Repeat("b", size))
						want = [2]int{1, 1}
					}
					dropNth(p.World, drop)
					start := p.Now
					for _, s := range steps {
						p.Run(start.Add(s.at).Sub(p.Now), func() bool { return false })
						p.c[s.end].Close(p.Now, id)
						if err := p.c[s.end].Send(p.Now, id, true, nil); err != ErrChannelClosed && err != ErrNoChannel {
							t.Error("could send after Close:", err)
						}
					}
					closed := func() bool { return p.count(0, ChannelClosed, id) == 1 && p.count(1, ChannelClosed, id) == 1 }
					if !p.Run(20*time.Second, closed) {
						t.Fatalf("not closed: %v %v", p.ev[0], p.ev[1])
					}
					if took := p.Now.Sub(start); drop < 0 && size == 0 && took > 400*time.Millisecond {
						t.Errorf("took %v, more than an RTO", took)
					}
					for i := range 2 {
						if len(p.got[i]) != want[i] || p.find(i, ChannelClosed, id).Err != nil {
							t.Errorf("end %d got %d messages: %v", i, len(p.got[i]), p.ev[i])
						}
					}
					p.again(id)
				})
			}
		}
	}
}

// again opens the id anew and exchanges a message each way.
func (p *dcPair) again(id uint16) {
	p.t.Helper()
	p.got = [2][]ChannelEvent{}
	if got := p.opened(0, ChannelParams{ID: &id, Label: "again"}); got != id {
		p.t.Fatal(got)
	}
	p.send(0, id, true, "one")
	p.send(1, id, true, "two")
	if !p.Run(5*time.Second, func() bool { return len(p.got[0]) == 1 && len(p.got[1]) == 1 }) {
		p.t.Error("the id cannot be used again")
	}
}

// dropNth loses the packet number n sent from now on, by either side.
func dropNth(w *simtest.World, n int) {
	i := 0
	w.Tap = func(from int, _ []byte) {
		w.Links[from].SetDown(i == n)
		w.Links[1-from].SetDown(false)
		i++
	}
}

func TestIDIsReopenedTheMomentItIsClosed(t *testing.T) {
	// The opener sees the close before the other side does; its new OPEN and
	// first message must not be lost, whatever packet is.
	for drop := -1; drop < 14; drop++ {
		for closer := range 2 {
			ab, ba := plain()
			p := newChannelPair(t, Config{}, ab, ba).connect()
			id := p.opened(0, ChannelParams{Label: "x"})
			p.Sleep(time.Second)
			dropNth(p.World, drop)
			for round := range 5 {
				p.c[closer].Close(p.Now, id)
				if !p.Run(20*time.Second, func() bool { return p.count(0, ChannelClosed, id) == round+1 }) {
					t.Fatalf("drop %d round %d: not closed", drop, round)
				}
				p.open(0, ChannelParams{ID: &id, Label: "y"})
				p.send(0, id, true, "hello")
				if !p.Run(20*time.Second, func() bool { return len(p.got[1]) == round+1 && p.count(0, ChannelReady, id) == round+2 }) {
					t.Fatalf("drop %d round %d: %d messages\n%v\n%v", drop, round, len(p.got[1]), p.ev[0], p.ev[1])
				}
			}
		}
	}
}

func TestManyChannelsCloseAndReopenOnALossyPath(t *testing.T) {
	for seed := range uint64(20) {
		ab, ba := both(seed, netem.Config{Loss: .1, Reorder: .1, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond})
		p := newChannelPair(t, Config{}, ab, ba).connect()
		for round := range 5 {
			var ids []uint16
			for n := range 20 {
				id := p.open(n%2, ChannelParams{Unordered: n%3 == 0})
				p.send(n%2, id, true, "hi")
				ids = append(ids, id)
			}
			want := 10 * (round + 1)
			if !p.Run(5*time.Minute, func() bool { return len(p.got[0]) == want && len(p.got[1]) == want }) {
				t.Fatalf("seed %d round %d: %d and %d messages", seed, round, len(p.got[0]), len(p.got[1]))
			}
			for n, id := range ids {
				p.c[n%2].Close(p.Now, id)
				if n%4 == 0 {
					p.c[1-n%2].Close(p.Now, id)
				}
				if n%5 == 0 {
					p.Sleep(7 * time.Millisecond)
				}
			}
			if !p.Run(5*time.Minute, func() bool { return len(p.c[0].channels)+len(p.c[1].channels) == 0 }) {
				t.Fatalf("seed %d round %d: %d and %d channels left", seed, round, len(p.c[0].channels), len(p.c[1].channels))
			}
		}
	}
}

func TestBadOpensAreClosed(t *testing.T) {
	good := appendOpen(nil, &ChannelParams{Label: "l"})
	for name, c := range map[string]struct {
		sid uint16
		b   []byte
	}{
		"cut":          {2, good[:len(good)-1]},
		"trailing":     {2, append(append([]byte(nil), good...), 0)},
		"unknown type": {2, append([]byte{dcepOpen, 0x7f}, good[2:]...)},
	} {
		t.Run(name, func(t *testing.T) {
			ab, ba := plain()
			p := newChannelPair(t, Config{}, ab, ba).connect()
			a := p.c[0].assoc
			if err := a.Write(p.Now, c.sid, ppidDCEP, c.b, SendOptions{}); err != nil {
				t.Fatal(err)
			}
			p.Sleep(time.Second)
			if p.count(1, ChannelOpened, c.sid) != 0 {
				t.Error("opened")
			}
			if n := len(p.c[1].channels); n != 0 {
				t.Errorf("%d channels left", n)
			}
		})
	}
	t.Run("our parity opens", func(t *testing.T) {
		ab, ba := plain()
		p := newChannelPair(t, Config{}, ab, ba).connect()
		// End 1, the server, owns odd ids; its own channels go round this one.
		if err := p.c[0].assoc.Write(p.Now, 1, ppidDCEP, good, SendOptions{}); err != nil {
			t.Fatal(err)
		}
		p.Sleep(time.Second)
		if p.count(1, ChannelOpened, 1) != 1 {
			t.Error("not opened")
		}
		if id, err := p.c[1].Open(p.Now, ChannelParams{}); err != nil || id == 1 {
			t.Errorf("own channel %d, %v", id, err)
		}
	})
	t.Run("in use", func(t *testing.T) {
		ab, ba := plain()
		p := newChannelPair(t, Config{}, ab, ba).connect()
		id := p.opened(0, ChannelParams{Label: "x"})
		if err := p.c[0].assoc.Write(p.Now, id, ppidDCEP, good, SendOptions{}); err != nil {
			t.Fatal(err)
		}
		if !p.Run(time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 && p.count(1, ChannelClosed, id) == 1 }) {
			t.Errorf("%v %v", p.ev[0], p.ev[1])
		}
	})
}

func TestRefusedChannelIsReported(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	p.c[1].names = maxRemoteNames // no room for another label
	id := p.open(0, ChannelParams{Label: "x"})
	if !p.Run(time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 }) {
		t.Fatal("not closed")
	}
	if e := p.find(0, ChannelClosed, id); e.Err != ErrChannelRefused {
		t.Error(e.Err)
	}
}

func TestPeerWithFewStreamsRefusesHighIDs(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba)
	p.c[1] = NewChannels(Config{MaxStreams: 4, Rand: seeded(9)}, false)
	p.World.Ends[1] = p.c[1]
	low := p.open(0, ChannelParams{ID: ptr(2)})
	high := p.open(0, ChannelParams{ID: ptr(100)})
	p.send(0, high, true, "lost")
	p.connect()
	p.Sleep(time.Second)
	if p.count(0, ChannelReady, low) != 1 || p.count(0, ChannelClosed, high) != 1 {
		t.Errorf("%v", p.ev[0])
	}
	for range 1 {
		p.open(0, ChannelParams{})
	}
	if _, err := p.c[0].Open(p.Now, ChannelParams{}); err != ErrNoFreeChannel {
		t.Error(err)
	}
}

func TestAssociationEndClosesChannels(t *testing.T) {
	for _, abort := range []bool{true, false} {
		ab, ba := plain()
		p := newChannelPair(t, Config{}, ab, ba).connect()
		id := p.opened(0, ChannelParams{})
		p.send(0, id, false, strings.Repeat("z", 100000))
		if abort {
			p.c[0].Abort(p.Now, "enough")
		} else {
			p.c[0].Shutdown(p.Now)
		}
		p.Sleep(5 * time.Second)
		for i := range 2 {
			last := p.ev[i][len(p.ev[i])-1]
			if p.count(i, ChannelClosed, id) != 1 || last.Kind != ChannelsClosed || (last.Err != nil) != abort {
				t.Errorf("abort %v, end %d: %v", abort, i, p.ev[i])
			}
		}
		if !abort && len(p.got[1]) != 1 {
			t.Error("Shutdown lost a message")
		}
		if _, err := p.c[0].Open(p.Now, ChannelParams{}); err != ErrClosed {
			t.Error(err)
		}
		if err := p.c[0].Send(p.Now, id, true, nil); err != ErrClosed {
			t.Error(err)
		}
	}
}

func TestBufferedAmountOfAChannel(t *testing.T) {
	ab, ba := both(1, netem.Config{Delay: 10 * time.Millisecond, Rate: 1e6})
	p := newChannelPair(t, Config{}, ab, ba).connect()
	id := p.opened(0, ChannelParams{})
	p.c[0].SetBufferedAmountLowThreshold(id, 50000)
	p.send(0, id, false, strings.Repeat("z", 100000))
	if n := p.c[0].BufferedAmount(id); n != 100000 {
		t.Error(n)
	}
	if !p.Run(time.Minute, func() bool { return p.count(0, ChannelBufferedAmountLow, id) == 1 }) {
		t.Fatal("no event")
	}
	if n := p.c[0].BufferedAmount(id); n > 50000 || n == 0 {
		t.Error(n)
	}
	p.Sleep(10 * time.Second)
	if n := p.count(0, ChannelBufferedAmountLow, id); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestUnorderedChannelIsOrderedUntilTheAck(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	id := p.open(0, ChannelParams{Unordered: true})
	flags := func() (f []bool) {
		p.Tap = func(from int, b []byte) {
			for b = b[headerLen:]; len(b) > 0; {
				c, rest, _ := nextChunk(b)
				if d, ok := parseData(c); ok && c.typ == typeData && from == 0 && d.ppid == ppidText {
					f = append(f, d.flags&flagUnordered != 0)
				}
				b = rest
			}
		}
		p.send(0, id, true, "x")
		p.Sleep(time.Second)
		return f
	}
	if f := flags(); len(f) != 1 || f[0] {
		t.Errorf("before the ACK: unordered %v", f)
	}
	if f := flags(); len(f) != 1 || !f[0] {
		t.Errorf("after the ACK: unordered %v", f)
	}
}

func TestRestartedPeerClosesTheChannels(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	id := p.opened(0, ChannelParams{Label: "x"})
	p.c[1] = NewChannels(Config{Rand: seeded(99)}, false)
	p.World.Ends[1] = p.c[1]
	p.c[1].Start(p.Now)
	if !p.Run(10*time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 && p.c[0].connected && p.c[1].connected }) {
		t.Fatalf("%v %v", p.ev[0], p.ev[1])
	}
	if e := p.find(0, ChannelClosed, id); e.Err != ErrRestarted {
		t.Error(e.Err)
	}
	p.again(id)
}
