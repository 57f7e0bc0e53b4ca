package sockets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// onVeth runs f on a thread with a network of its own, whose interface v0 is
// joined to v1 of another network, where listen opens a socket.
func onVeth(t *testing.T, f func(listen func(addr string) Conn, ip func(args ...string))) {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("ip"); err != nil {
		missing = "install iproute2"
	}
	if os.Getuid() != 0 {
		missing = "run as root"
	}
	if missing != "" && os.Getenv("SLUICE_INTEROP") == "1" && os.Getuid() == 0 {
		t.Fatal(missing)
	}
	if missing != "" {
		t.Skip(missing)
	}
	command := func(args ...string) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			panic(fmt.Errorf("ip %v: %w: %s", args, err, out))
		}
	}
	far := make(chan func())
	tids := make(chan int)
	// Neither thread is unlocked: it ends, and its network with it.
	thread := func(then func()) <-chan error {
		done := make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			defer func() {
				switch r := recover().(type) {
				case nil:
				case error:
					done <- r
				default:
					done <- fmt.Errorf("%v", r)
				}
				close(done)
			}()
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				panic(err)
			}
			then()
		}()
		return done
	}
	remote := thread(func() {
		tids <- unix.Gettid()
		for g := range far {
			g()
		}
	})
	there := func(g func()) {
		ended := make(chan any)
		far <- func() {
			defer func() { ended <- recover() }()
			g()
		}
		if r := <-ended; r != nil {
			panic(r)
		}
	}
	tid := <-tids
	local := thread(func() {
		command("link", "set", "lo", "up")
		command("link", "add", "v0", "type", "veth", "peer", "name", "v1")
		command("link", "set", "v1", "netns", fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), tid))
		command("addr", "add", "10.9.0.1/24", "dev", "v0")
		command("addr", "add", "fd00:9::1/64", "dev", "v0", "nodad")
		command("link", "set", "v0", "up")
		there(func() {
			command("addr", "add", "10.9.0.2/24", "dev", "v1")
			command("addr", "add", "10.10.0.5/32", "dev", "v1")
			command("addr", "add", "fd00:9::2/64", "dev", "v1", "nodad")
			command("link", "set", "v1", "address", "02:00:00:00:00:02")
			command("link", "set", "v1", "up")
		})
		for _, a := range []string{"10.9.0.2", "fd00:9::2"} {
			command("neigh", "replace", a, "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", "permanent")
		}
		command("route", "add", "10.10.0.0/16", "via", "10.9.0.2")
		f(func(addr string) (c Conn) {
			there(func() { c = mustListen(t, Config{Addr: netip.MustParseAddrPort(addr)}) })
			return c
		}, command)
	})
	for _, done := range []<-chan error{local, remote} {
		select {
		case err := <-done:
			if errors.Is(err, ErrNoXDP) && os.Getenv("SLUICE_INTEROP") != "1" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("no answer")
		}
		if done == local {
			close(far)
		}
	}
}

// must takes the place of t.Fatal, which is for the test's own goroutine.
func must(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}

func xdpListen(t *testing.T, addr string) Conn {
	t.Helper()
	if err := XDPWorks("v0"); err != nil {
		must(t, errors.Is(err, ErrNoXDP), "%v", err)
		must(t, os.Getenv("SLUICE_INTEROP") != "1", "%v", err)
		panic(err) // only the test's own goroutine may skip it
	}
	return mustListen(t, Config{Addr: netip.MustParseAddrPort(addr), XDP: "v0"})
}

// What goes by the ring is what the other's kernel takes for the datagram that
// was meant: addresses, ports, checksums, ECN and payload.
func TestRingSendsWhatWasMeant(t *testing.T) {
	for _, c := range []struct{ from, to, src string }{
		{"10.9.0.1:5000", "10.9.0.2:0", "10.9.0.1"},
		{"[fd00:9::1]:5001", "[fd00:9::2]:0", "fd00:9::1"},
		{"[::]:5002", "10.9.0.2:0", "10.9.0.1"},
		{"[::]:5003", "[fd00:9::2]:0", "fd00:9::1"},
		{"10.9.0.1:5004", "10.10.0.5:0", "10.9.0.1"}, // by way of a router
	} {
		// An interface each: its one queue is not free as soon as a socket is closed.
		onVeth(t, func(listen func(string) Conn, _ func(...string)) {
			a, b := xdpListen(t, c.from), listen(c.to)
			random := rand.New(rand.NewPCG(1, 2))
			var out []Message
			want := map[string]uint8{}
			for i, size := range []int{1, 2, 7, 8, 9, 80, 99, 100, 101, 1000, 1200, 1400, 1452} {
				p := make([]byte, size)
				for k := range p {
					p[k] = byte(random.Uint32())
				}
				m := Message{Buf: p, Addr: b.LocalAddr(), ECN: uint8(i & 3)}
				if i%2 == 1 {
					m.Local = netip.MustParseAddr(c.src)
				}
				want[string(p)] = m.ECN
				out = append(out, m)
			}
			n, err := a.WriteBatch(out)
			must(t, n == len(out) && err == nil, "%s: %d, %v", c.from, n, err)
			for _, m := range receive(t, b, len(out)) {
				ecn, ok := want[string(m.Buf)]
				must(t, ok && ecn == m.ECN, "%s: %d bytes, ECN %d, known %v", c.from, len(m.Buf), m.ECN, ok)
				must(t, m.Addr == netip.AddrPortFrom(netip.MustParseAddr(c.src), a.LocalAddr().Port()), "%s: from %v", c.from, m.Addr)
				delete(want, string(m.Buf))
			}
			s := a.Stats()
			must(t, s.XDPSent == uint64(len(out)) && s.Sent == s.XDPSent && s.Runs[0] == s.Sent && s.SendErrors == 0, "%s: %+v", c.from, s)
		})
	}
}

