package ice

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// world is a small network on virtual time: seeded loss and delay, NATs,
// STUN servers, and signalling between two peers.
type world struct {
	t       *testing.T
	now     mono.Time
	rng     *rand.Rand
	queue   []flight
	serial  int
	peers   []*peer
	servers map[netip.AddrPort]bool
	loss    float64
	delay   time.Duration
	jitter  time.Duration
	blocked func(from, to netip.AddrPort) bool
	tap     func(f flight)
}

type flight struct {
	at       mono.Time
	serial   int
	b        []byte
	from, to netip.AddrPort
	call     func() // signalling
}

type peer struct {
	w      *world
	a      *Agent
	addrs  []netip.AddrPort
	nat    *nat
	mute   bool // candidates are not signalled
	other  *peer
	events []Event
	errs   []error
	buf    [MaxCarryPacket]byte
}

// nat maps independently of the destination and lets everything in.
type nat struct {
	ip   netip.Addr
	keep bool // 1:1, ports kept
	port uint16
	out  map[netip.AddrPort]netip.AddrPort
	in   map[netip.AddrPort]netip.AddrPort
}

func newNAT(ip string, keep bool) *nat {
	n := &nat{ip: netip.MustParseAddr(ip), keep: keep, port: 40000}
	n.rebind()
	return n
}

func (n *nat) rebind() {
	n.out, n.in = map[netip.AddrPort]netip.AddrPort{}, map[netip.AddrPort]netip.AddrPort{}
}

func (n *nat) mapped(inside netip.AddrPort) netip.AddrPort {
	if m, ok := n.out[inside]; ok {
		return m
	}
	n.port++
	m := netip.AddrPortFrom(n.ip, n.port)
	if n.keep {
		m = netip.AddrPortFrom(n.ip, inside.Port())
	}
	n.out[inside], n.in[m] = m, inside
	return m
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, now: mono.Time(time.Hour), rng: rand.New(rand.NewPCG(seed, 1)),
		delay: 20 * time.Millisecond, servers: map[netip.AddrPort]bool{}}
}

