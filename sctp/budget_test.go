package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/netem"
)

// crowd is pairs whose second ends share a budget.
type crowd struct {
	pairs  []*pair
	budget *Budget
	data   []byte

	stopped int // pairs which have stopped reading, the first ones
}

func newCrowd(t *testing.T, n, limit int) *crowd {
	c := &crowd{budget: NewBudget(limit), data: make([]byte, 32<<10)}
	for i := range n {
		ab, ba := both(uint64(i), netem.Config{Delay: 25 * time.Millisecond, Rate: 80e6, Queue: 256 << 10})
		p := newPair(t, Config{MaxMessageSize: 32 << 10}, ab, ba)
		p.a[1] = New(Config{Rand: seeded(uint64(i) + 500), MaxMessageSize: 32 << 10, Budget: c.budget})
		p.Ends[1] = p.a[1]
		c.pairs = append(c.pairs, p.connect())
	}
	return c
}

// run keeps the pairs for which busy is true sending for d, in steps.
func (c *crowd) run(t *testing.T, d time.Duration, busy func(i int) bool) {
	t.Helper()
	for at := time.Duration(0); at < d; at += 20 * time.Millisecond {
		held, bound := 0, c.budget.Limit()
		for i, p := range c.pairs {
			for busy(i) && p.a[0].tx.cost < 1<<20 {
				p.write(0, 1, c.data, SendOptions{})
			}
			p.Sleep(20 * time.Millisecond)
			held += p.a[1].rx.data.bytes
			bound += p.a[1].rx.data.floor
			if st := p.a[1].Stats(); st.WindowDrops > 0 && i >= c.stopped { // a closed window is probed
				t.Fatalf("pair %d: %d chunks within the window were dropped", i, st.WindowDrops)
			}
		}
		if u := c.budget.Used(); u < 0 || u > c.budget.Limit() {
			t.Fatalf("%d of %d used", u, c.budget.Limit())
		}
		if held > bound {
			t.Fatalf("%d bytes held", held)
		}
	}
}

func (c *crowd) received(i int) uint64 { return c.pairs[i].a[1].Stats().BytesReceived }

func TestWindowsShareABudget(t *testing.T) {
	c := newCrowd(t, 12, 3<<20)
	all := func(int) bool { return true }
	c.run(t, 2*time.Second, all)
	most := 0
	for _, p := range c.pairs {
		most = max(most, p.a[1].rx.data.limit)
	}
	if most <= sharedReceiveBuffer || c.budget.Used() < c.budget.Limit()/2 {
		t.Fatalf("largest window %d, %d used", most, c.budget.Used())
	}
	before := make([]uint64, len(c.pairs))
	for i := range c.pairs {
		before[i] = c.received(i)
	}
	c.run(t, 2*time.Second, all)
	for i := range c.pairs { // 128 KiB at 50 ms are 21 Mb/s
		if n := c.received(i) - before[i]; n < 3<<20 {
			t.Errorf("pair %d: %d bytes in 2 s", i, n)
		}
	}
	// The others fall silent: one has what it needs, within a second or so.
	one := func(i int) bool { return i == 3 }
	c.run(t, 4*time.Second, one)
	if w := c.pairs[3].a[1].rx.data.limit; w < 700<<10 {
		t.Errorf("window %d with everything free", w)
	}
	c.run(t, 4*time.Second, func(int) bool { return false })
	if c.budget.Used() != 0 {
		t.Errorf("%d used when all is idle", c.budget.Used())
	}
	for _, p := range c.pairs {
		if st := p.a[0].Stats(); st.PeerWindow > st.Window || p.a[1].rx.data.limit != p.a[1].rx.data.floor {
			t.Error("window not taken back")
		}
		p.idle()
	}
}

func TestSlowReadersLeaveOthersTheirShare(t *testing.T) {
	c := newCrowd(t, 10, 8<<20)
	all := func(int) bool { return true }
	c.run(t, time.Second, all)
	for _, p := range c.pairs[:7] {
		p.manual = true // reads no more
	}
	c.stopped = 7
	c.run(t, 4*time.Second, all)
	var before [10]uint64
	for i := range c.pairs {
		before[i] = c.received(i)
	}
	c.run(t, 2*time.Second, all)
	for i := range c.pairs {
		n := c.received(i) - before[i]
		if i < 7 && n > 0 {
			t.Errorf("pair %d: %d bytes for a reader which has stopped", i, n)
		}
		if i >= 7 && n < 8<<20 { // of 20 MB
			t.Errorf("pair %d: %d bytes in 2 s", i, n)
		}
	}
	// They read again, and everything comes.
	for _, p := range c.pairs[:7] {
		p.manual = false
		for _, e := range p.got[1] {
			p.a[1].Consume(e.SID, len(e.Data))
		}
	}
	c.run(t, 4*time.Second, func(int) bool { return false })
	for i, p := range c.pairs {
		if p.a[0].BufferedAmount(1) != 0 || p.a[0].Stats().Unacked != 0 {
			t.Errorf("pair %d has not finished", i)
		}
	}
	for i, p := range c.pairs {
		if i&1 == 0 {
			p.a[1].Abort(p.Now, "")
		}
	}
	c.run(t, 3*time.Second, func(int) bool { return false })
	if c.budget.Used() != 0 {
		t.Errorf("%d still used", c.budget.Used())
	}
}

func TestSendBuffersShareABudget(t *testing.T) {
	b := NewBudget(1 << 20)
	a := [2]*Association{established(t, Config{Budget: b}), established(t, Config{Budget: b})}
	fill := func(i int) (n int) {
		for a[i].Write(1, 1, 53, make([]byte, 10_000), SendOptions{}) == nil {
			n += 10_000
		}
		return n
	}
	first, second := fill(0), fill(1)
	if first < sendFloor || first > sendFloor+b.Limit()/4 || second < sendFloor || b.Used() > b.Limit() || b.Used() == 0 {
		t.Errorf("%d and %d bytes taken, %d used", first, second, b.Used())
	}
	a[0].tx.peerWindow = 4 << 20
	writable, now := false, mono.Time(1)
	for n := 0; n < 400 && !writable; n++ {
		drain(a[0], now)
		now = now.Add(10 * time.Millisecond)
		a[0].HandleTimeout(now)
		must(t, a[0].HandlePacket(now, packet(a[0].tag, appendSack(nil, a[0].tx.end()-1, 4<<20, nil, nil))))
		for e, ok := a[0].Event(); ok; e, ok = a[0].Event() {
			writable = writable || e.Kind == EventWritable
		}
	}
	if !writable || a[0].tx.cost == 0 {
		t.Errorf("no word of room, %d held", a[0].tx.cost)
	}
	for _, x := range a {
		x.Abort(1, "")
	}
	if b.Used() != 0 {
		t.Errorf("%d used", b.Used())
	}
}