// What cannot go by the ring goes as ever, in the same call.
func TestRingLeavesTheRestToTheSocket(t *testing.T) {
	onVeth(t, func(listen func(string) Conn, _ func(...string)) {
		a, b := xdpListen(t, "0.0.0.0:5000"), listen("10.9.0.2:0")
		here := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
		out := []Message{
			{Buf: []byte("alone"), Addr: b.LocalAddr()},
			{Buf: bytes.Repeat([]byte("r"), 250), Seg: 100, Addr: b.LocalAddr()},
			{Buf: []byte("no run"), Seg: 100, Addr: b.LocalAddr()},
			{Buf: []byte("another interface"), Addr: here.LocalAddr()},
			{Buf: bytes.Repeat([]byte("l"), 1473), Addr: b.LocalAddr()}, // 28 more are too many
			{Buf: bytes.Repeat([]byte("m"), 1472), Addr: b.LocalAddr()},
			{Buf: nil, Addr: b.LocalAddr()},
			{Buf: []byte("nowhere")},
			{Buf: []byte("port 0"), Addr: netip.AddrPortFrom(b.LocalAddr().Addr(), 0)},
			{Buf: []byte("other family"), Addr: netip.MustParseAddrPort("[fd00:9::2]:9")},
			{Buf: []byte("nobody"), Addr: netip.MustParseAddrPort("10.9.0.77:9")},
			{Buf: []byte("not from here"), Addr: b.LocalAddr(), Local: netip.MustParseAddr("192.0.2.1")},
			{Buf: []byte("a probe"), Addr: b.LocalAddr(), Whole: true},
			{Buf: []byte("last"), Addr: b.LocalAddr(), Local: netip.MustParseAddr("10.9.0.1")},
		}
		n, err := a.WriteBatch(out)
		must(t, n == len(out) && err == nil, "%d, %v", n, err)
		var got []string
		for _, m := range receive(t, b, 10) {
			got = append(got, fmt.Sprint(len(m.Buf)))
		}
		slices.Sort(got)
		must(t, fmt.Sprint(got) == "[0 100 100 1472 1473 4 5 50 6 7]", "%v", got)
		receive(t, here, 1)
		s := a.Stats()
		must(t, s.XDPSent == 5 && s.SendErrors == 4 && s.Sent == 12, "%+v", s)
	})
}

