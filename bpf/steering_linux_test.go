package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needPrograms skips where programs may not be loaded, which for root on CI is
// a failure; a kernel that finds fault with them is one anywhere.
func needPrograms(t *testing.T) {
	t.Helper()
	need(t, Supported())
}

func need(t testing.TB, err error) {
	t.Helper()
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS)
	switch {
	case err == nil:
	case os.Getuid() == 0 && (os.Getenv("SLUICE_INTEROP") == "1" || !denied):
		t.Fatal(err)
	default:
		t.Skipf("run as root on Linux 5.9 or later: %v", err)
	}
}

// group is bound sockets of one SO_REUSEPORT group.
type group struct {
	t     testing.TB
	conns []*net.UDPConn
	raws  []syscall.RawConn
	addr  netip.AddrPort
}

func newGroup(t testing.TB, network, addr string, n int) *group {
	t.Helper()
	g := &group{t: t}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}), err)
	}}
	for range n {
		pc, err := lc.ListenPacket(context.Background(), network, addr)
		if err != nil {
			t.Skipf("no %s socket here: %v", network, err)
		}
		c := pc.(*net.UDPConn)
		t.Cleanup(func() { c.Close() })
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		g.conns, g.raws = append(g.conns, c), append(g.raws, raw)
		g.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
		host, _, _ := net.SplitHostPort(addr)
		addr = net.JoinHostPort(host, fmt.Sprint(g.addr.Port()))
	}
	return g
}

func (g *group) steer(cfg Config) *Steering {
	g.t.Helper()
	s, err := New(g.raws, cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { s.Close() })
	return s
}

// sender is a socket with an address of its own.
func sender(t *testing.T, network, ip string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP(network, &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// where sends b from c and tells which socket of the group got it. Over the
// loopback network a datagram is in its socket when the call that sent it
// returns.
func (g *group) where(c *net.UDPConn, ip string, b []byte) int {
	g.t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, netip.AddrPortFrom(netip.MustParseAddr(ip), g.addr.Port())); err != nil {
		g.t.Fatal(err)
	}
	found := -1
	var buf [2048]byte
	for i, raw := range g.raws {
		raw.Control(func(fd uintptr) {
			for {
				n, _, err := unix.Recvfrom(int(fd), buf[:], unix.MSG_DONTWAIT)
				if err != nil {
					return
				}
				if found >= 0 || n != len(b) {
					g.t.Fatalf("socket %d: a datagram of %d bytes more", i, n)
				}
				found = i
			}
		})
	}
	if found < 0 {
		g.t.Fatal("the datagram reached no socket")
	}
	return found
}

// attribute is of a STUN message.
type attribute struct {
	kind  uint16
	value string
}

func request(attrs ...attribute) []byte {
	b := []byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, a := range attrs {
		b = binary.BigEndian.AppendUint16(b, a.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.value)))
		b = append(b, a.value...)
		b = append(b, make([]byte, -len(a.value)&3)...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}

func check(socket int) []byte {
	return request(attribute{6, UfragPrefix(socket) + "xyzw:peer"})
}

// hashed is where the kernel's hash sends c's datagrams: a byte that is no
// STUN, of an address that is not in the map.
func (g *group) hashed(c *net.UDPConn, ip string) int { return g.where(c, ip, []byte{0x80}) }

var families = []struct{ name, network, bind, ip string }{
	{"ipv4", "udp4", "127.0.0.1:0", "127.0.0.1"},
	{"ipv6", "udp6", "[::1]:0", "::1"},
	{"dual stack, ipv4", "udp", "[::]:0", "127.0.0.1"},
	{"dual stack, ipv6", "udp", "[::]:0", "::1"},
}

func TestClass52_FlowsGoWhereTheMapSays(t *testing.T) {
	needPrograms(t)
	for _, f := range families {
		for n := 2; n <= 4; n++ {
			t.Run(fmt.Sprint(f.name, " over ", n), func(t *testing.T) {
				g := newGroup(t, f.network, f.bind, n)
				s := g.steer(Config{})
				for i := range 64 {
					c, from := sender(t, "udp", f.ip)
					want := i % n
					if err := s.Set(from, want); err != nil {
						t.Fatal(err)
					}
					if got := g.where(c, f.ip, []byte("media")); got != want {
						t.Fatalf("flow %d went to %d, want %d", i, got, want)
					}
					// What a check names is for addresses that are not known.
					if got := g.where(c, f.ip, check((want+1)%n)); got != want {
						t.Fatalf("check of flow %d went to %d, want %d", i, got, want)
					}
				}
				if st, err := s.Stats(); err != nil || st != (Stats{Flow: 128}) {
					t.Fatalf("%+v, %v", st, err)
				}
			})
		}
	}
}

func TestRequestsGoWhereTheUfragSays(t *testing.T) {
	needPrograms(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			const n = 4
			g := newGroup(t, f.network, f.bind, n)
			s := g.steer(Config{})
			for i := range 64 {
				c, _ := sender(t, "udp", f.ip)
				if got := g.where(c, f.ip, check(i%n)); got != i%n {
					t.Fatalf("check for socket %d went to %d", i%n, got)
				}
			}
			if st, err := s.Stats(); err != nil || st != (Stats{Ufrag: 64}) {
				t.Fatalf("%+v, %v", st, err)
			}
		})
	}
}