// peer adds an agent. Its hosts are its addresses.
func (w *world) peer(cfg Config) *peer {
	w.t.Helper()
	var seed [32]byte
	seed[0], seed[1] = byte(len(w.peers)), byte(w.rng.Uint32())
	seed[2], seed[3] = byte(w.rng.Uint32()), byte(w.rng.Uint32())
	cfg.Rand = rand.NewChaCha8(seed)
	p := &peer{w: w, addrs: slices.Clone(cfg.Hosts)}
	var err error
	if p.a, err = New(cfg); err != nil {
		w.t.Fatal(err)
	}
	w.peers = append(w.peers, p)
	return p
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// signal exchanges credentials and trickles candidates, 30 ms each way.
func (w *world) signal(x, y *peer) {
	w.t.Helper()
	x.other, y.other = y, x
	x.credentials(y)
	y.credentials(x)
	x.do(func() { x.a.Gather(w.now) })
	y.do(func() { y.a.Gather(w.now) })
}

func (p *peer) credentials(from *peer) {
	p.w.t.Helper()
	ufrag, pwd := from.a.LocalCredentials()
	p.do(func() {
		if err := p.a.SetRemoteCredentials(p.w.now, ufrag, pwd); err != nil {
			p.w.t.Fatal(err)
		}
	})
}

func (w *world) later(d time.Duration, call func()) {
	w.serial++
	w.queue = append(w.queue, flight{at: w.now.Add(d), serial: w.serial, call: call})
}

// do makes a call on the agent, then drains it.
func (p *peer) do(call func()) {
	call()
	p.drain()
}

func (p *peer) drain() {
	w := p.w
	for {
		n, path := p.a.Transmit(w.now, p.buf[:])
		if n == 0 {
			break
		}
		from := path.Local
		if p.nat != nil {
			from = p.nat.mapped(from)
		}
		w.send(from, path.Remote, p.buf[:n])
	}
	for {
		e, ok := p.a.Event()
		if !ok {
			break
		}
		p.events = append(p.events, e)
		if p.other == nil || p.mute {
			continue
		}
		switch other := p.other; e.Kind {
		case EventCandidate:
			line := e.Candidate.String()
			w.later(30*time.Millisecond, func() {
				c, err := ParseCandidate(line)
				if err == nil {
					err = other.a.AddRemoteCandidate(w.now, c)
				}
				if err != nil && err != ErrStale {
					w.t.Errorf("%s: %v", line, err)
				}
				other.drain()
			})
		case EventGatheringDone:
			w.later(30*time.Millisecond, func() { other.do(func() { other.a.EndOfRemoteCandidates(w.now) }) })
		}
	}
}

func (w *world) send(from, to netip.AddrPort, b []byte) {
	if w.loss > 0 && w.rng.Float64() < w.loss || w.blocked != nil && w.blocked(from, to) {
		return
	}
	d := w.delay
	if w.jitter > 0 {
		d += time.Duration(w.rng.Int64N(int64(w.jitter)))
	}
	w.serial++
	f := flight{at: w.now.Add(d), serial: w.serial, b: slices.Clone(b), from: from, to: to}
	if w.tap != nil {
		w.tap(f)
	}
	w.queue = append(w.queue, f)
}

func (w *world) deliver(f flight) {
	if f.call != nil {
		f.call()
		return
	}
	if w.servers[f.to] {
		m, err := stun.Parse(f.b)
		if err != nil {
			w.t.Fatalf("to a STUN server: %v", err)
		}
		r := stun.Begin(nil, stun.BindingSuccess, m.TransactionID())
		r.XORMappedAddress(f.from)
		w.send(f.to, f.from, r.Bytes())
		return
	}
	for _, p := range w.peers {
		to := f.to
		if p.nat != nil {
			var ok bool
			if to, ok = p.nat.in[f.to]; !ok {
				continue
			}
		}
		if slices.Contains(p.addrs, to) {
			p.do(func() {
				if err := p.a.HandlePacket(w.now, f.b, Path{Local: to, Remote: f.from}); err != nil {
					p.errs = append(p.errs, err)
				}
			})
			return
		}
	}
}

// run advances until done says so or d has passed; it reports which.
func (w *world) run(d time.Duration, done func() bool) bool {
	w.t.Helper()
	end := w.now.Add(d)
	for steps := 0; ; steps++ {
		if done != nil && done() {
			return true
		}
		if steps > 1_000_000 {
			w.t.Fatal("the world does not come to rest")
		}
		next, at := end, -1
		for i, f := range w.queue {
			if f.at < next || f.at == next && (at < 0 || f.serial < w.queue[at].serial) {
				next, at = f.at, i
			}
		}
		var due *peer
		for _, p := range w.peers {
			if t := p.a.Timeout(); t != 0 && t < next {
				next, due = max(t, w.now), p
			}
		}
		w.now = max(w.now, next)
		switch {
		case due != nil:
			due.do(func() { due.a.HandleTimeout(w.now) })
			if t := due.a.Timeout(); t != 0 && t <= w.now {
				w.t.Fatalf("HandleTimeout at %d left the timeout at %d", w.now, t)
			}
		case at >= 0:
			f := w.queue[at]
			w.queue = slices.Delete(w.queue, at, at+1)
			w.deliver(f)
		default:
			return done != nil && done()
		}
	}
}

func (p *peer) count(k EventKind) (n int) {
	for _, e := range p.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (p *peer) states() (s []State) {
	for _, e := range p.events {
		if e.Kind == EventState {
			s = append(s, e.State)
		}
	}
	return s
}

func (p *peer) selected() Path {
	s, _ := p.a.Selected()
	return s
}

// joined reports whether both have selected the same path, seen from either
// side, NATs considered.
func joined(x, y *peer) func() bool {
	return func() bool {
		a, ok1 := x.a.Selected()
		b, ok2 := y.a.Selected()
		if !ok1 || !ok2 {
			return false
		}
		return x.outside(a.Local) == b.Remote && y.outside(b.Local) == a.Remote
	}
}

func (p *peer) outside(a netip.AddrPort) netip.AddrPort {
	if p.nat != nil {
		return p.nat.mapped(a)
	}
	return a
}

// mustJoin runs until both agree, for at most d.
func (w *world) mustJoin(x, y *peer, d time.Duration) {
	w.t.Helper()
	start := w.now
	if !w.run(d, joined(x, y)) {
		w.t.Fatalf("not joined after %v: %v %v, %v %v\n%+v\n%+v", w.now.Sub(start),
			x.a.State(), x.selected(), y.a.State(), y.selected(), x.a.Stats(), y.a.Stats())
	}
}
