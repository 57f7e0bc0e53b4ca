package dtlsnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
)

// patience is how long a test waits for what must happen; it decides nothing.
const patience = 30 * time.Second

type identity struct {
	cert *dtls.Certificate
	fp   dtls.Fingerprint
}

func newIdentity(t testing.TB) identity {
	t.Helper()
	cert, err := dtls.GenerateCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fp, err := cert.Fingerprint("sha-256")
	if err != nil {
		t.Fatal(err)
	}
	return identity{cert, fp}
}

func configs(t testing.TB, tune func(client, server *Config)) (client, server Config) {
	t.Helper()
	a, b := newIdentity(t), newIdentity(t)
	client.DTLS = dtls.Config{Certificate: a.cert, RemoteFingerprints: []dtls.Fingerprint{b.fp}}
	server.DTLS = dtls.Config{Certificate: b.cert, RemoteFingerprints: []dtls.Fingerprint{a.fp}}
	if tune != nil {
		tune(&client, &server)
	}
	return client, server
}

func listen(t testing.TB, cfg Config) *Listener {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(pc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t testing.TB, l *Listener, cfg Config) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := Dial(ctx, "udp4", l.Addr().String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func accept(t testing.TB, l *Listener) *Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Conn)
}

// exchange sends a message each way. Datagrams may be lost even on the loopback, so
// they are repeated.
func exchange(t testing.TB, a, b *Conn) {
	t.Helper()
	for _, way := range [][2]*Conn{{a, b}, {b, a}} {
		msg := fmt.Appendf(nil, "message %p", way[0])
		buf := make([]byte, 100)
		for try := 0; ; try++ {
			if _, err := way[0].Write(msg); err != nil {
				t.Fatal(err)
			}
			way[1].SetReadDeadline(time.Now().Add(time.Second))
			n, err := way[1].Read(buf)
			if err == nil && bytes.Equal(buf[:n], msg) {
				break
			}
			if try == 20 {
				t.Fatal(err, buf[:n])
			}
		}
		way[1].SetReadDeadline(time.Time{})
	}
}

func TestListenAndDial(t *testing.T) {
	for _, v := range []uint16{dtls.VersionDTLS12, dtls.VersionDTLS13} {
		for _, idLen := range []int{0, 8} {
			t.Run(fmt.Sprintf("%x/%d", v, idLen), func(t *testing.T) {
				ccfg, scfg := configs(t, func(c, s *Config) {
					c.DTLS.MaxVersion, c.DTLS.ALPN, s.DTLS.ALPN = v, []string{"webrtc"}, []string{"webrtc"}
					c.ConnectionIDLen, s.ConnectionIDLen = idLen, idLen
					c.DTLS.SRTPProfiles = []dtls.SRTPProfile{dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM}
					s.DTLS.SRTPProfiles = c.DTLS.SRTPProfiles[1:]
				})
				l := listen(t, scfg)
				client := dial(t, l, ccfg)
				server := accept(t, l)
				exchange(t, client, server)
				for _, s := range []dtls.ConnectionState{client.ConnectionState(), server.ConnectionState()} {
					if s.SRTPProfile != dtls.SRTP_AEAD_AES_128_GCM || s.Version != v || s.ALPN != "webrtc" || len(s.LocalConnectionID) != idLen || len(s.PeerCertificates) != 1 ||
						s.ReturnRoutability != (idLen > 0) {
						t.Errorf("%+v", s)
					}
				}
				a, err1 := client.ExportKeyingMaterial("EXPORTER-x", nil, 20)
				b, err2 := server.ExportKeyingMaterial("EXPORTER-x", nil, 20)
				if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
					t.Error(err1, err2)
				}
				if _, k, _, _, _, err := client.SRTPKeys(); err != nil || len(k) == 0 {
					t.Error(err)
				}
				if client.RemoteAddr().String() != l.Addr().String() || server.RemoteAddr().String() != client.LocalAddr().String() {
					t.Error(client.RemoteAddr(), server.RemoteAddr())
				}
				if _, err := client.Write(make([]byte, 1<<15)); err != dtls.ErrTooLong {
					t.Error(err)
				}
				client.Close()
				server.SetReadDeadline(time.Now().Add(patience))
				if _, err := server.Read(make([]byte, 10)); err != io.EOF {
					t.Error(err)
				}
				if _, err := client.Read(make([]byte, 10)); err != net.ErrClosed {
					t.Error(err)
				}
				if s := l.Stats(); s.Conns != 0 || s.HalfOpen != 0 || s.HalfOpenBytes != 0 || s.Admitted != 1 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	ccfg, scfg := configs(t, nil)
	l := listen(t, scfg)
	const clients = 20
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			client := dial(t, l, ccfg)
			buf := make([]byte, 100)
			for i := range 5 {
				client.SetDeadline(time.Now().Add(patience))
				if _, err := fmt.Fprintf(client, "hello %d", i); err != nil {
					t.Error(err)
				}
				if n, err := client.Read(buf); err != nil || string(buf[:n]) != fmt.Sprintf("hello %d", i) {
					t.Error(err, string(buf[:n]))
				}
			}
		})
	}
	for range clients {
		c := accept(t, l)
		go func() {
			buf := make([]byte, 100)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				c.Write(buf[:n])
			}
		}()
	}
	wg.Wait()
}