func TestUsernameBehindOtherAttributes(t *testing.T) {
	needPrograms(t)
	g := newGroup(t, "udp4", "127.0.0.1:0", 2)
	s := g.steer(Config{})
	c, _ := sender(t, "udp4", "127.0.0.1")
	other := 1 - g.hashed(c, "127.0.0.1")
	name := attribute{6, UfragPrefix(other) + "abcd:efgh"}
	software := attribute{0x8022, "five5"} // padded
	empty := attribute{0x25, ""}           // USE-CANDIDATE
	pad := func(n int) (list []attribute) {
		for range n {
			list = append(list, empty)
		}
		return append(list, name)
	}
	truncated := request(name)[:20+4+1]
	response := request(name)
	response[0] = 1
	cookie := request(name)
	cookie[5]++
	for _, test := range []struct {
		what    string
		b       []byte
		steered bool
	}{
		{"alone", request(name), true},
		{"behind padding", request(software, name), true},
		{"behind an empty one", request(empty, software, empty, name), true},
		{"the twelfth", request(pad(maxAttributes - 1)...), true},
		{"too far behind", request(pad(maxAttributes)...), false},
		{"none", request(software, empty), false},
		{"no attributes", request(), false},
		{"one character", request(attribute{6, "A"}), false},
		{"not our letters", request(attribute{6, "QQabcd:efgh"}), false},
		{"below our letters", request(attribute{6, "A0abcd:efgh"}), false},
		{"socket that is not there", request(attribute{6, "PPabcd:efgh"}), false},
		{"attribute longer than the packet", append(request(), 0x80, 0x22, 0xff, 0xff, 1, 2, 3, 4), false},
		{"cut short", truncated, false},
		{"response", response, false},
		{"other cookie", cookie, false},
		{"half a header", request(name)[:10], false},
		{"nothing", []byte{}, false},
	} {
		got := g.where(c, "127.0.0.1", test.b)
		if (got == other) != test.steered {
			t.Errorf("%s: socket %d, named was %d", test.what, got, other)
		}
	}
	if st, _ := s.Stats(); st.Ufrag != 4 || st.Errors != 1 || st.Flow != 0 || st.Hash == 0 {
		t.Errorf("%+v", st)
	}
}