// A ring without room is a full buffer; one whose interface is gone is not
// asked again.
func TestRingThatDoesNotTake(t *testing.T) {
	onVeth(t, func(listen func(string) Conn, ip func(...string)) {
		a, b := xdpListen(t, "10.9.0.1:5000").(*conn), listen("10.9.0.2:0")
		out := []Message{{Buf: []byte("x"), Addr: b.LocalAddr()}, {Buf: []byte("y"), Addr: b.LocalAddr()}}
		write := func() (int, error) { return a.WriteBatch(out) }
		n, err := write()
		must(t, n == 2 && err == nil, "%d, %v", n, err)
		x := a.ring
		// On veth a frame is completed when the call that sent it returns.
		reap := func() []uint64 {
			kept := x.free
			x.free = nil
			x.frame()
			all := append(kept, x.free...)
			x.free = nil
			return all
		}
		free := reap()
		must(t, len(free) == xdpFrames, "%d frames are free", len(free))
		n, err = write()
		must(t, n == 0 && err == ErrWouldBlock, "%d, %v", n, err)
		x.free = free[:1]
		n, err = write() // one by one
		must(t, n == 2 && err == nil, "%d, %v", n, err)
		x.free = append(reap(), free[1:]...)
		must(t, len(x.free) == xdpFrames, "%d frames are free", len(x.free))
		n, err = write()
		must(t, n == 2 && err == nil, "%d, %v", n, err)
		before := a.Stats()
		must(t, before.WouldBlock > 0, "%+v", before)
		ip("link", "set", "v0", "down")
		n, err = write()
		s := a.Stats()
		must(t, n == 2 && err == nil && s.XDPFallbacks == 1 && s.XDPSent == before.XDPSent && s.SendErrors == 2, "%d, %v, %+v", n, err, s)
		ip("link", "set", "v0", "up")
		ip("neigh", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", "permanent")
		n, err = write()
		s = a.Stats()
		must(t, n == 2 && err == nil && s.XDPSent == before.XDPSent && s.Sent == before.Sent+2, "%d, %v, %+v", n, err, s)
	})
}

// The kernel finds neighbours; until it has, and when it is not sure any more,
// it sends itself. Many at once are not all looked up at once.
func TestRingTrustsTheKernelsTables(t *testing.T) {
	onVeth(t, func(listen func(string) Conn, ip func(...string)) {
		a, b := xdpListen(t, "10.9.0.1:5000").(*conn), listen("10.9.0.2:0")
		to := b.LocalAddr().Addr()
		r := &a.ring.routes
		look := func(nud string) bool {
			ip("neigh", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", nud)
			clear(r.known)
			r.asks = 0
			return r.look(pair{to, a.local.Addr()}, mono.Now()) != nil
		}
		for nud, want := range map[string]bool{"permanent": true, "reachable": true, "delay": true, "probe": true, "stale": false, "failed": false} {
			must(t, look(nud) == want, "%s: %v", nud, !want)
		}
		must(t, look("permanent"), "not found")
		now := mono.Now()
		ip("neigh", "del", "10.9.0.2", "dev", "v0")
		r.asks = 0
		must(t, r.look(pair{to, a.local.Addr()}, now) != nil && r.asks == 0, "looked up again at once")
		must(t, r.look(pair{to, a.local.Addr()}, now.Add(hopLife+time.Second)) == nil && r.asks == 1, "kept for ever")
		r.asks = 0
		for i := range 2 * maxAsks {
			r.look(pair{netip.AddrFrom4([4]byte{10, 10, 1, byte(i)}), a.local.Addr()}, now)
		}
		must(t, r.asks == maxAsks, "%d looked up", r.asks)
		// What was good is good for a while yet, when it cannot be asked for.
		look("permanent")
		p := pair{to, a.local.Addr()}
		r.asks = maxAsks
		must(t, r.look(p, mono.Now().Add(hopLife+time.Second)) != nil, "forgotten at once")
		must(t, r.look(p, mono.Now().Add(2*hopLife+time.Second)) == nil, "never looked up again")
		// The path's own MTU counts.
		look("permanent")
		ip("route", "replace", "10.10.0.0/16", "via", "10.9.0.2", "mtu", "600")
		r.asks = 0
		h := r.look(pair{netip.MustParseAddr("10.10.0.5"), a.local.Addr()}, now)
		must(t, h != nil && h.mtu == 600, "%+v", h)
		ip("route", "replace", "blackhole", "10.11.0.0/16")
		must(t, r.look(pair{netip.MustParseAddr("10.11.0.5"), a.local.Addr()}, now) == nil, "sends into a black hole")
	})
}

func TestRingAllocatesNothing(t *testing.T) {
	onVeth(t, func(listen func(string) Conn, _ func(...string)) {
		a, b := xdpListen(t, "10.9.0.1:5000").(*conn), listen("10.9.0.2:0")
		out := make([]Message, 8)
		for i := range out {
			out[i] = Message{Buf: make([]byte, 100), Addr: b.LocalAddr()}
		}
		if n, err := a.WriteBatch(out); n != len(out) || err != nil {
			panic(fmt.Sprint(n, err))
		}
		for _, h := range a.ring.routes.known {
			h.until = math.MaxInt64
		}
		n := testing.AllocsPerRun(100, func() {
			if n, err := a.WriteBatch(out); n != len(out) || err != nil {
				panic(fmt.Sprint(n, err))
			}
		})
		must(t, n == 0, "%v allocations a write", n)
	})
}

func TestNoRing(t *testing.T) {
	for _, name := range []string{"", "sluice-none", "lo"} {
		if err := XDPWorks(name); !errors.Is(err, ErrNoXDP) {
			t.Errorf("%q: %v", name, err)
		}
	}
	a := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), XDP: "sluice-none"})
	if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: a.LocalAddr()}}); err != nil {
		t.Fatal(err)
	}
	receive(t, a, 1)
	if s := a.Stats(); s.XDPSent != 0 || s.Sent != 1 {
		t.Errorf("%+v", s)
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint32(5))
	f.Add(bytes.Repeat([]byte{0xff}, 100), uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, b []byte, start uint32) {
		want := uint64(start)
		for i := 0; i < len(b); i += 2 {
			var w [2]byte
			copy(w[:], b[i:])
			want += uint64(binary.BigEndian.Uint16(w[:]))
		}
		for want>>16 != 0 {
			want = want>>16 + want&0xffff
		}
		if got := fold(sum(uint64(start), b)); uint64(got) != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4, 4, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		left := len(b)
		attrs(b, func(_ uint16, v []byte) {
			if left -= unix.SizeofRtAttr + len(v); left < 0 {
				t.Fatal("more than there is")
			}
		})
	})
}
