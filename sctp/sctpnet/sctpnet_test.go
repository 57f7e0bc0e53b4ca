package sctpnet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sctp"
)

// lossy drops datagrams that leave, by a seed.
type lossy struct {
	net.PacketConn
	mu   sync.Mutex
	rng  *rand.Rand
	loss float64
}

func (l *lossy) WriteTo(b []byte, to net.Addr) (int, error) {
	l.mu.Lock()
	lose := l.rng.Float64() < l.loss
	l.mu.Unlock()
	if lose {
		return len(b), nil
	}
	return l.PacketConn.WriteTo(b, to)
}

// within bounds what would otherwise hang; no verdict depends on it.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func endpoint(t testing.TB, cfg Config, loss float64, seed uint64) *Endpoint {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := must[*Endpoint](t)(New(&lossy{PacketConn: pc, loss: loss, rng: rand.New(rand.NewPCG(seed, 1))}, cfg))
	t.Cleanup(func() { e.Close() })
	return e
}

// fast keeps lossy tests short.
func fast(cfg sctp.Config) Config {
	cfg.RTOInitial, cfg.RTOMin, cfg.RTOMax = 20*time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
	cfg.MaxInitRetransmits, cfg.MaxRetransmits = 100, 100
	return Config{SCTP: cfg}
}

func connect(t testing.TB, a, b *Endpoint) (client, server *Conn) {
	t.Helper()
	ctx := within(t)
	client = must[*Conn](t)(a.Dial(ctx, b.Addr()))
	server = must[*Conn](t)(b.Accept(ctx))
	return client, server
}