func TestDeadlines(t *testing.T) {
	ccfg, scfg := configs(t, nil)
	l := listen(t, scfg)
	client := dial(t, l, ccfg)
	server := accept(t, l)
	past := time.Unix(1, 0)
	client.SetDeadline(past)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	client.SetDeadline(time.Time{})
	exchange(t, client, server)
	client.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	client.SetReadDeadline(time.Time{})
	server.Write([]byte("long message"))
	client.SetReadDeadline(time.Now().Add(patience))
	if n, err := client.Read(make([]byte, 4)); n != 4 || err != io.ErrShortBuffer {
		t.Error(n, err)
	}
	// A deadline bounds the handshake as well, and so does a context.
	deaf, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	nc, err := net.Dial("udp4", deaf.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Client(nc, ccfg)
	if err != nil {
		t.Fatal(err)
	}
	alone.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := alone.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := alone.Handshake(ctx); err != context.Canceled {
		t.Error(err)
	}
	if err := alone.Handshake(context.Background()); err != net.ErrClosed {
		t.Error(err)
	}
}

func TestWrongPeerIsRefused(t *testing.T) {
	ccfg, scfg := configs(t, nil)
	ccfg.DTLS.RemoteFingerprints = []dtls.Fingerprint{newIdentity(t).fp}
	l := listen(t, scfg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := Dial(ctx, "udp4", l.Addr().String(), ccfg); !errors.Is(err, dtls.ErrFingerprint) {
		t.Fatal(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, good := configs(t, nil)
	for name, tune := range map[string]func(c *Config){
		"no certificate": func(c *Config) { c.DTLS.Certificate = nil },
		"negative":       func(c *Config) { c.MaxConns = -1 },
		"short ID":       func(c *Config) { c.ConnectionIDLen = 3 },
		"long ID":        func(c *Config) { c.ConnectionIDLen = 33 },
	} {
		cfg := good
		tune(&cfg)
		a, b := net.Pipe()
		if _, err := Client(a, cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
		a.Close()
		b.Close()
	}
}

// Client and Server over a net.Conn, and over a PacketConn.
func TestOverSocketsOfOnesOwn(t *testing.T) {
	ccfg, scfg := configs(t, nil)
	a, b := net.Pipe()
	server, err := Server(&buffered{Conn: b}, scfg)
	if err != nil {
		t.Fatal(err)
	}
	client, err := Client(&buffered{Conn: a}, ccfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	exchange(t, client, server)
	client.Close()
	server.Close()

	l := listen(t, scfg)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err = ClientPacket(pc, l.Addr(), ccfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	exchange(t, client, accept(t, l))
	client.Close()
}

// buffered makes the Writes of a net.Pipe wait for nobody.
type buffered struct {
	net.Conn
	once sync.Once
	out  chan []byte
}

func (b *buffered) Write(p []byte) (int, error) {
	b.once.Do(func() {
		b.out = make(chan []byte, 100)
		go func() {
			for m := range b.out {
				if _, err := b.Conn.Write(m); err != nil {
					return
				}
			}
		}()
	})
	select {
	case b.out <- bytes.Clone(p):
	default:
	}
	return len(p), nil
}

// A client whose address changes is served on (RFC 9146 §6, RFC 9853).
func TestClientThatMovesIsFollowed(t *testing.T) {
	for _, v := range []uint16{dtls.VersionDTLS12, dtls.VersionDTLS13} {
		ccfg, scfg := configs(t, func(c, s *Config) {
			c.DTLS.MaxVersion, c.ConnectionIDLen, s.ConnectionIDLen = v, 8, 8
		})
		l := listen(t, scfg)
		pc := &roaming{in: make(chan []byte, 100), to: l.Addr()}
		pc.move(t)
		client, err := Client(pc, ccfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Handshake(t.Context()); err != nil {
			t.Fatal(err)
		}
		server := accept(t, l)
		exchange(t, client, server)
		for range 3 {
			before := server.RemoteAddr().String()
			pc.move(t)
			exchange(t, client, server)
			for end := time.Now().Add(patience); time.Now().Before(end); { // until the check is over
				exchange(t, client, server)
				if server.RemoteAddr().String() == pc.LocalAddr().String() {
					break
				}
			}
			if got := server.RemoteAddr().String(); got == before || got != pc.LocalAddr().String() {
				t.Fatalf("the server sends to %s, the client is at %s, was at %s", got, pc.LocalAddr(), before)
			}
		}
		if s := l.Stats(); s.Conns != 1 || s.Admitted != 1 {
			t.Errorf("%+v", s)
		}
		client.Close()
	}
}

// roaming is a client's socket that changes its address, as behind a NAT: what is
// sent to the old one still arrives.
type roaming struct {
	in chan []byte
	to net.Addr

	mu  sync.Mutex
	all []net.PacketConn
}

func (r *roaming) cur() net.PacketConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

func (r *roaming) move(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.all = append(r.all, pc)
	r.mu.Unlock()
	go func() {
		b := make([]byte, 2000)
		for {
			n, _, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			select {
			case r.in <- bytes.Clone(b[:n]):
			default:
			}
		}
	}()
}

func (r *roaming) Read(b []byte) (int, error) {
	m, ok := <-r.in
	if !ok {
		return 0, net.ErrClosed
	}
	return copy(b, m), nil
}

func (r *roaming) Write(b []byte) (int, error)      { return r.cur().WriteTo(b, r.to) }
func (r *roaming) LocalAddr() net.Addr              { return r.cur().LocalAddr() }
func (r *roaming) RemoteAddr() net.Addr             { return r.to }
func (r *roaming) SetDeadline(time.Time) error      { return nil }
func (r *roaming) SetReadDeadline(time.Time) error  { return nil }
func (r *roaming) SetWriteDeadline(time.Time) error { return nil }
func (r *roaming) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pc := range r.all {
		pc.Close()
	}
	return nil
}

// A client that starts again from the same port gets in, once it has returned a
// cookie; a hello alone changes nothing (RFC 6347 §4.2.8).
func TestClientThatStartsAgainReplacesItself(t *testing.T) {
	ccfg, scfg := configs(t, nil)
	l := listen(t, scfg)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first, err := ClientPacket(pc, l.Addr(), ccfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := accept(t, l)
	exchange(t, first, old)
	first.fail(net.ErrClosed) // the process is gone, and says nothing
	if pc, err = net.ListenPacket("udp4", pc.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	second, err := ClientPacket(pc, l.Addr(), ccfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	exchange(t, second, accept(t, l))
	if _, err := old.Read(make([]byte, 10)); err != ErrReplaced {
		t.Fatal(err)
	}
}