func TestRebindingMovesTheFlow(t *testing.T) {
	needPrograms(t)
	g := newGroup(t, "udp4", "127.0.0.1:0", 3)
	s := g.steer(Config{})
	c, from := sender(t, "udp4", "127.0.0.1")
	hash := g.hashed(c, "127.0.0.1")
	for _, socket := range []int{0, 1, 2, 1} {
		if err := s.Set(from, socket); err != nil {
			t.Fatal(err)
		}
		if got := g.where(c, "127.0.0.1", []byte("media")); got != socket {
			t.Fatalf("went to %d, want %d", got, socket)
		}
	}
	for range 2 { // the second finds nothing
		if err := s.Delete(from); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.where(c, "127.0.0.1", []byte("media")); got != hash {
		t.Fatalf("forgotten, went to %d, want %d by hash", got, hash)
	}
}

func TestClass52_FullMapFallsBackToTheHash(t *testing.T) {
	needPrograms(t)
	g := newGroup(t, "udp4", "127.0.0.1:0", 2)
	s := g.steer(Config{Flows: 4})
	var refused int
	for i := range 8 {
		c, from := sender(t, "udp4", "127.0.0.1")
		want := 1 - g.hashed(c, "127.0.0.1")
		err := s.Set(from, want)
		if errors.Is(err, ErrFull) {
			refused++
			want = 1 - want
		} else if err != nil {
			t.Fatal(err)
		}
		if got := g.where(c, "127.0.0.1", []byte("media")); got != want {
			t.Fatalf("flow %d went to %d, want %d", i, got, want)
		}
	}
	if refused != 4 {
		t.Fatalf("%d refused, want 4", refused)
	}
}

// A loader that dies leaves its program with the sockets.
func TestClass52_SteeringOutlivesItsLoader(t *testing.T) {
	needPrograms(t)
	g := newGroup(t, "udp4", "127.0.0.1:0", 2)
	s := g.steer(Config{})
	c, from := sender(t, "udp4", "127.0.0.1")
	want := 1 - g.hashed(c, "127.0.0.1")
	if err := s.Set(from, want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := g.where(c, "127.0.0.1", []byte("media")); got != want {
		t.Fatalf("went to %d, want %d", got, want)
	}
	if err := s.Set(from, want); err == nil {
		t.Fatal("a closed map took an address")
	}
}

func TestRefusals(t *testing.T) {
	g := newGroup(t, "udp4", "127.0.0.1:0", 2)
	if _, err := New(g.raws[:1], Config{}); err != ErrSockets {
		t.Errorf("one socket: %v", err)
	}
	if _, err := New(make([]syscall.RawConn, MaxSockets+1), Config{}); err != ErrSockets {
		t.Errorf("too many sockets: %v", err)
	}
	needPrograms(t)
	s := g.steer(Config{})
	for _, i := range []int{-1, 2} {
		if err := s.Set(g.addr, i); err != ErrSockets {
			t.Errorf("socket %d: %v", i, err)
		}
	}
	// The kernel takes only sockets that share their port.
	alone, _ := sender(t, "udp4", "127.0.0.1")
	raw, err := alone.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New([]syscall.RawConn{g.raws[0], raw}, Config{}); !errors.Is(err, ErrNotSupported) {
		t.Errorf("a socket that shares no port: %v", err)
	}
	alone.Close()
	if _, err := New([]syscall.RawConn{g.raws[0], raw}, Config{}); err == nil {
		t.Error("a closed socket was taken")
	}
}

// Privilege belongs to a thread in Linux, so one thread gives its away and is
// not used again.
func TestClass52_WithoutPrivilege(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("run as root: there is no privilege to give away")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&hdr, &none[0]); err != nil {
			done <- fmt.Errorf("capset: %w", err)
			return
		}
		_, err := load(2, 16)
		if err == nil {
			done <- errors.New("a program to steer was loaded")
			return
		}
		if _, filter := loadFilter(guard{ports: []uint16{1}}, nil, 16, 16, false); filter == nil || !errors.Is(filter, ErrNotSupported) {
			err = fmt.Errorf("filter: %v", filter)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotSupported) || !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
}

func TestUfragPrefix(t *testing.T) {
	seen := map[string]bool{}
	for i := range MaxSockets {
		p := UfragPrefix(i)
		if len(p) != 2 || seen[p] {
			t.Fatalf("socket %d: %q", i, p)
		}
		seen[p] = true
	}
	if UfragPrefix(0) != "AA" || UfragPrefix(17) != "BB" || UfragPrefix(255) != "PP" {
		t.Error(UfragPrefix(0), UfragPrefix(17), UfragPrefix(255))
	}
	if UfragPrefix(-1) != "" || UfragPrefix(MaxSockets) != "" {
		t.Error("a prefix for a socket that cannot be")
	}
}

func BenchmarkSet(b *testing.B) {
	s, err := load(2, DefaultFlows)
	if err != nil {
		b.Skip(err)
	}
	defer s.Close()
	st := Steering{set: s, n: 2}
	for i := range b.N {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i >> 8)}), uint16(i))
		if err := st.Set(a, i&1); err != nil {
			b.Fatal(err)
		}
	}
}
