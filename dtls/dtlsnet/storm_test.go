package dtlsnet

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// helloOf is the first flight of a client, as datagrams.
func helloOf(t testing.TB, cfg Config) (*dtls.Conn, [][]byte) {
	t.Helper()
	core, err := cfg.core(dtls.Client)
	if err != nil {
		t.Fatal(err)
	}
	core.Start(1)
	return core, drain(core, 1)
}

func drain(c *dtls.Conn, t mono.Time) (out [][]byte) {
	b := make([]byte, 4096)
	for n := c.Transmit(t, b); n > 0; n = c.Transmit(t, b) {
		out = append(out, bytes.Clone(b[:n]))
	}
	return out
}

func spoofed(rng *rand.Rand) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}), uint16(rng.Uint32()))
}

// A storm of ClientHellos from addresses of others, whole and in fragments: nothing
// is kept of the whole ones, what is kept of the others is bounded, and no answer is
// longer than what it answers by more than a cookie.
func TestClass33_StormOfHellosKeepsLittle(t *testing.T) {
	ccfg, scfg := configs(t, func(c, s *Config) { c.DTLS.MTU = 4000 })
	small := ccfg
	small.DTLS.MTU = 1200
	const most = 64 << 10
	sentBytes := 0
	g := &gate{cfg: &scfg, secret: make([]byte, 32), most: most, send: func(b []byte, _ netip.AddrPort) {
		sentBytes += len(b)
	}, admit: func(*dtls.Conn, netip.AddrPort) bool { t.Error("admitted without a cookie"); return false }}
	_, whole := helloOf(t, ccfg)
	_, parts := helloOf(t, small)
	if len(whole) != 1 || len(parts) != 2 {
		t.Fatal("hellos of", len(whole), len(parts), "datagrams")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var clock mono.Time = 1e9
	got, worst := 0, 0
	for range 10_000 {
		clock = clock.Add(100 * time.Microsecond)
		g.packet(clock, whole[0], spoofed(rng))
		got += len(whole[0])
	}
	if g.bytes != 0 || len(g.order) != 0 || len(g.unproven) != 0 {
		t.Fatalf("%d bytes are kept of whole hellos", g.bytes)
	}
	if sentBytes == 0 || sentBytes > got {
		t.Fatalf("%d bytes answered with %d", got, sentBytes)
	}
	for range 10_000 {
		clock = clock.Add(100 * time.Microsecond)
		g.packet(clock, parts[rng.IntN(2)], spoofed(rng))
		worst = max(worst, g.bytes)
	}
	if worst > most || len(g.unproven) > most/1000 {
		t.Fatalf("%d bytes of %d hellos are kept", worst, len(g.unproven))
	}
	if g.stats.hellos != 20_000 || g.stats.forgotten == 0 || g.stats.admitted != 0 {
		t.Fatalf("%+v", g.stats)
	}
	g.packet(clock.Add(2*unprovenTime), whole[0], spoofed(rng))
	if g.bytes != 0 || len(g.order) != 0 {
		t.Fatal("old fragments are kept")
	}
}

// Twin: with its cookie a client gets in, whole or in fragments, in any order.
func TestClass33_TwinClientWithCookieIsAdmitted(t *testing.T) {
	for _, v := range []uint16{dtls.VersionDTLS12, dtls.VersionDTLS13} {
		for _, mtu := range []int{256, 1200, 4000} {
			ccfg, scfg := configs(t, func(c, s *Config) { c.DTLS.MTU, c.DTLS.MaxVersion = mtu, v })
			from := netip.MustParseAddrPort("192.0.2.1:5")
			var answers [][]byte
			admitted := 0
			g := &gate{cfg: &scfg, secret: []byte("secret"), most: maxUnproven, send: func(b []byte, to netip.AddrPort) {
				if to != from {
					t.Error("sent to", to)
				}
				answers = append(answers, bytes.Clone(b))
			}, admit: func(*dtls.Conn, netip.AddrPort) bool { admitted++; return true }}
			client, hello := helloOf(t, ccfg)
			for i := range hello {
				g.packet(2, hello[len(hello)-1-i], from)
			}
			if len(answers) != 1 || admitted != 0 || g.bytes != 0 {
				t.Fatal(len(answers), admitted, g.bytes)
			}
			client.HandlePacket(3, answers[0])
			again := drain(client, 3)
			// From elsewhere the cookie is worth nothing.
			g2 := &gate{cfg: g.cfg, secret: g.secret, most: g.most, send: func([]byte, netip.AddrPort) {}, admit: g.admit}
			for _, b := range again {
				g2.packet(4, b, netip.MustParseAddrPort("192.0.2.66:5"))
			}
			if admitted != 0 {
				t.Fatal("a cookie of another address is accepted")
			}
			for _, b := range again {
				g.packet(4, b, from)
			}
			if admitted != 1 || g.bytes != 0 {
				t.Fatalf("%x, MTU %d: %d admitted, %d bytes", v, mtu, admitted, g.bytes)
			}
		}
	}
}

// memory is a PacketConn: what is sent is kept for who asks, nothing is received.
type memory struct {
	out  chan packet
	done chan struct{}
}

func (m *memory) ReadFrom([]byte) (int, net.Addr, error) { <-m.done; return 0, nil, net.ErrClosed }
func (m *memory) WriteTo(b []byte, to net.Addr) (int, error) {
	if p := addrPort(to); p.Addr().As4()[0] == 192 {
		m.out <- packet{bytes.Clone(b), p}
	}
	return len(b), nil
}
func (m *memory) Close() error                     { close(m.done); return nil }
func (m *memory) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// Ten thousand hellos arrive while a session is established: it goes on, and those
// half open are as many as the limit says, counted.
func TestClass33_EstablishedSessionsOutliveAStorm(t *testing.T) {
	ccfg, scfg := configs(t, func(c, s *Config) { s.MaxHalfOpen = 4 * halfOpenSize })
	pc := &memory{make(chan packet, 1000), make(chan struct{})}
	l, err := Listen(pc, scfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here := netip.MustParseAddrPort("192.0.2.9:9")
	core, hello := helloOf(t, ccfg)
	for up := false; !up; {
		for _, b := range hello {
			l.packet(now(), b, here)
		}
		p := <-pc.out
		core.HandlePacket(now(), p.b)
		for ev, ok := core.Event(); ok; ev, ok = core.Event() {
			_, connected := ev.(dtls.Connected)
			up = up || connected
		}
		hello = drain(core, now())
	}
	for _, b := range hello {
		l.packet(now(), b, here)
	}
	rec := core.Records()
	server := accept(t, l)

	// Clients that have proved their address and then say no more.
	for i := range byte(40) {
		mute, err := scfg.core(dtls.Server)
		if err != nil {
			t.Fatal(err)
		}
		mute.Start(now())
		if got := l.admit(mute, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 3, i}), 7)); got != (i < 4) {
			t.Fatal(i, got)
		}
	}
	_, junk := helloOf(t, ccfg)
	rng := rand.New(rand.NewPCG(3, 4))
	buf, plain := make([]byte, 200), make([]byte, 200)
	for i := range 10_000 {
		l.packet(now(), junk[i%len(junk)], spoofed(rng))
		for len(pc.out) > 0 {
			<-pc.out
		}
		if i%100 != 0 {
			continue
		}
		n, err := rec.Seal(buf, []byte{byte(i / 100)})
		if err != nil {
			t.Fatal(err)
		}
		l.packet(now(), buf[:n], here)
		if n, err := server.Read(plain); err != nil || n != 1 || plain[0] != byte(i/100) {
			t.Fatal(i, n, err)
		}
	}
	s := l.Stats()
	if s.HalfOpenBytes > scfg.MaxHalfOpen || s.UnprovenBytes > maxUnproven || s.HalfOpen != 4 || s.Conns != 5 {
		t.Fatalf("%+v", s)
	}
	if s.Hellos+s.QueueFull+uint64(gateQueue*len(l.gates)) < 10_000 {
		t.Fatalf("not all are counted: %+v", s)
	}
}

// Whatever comes from strangers, in whatever order, is bounded.
func FuzzGate(f *testing.F) {
	ccfg, scfg := configs(f, nil)
	_, hello := helloOf(f, ccfg)
	for _, b := range hello {
		f.Add(b, uint8(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, from uint8) {
		sent := 0
		g := &gate{cfg: &scfg, secret: []byte("s"), most: 8 << 10, send: func(b []byte, _ netip.AddrPort) { sent += len(b) },
			admit: func(*dtls.Conn, netip.AddrPort) bool { t.Error("admitted without a cookie"); return false }}
		for i := range from % 16 {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 1)
			for _, d := range [][]byte{hello[0], b, hello[len(hello)-1]} {
				if looksLikeHello(d) {
					g.packet(mono.Time(1e9+int64(i)), d, addr)
				}
			}
		}
		if g.bytes > 8<<10 {
			t.Error(g.bytes)
		}
	})
}