func TestMessagesBothWaysOnManyStreams(t *testing.T) {
	for _, loss := range []float64{0, .1} {
		a, b := endpoint(t, fast(sctp.Config{Interleave: true}), loss, 1), endpoint(t, fast(sctp.Config{Interleave: true}), loss, 2)
		x, y := connect(t, a, b)
		const streams, each = 20, 30
		var wg sync.WaitGroup
		send := func(c *Conn) {
			for id := range uint16(streams) {
				wg.Go(func() {
					s := must[*Stream](t)(c.Stream(id))
					for n := range each {
						body := bytes.Repeat([]byte{byte(id), byte(n)}, 1+n*100)
						if _, err := s.WriteMessage(Message{PPID: uint32(n), Data: body}, sctp.SendOptions{}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		receive := func(s *Stream) {
			buf := make([]byte, 1<<16)
			for n := range each {
				m, err := s.ReadMessage(buf)
				if err != nil || m.PPID != uint32(n) || !bytes.Equal(m.Data, bytes.Repeat([]byte{byte(s.ID()), byte(n)}, 1+n*100)) {
					t.Errorf("stream %d, message %d: %v %v", s.ID(), n, m.PPID, err)
					return
				}
			}
		}
		send(x)
		for range streams {
			s := must[*Stream](t)(y.AcceptStream(within(t)))
			wg.Go(func() { receive(s) })
		}
		wg.Wait()
		send(y)
		for id := range uint16(streams) {
			s := must[*Stream](t)(x.Stream(id))
			wg.Go(func() { receive(s) })
		}
		wg.Wait()
		if st := x.Stats(); st.ZeroChecksum || !st.Interleaved || st.MTU != 1232 || st.SRTT == 0 {
			t.Errorf("%+v", st)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		<-y.Done()
		if !errors.Is(y.Err(), net.ErrClosed) {
			t.Error(y.Err())
		}
	}
}

func TestStreamIsANetConn(t *testing.T) {
	x, y := connect(t, endpoint(t, fast(sctp.Config{}), .02, 3), endpoint(t, fast(sctp.Config{}), .02, 4))
	s := must[*Stream](t)(x.Stream(7))
	var wg sync.WaitGroup
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	wg.Go(func() {
		for rest := data; len(rest) > 0; {
			n, err := s.Write(rest[:min(len(rest), 50_000)])
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		s.Close()
	})
	r := must[*Stream](t)(y.AcceptStream(within(t)))
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	wg.Wait()
	if _, err := s.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	r.Close()
	// The id is free again, on both sides.
	<-s.Done()
	if _, err := must[*Stream](t)(x.Stream(7)).Write([]byte("again")); err != nil {
		t.Fatal(err)
	}
	again := must[*Stream](t)(y.AcceptStream(within(t)))
	buf := make([]byte, 10)
	if n, err := again.Read(buf); string(buf[:n]) != "again" {
		t.Error(n, err)
	}
}

func TestDeadlinesAndBackPressure(t *testing.T) {
	cfg := fast(sctp.Config{MaxSendBuffer: 100 << 10, MaxMessageSize: 10 << 10, MaxReceiveBuffer: 80 << 10, MaxReceiveMemory: 80 << 10})
	x, y := connect(t, endpoint(t, cfg, 0, 1), endpoint(t, cfg, 0, 2))
	s := must[*Stream](t)(x.Stream(1))
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	total := 0
	if err := s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := s.Write(make([]byte, 10<<10))
		if total += n; err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			break
		}
	}
	if total > 300<<10 || total < 80<<10 {
		t.Errorf("%d bytes for a peer who does not read", total)
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := s.Write(make([]byte, 10<<10)); done <- err }()
	r := must[*Stream](t)(y.AcceptStream(within(t)))
	if _, err := io.ReadFull(r, make([]byte, total+10<<10)); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := s.Write(make([]byte, 1<<20)); !errors.Is(err, sctp.ErrMessageTooLarge) {
		t.Error(err)
	}
	go func() { _, err := s.Read(make([]byte, 1)); done <- err }()
	x.Abort("enough")
	if err := <-done; !errors.Is(err, sctp.ErrAborted) {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, sctp.ErrPeerAborted) {
		t.Error(err)
	}
	if err := y.Close(); !errors.Is(err, sctp.ErrPeerAborted) {
		t.Error(err)
	}
}

func TestClosedPeerDeliversEverything(t *testing.T) {
	a, b := endpoint(t, fast(sctp.Config{}), .1, 5), endpoint(t, fast(sctp.Config{}), .1, 6)
	x, y := connect(t, a, b)
	s := must[*Stream](t)(x.Stream(0))
	for n := range uint32(200) {
		if _, err := s.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error)
	go func() { closed <- x.Close() }()
	r := must[*Stream](t)(y.AcceptStream(within(t)))
	for n := range uint32(200) {
		buf := make([]byte, 4)
		if _, err := r.Read(buf); err != nil || binary.BigEndian.Uint32(buf) != n {
			t.Fatalf("%d: %x %v", n, buf, err)
		}
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if a.Stats().Conns != 0 {
		t.Error("association not forgotten")
	}
}

// A client that has lost everything connects anew from the same port.
func TestRestartedPeer(t *testing.T) {
	b := endpoint(t, fast(sctp.Config{}), 0, 2)
	pc := must[net.PacketConn](t)(net.ListenPacket("udp", "127.0.0.1:0"))
	addr := pc.LocalAddr().String()
	// The first socket goes without a word.
	mute := &lossy{PacketConn: pc, rng: rand.New(rand.NewPCG(1, 1))}
	a := must[*Endpoint](t)(New(mute, fast(sctp.Config{})))
	_, y := connect(t, a, b)
	mute.mu.Lock()
	mute.loss = 1
	mute.mu.Unlock()
	a.Close()
	old := must[*Stream](t)(y.Stream(3))
	a = must[*Endpoint](t)(Listen("udp", addr, fast(sctp.Config{})))
	defer a.Close()
	x := must[*Conn](t)(a.Dial(within(t), b.Addr()))
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, sctp.ErrRestarted) {
		t.Error(err)
	}
	s := must[*Stream](t)(x.Stream(3))
	if _, err := s.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	r := must[*Stream](t)(y.AcceptStream(within(t)))
	buf := make([]byte, 4)
	if _, err := r.Read(buf); err != nil || string(buf) != "back" || b.Stats().Conns != 1 {
		t.Errorf("%q %v, %d associations", buf, err, b.Stats().Conns)
	}
}

// INITs leave nothing behind, and a cookie is good for its own address alone.
func TestClass33_InitsOfStrangersLeaveNothing(t *testing.T) {
	b := endpoint(t, fast(sctp.Config{}), 0, 2)
	pc := must[net.PacketConn](t)(net.ListenPacket("udp", "127.0.0.1:0"))
	defer pc.Close()
	buf := make([]byte, 2048)
	var a *sctp.Association
	for range 200 {
		a = sctp.New(sctp.Config{})
		a.Start(1)
		n := a.Transmit(1, buf)
		must[int](t)(pc.WriteTo(buf[:n], b.Addr()))
		n, _, err := pc.ReadFrom(buf)
		if err != nil || a.HandlePacket(1, buf[:n]) != nil {
			t.Fatal(err)
		}
	}
	if st := b.Stats(); st.Conns != 0 || st.Strangers != 200 {
		t.Errorf("%+v", st)
	}
	n := a.Transmit(1, buf) // COOKIE ECHO
	other := must[net.PacketConn](t)(net.ListenPacket("udp", "127.0.0.1:0"))
	defer other.Close()
	must[int](t)(other.WriteTo(buf[:n], b.Addr()))
	must[int](t)(pc.WriteTo(buf[:n], b.Addr()))
	y := must[*Conn](t)(b.Accept(within(t)))
	if y.RemoteAddr().String() != pc.LocalAddr().String() || b.Stats().Conns != 1 {
		t.Error("a cookie was taken from another address")
	}
	for _, junk := range [][]byte{nil, {1}, make([]byte, 12), make([]byte, 500), bytes.Repeat([]byte{0xff}, 100)} {
		must[int](t)(other.WriteTo(junk, b.Addr()))
	}
}

func TestClass33_AssociationsAreBounded(t *testing.T) {
	cfg := fast(sctp.Config{})
	cfg.MaxConns, cfg.Backlog = 3, 2
	b := endpoint(t, cfg, 0, 2)
	ctx := within(t)
	var ok []*Conn
	for range 3 {
		c, err := Dial(ctx, "udp", b.Addr().String(), fast(sctp.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		ok = append(ok, c)
	}
	<-ok[2].Done() // nobody accepts
	if st := b.Stats(); st.Refused != 1 {
		t.Errorf("%+v", st)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := Dial(short, "udp", "127.0.0.1:9", fast(sctp.Config{})); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Close comes back even when the peer does not answer.
func TestClass38_CloseIsBounded(t *testing.T) {
	a := endpoint(t, Config{CloseTimeout: 50 * time.Millisecond}, 0, 1)
	b := endpoint(t, Config{}, 0, 2)
	x, y := connect(t, a, b)
	y.e.pc.(*lossy).mu.Lock()
	y.e.pc.(*lossy).loss = 1
	y.e.pc.(*lossy).mu.Unlock()
	s := must[*Stream](t)(x.Stream(1))
	if _, err := s.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := a.Accept(within(t)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := a.Dial(within(t), b.Addr()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestPartsOfALargeMessage(t *testing.T) {
	cfg := fast(sctp.Config{Interleave: true, MaxMessageSize: 16 << 10, MaxReceiveBuffer: 100 << 10, MaxSendBuffer: 200 << 10, MaxSendMessageSize: 1 << 30})
	x, y := connect(t, endpoint(t, cfg, .01, 1), endpoint(t, cfg, .01, 2))
	r := must[*Stream](t)(y.Stream(2))
	r.ReadParts(true)
	s := must[*Stream](t)(x.Stream(2))
	const part, parts = 32 << 10, 64
	go func() {
		for n := range parts {
			if _, err := s.WriteMessage(Message{More: n < parts-1, Data: bytes.Repeat([]byte{byte(n)}, part)}, sctp.SendOptions{}); err != nil {
				t.Error(err)
			}
		}
	}()
	buf, at := make([]byte, 1<<20), 0
	for more := true; more; {
		m, err := r.ReadMessage(buf)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range m.Data {
			if v != byte(at/part) {
				t.Fatalf("wrong byte at %d", at)
			}
			at++
		}
		more = m.More
	}
	if at != part*parts {
		t.Error(at)
	}
}

func Example() {
	ctx := context.Background()
	server, err := Listen("udp", "127.0.0.1:0", Config{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept(ctx)
		if err != nil {
			return
		}
		stream, err := conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		_, _ = io.Copy(stream, stream) // an echo of each message
	}()

	conn, err := Dial(ctx, "udp", server.Addr().String(), Config{})
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	stream, err := conn.Stream(1)
	if err != nil {
		panic(err)
	}
	fmt.Fprint(stream, "hello")
	b := make([]byte, 100)
	n, _ := stream.Read(b)
	fmt.Println(string(b[:n]))
	// Output: hello
}

// A message that may be lost: sent once, in no order.
func ExampleStream_WriteMessage() {
	server, err := Listen("udp", "127.0.0.1:0", Config{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	conn, err := Dial(context.Background(), "udp", server.Addr().String(), Config{})
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	stream, err := conn.Stream(1)
	if err != nil {
		panic(err)
	}
	n, err := stream.WriteMessage(Message{PPID: 42, Unordered: true, Data: []byte("now or never")},
		sctp.SendOptions{Reliability: sctp.Rexmit, Value: 0})
	fmt.Println(n, err)
	// Output: 12 <nil>
}
