package sockets

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// patience bounds waits that end early whenever the code is right.
const patience = 10 * time.Second

// variants are the configurations that must behave alike.
func variants(addr string) map[string]Config {
	a := netip.MustParseAddrPort(addr)
	return map[string]Config{
		"native":   {Addr: a},
		"nogso":    {Addr: a, NoGSO: true},
		"nogro":    {Addr: a, NoGRO: true},
		"portable": {Addr: a, Portable: true},
	}
}

func mustListen(t testing.TB, cfg Config) Conn {
	t.Helper()
	c, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func cells(n, size int) []Message {
	ms := make([]Message, n)
	for i := range ms {
		ms[i].Buf = make([]byte, size)
	}
	return ms
}

// receive reads until want datagrams are there.
func receive(t testing.TB, c Conn, want int) []Message {
	t.Helper()
	var got []Message
	limit := mono.Now().Add(patience)
	c.SetTimeout(limit)
	for len(got) < want {
		ms := cells(64, 2048)
		n, err := c.ReadBatch(ms)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && mono.Now() > limit {
			t.Fatalf("received %d datagrams of %d", len(got), want)
		}
		got = append(got, ms[:n]...)
	}
	c.SetTimeout(0)
	return got
}

func TestBatchesCrossLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		for name, cfg := range variants(addr) {
			t.Run(name+"/"+addr, func(t *testing.T) {
				a, b := mustListen(t, cfg), mustListen(t, cfg)
				out := make([]Message, 100)
				for i := range out {
					out[i] = Message{Buf: fmt.Appendf(nil, "datagram %d", i), Addr: b.LocalAddr()}
				}
				if n, err := a.WriteBatch(out); n != len(out) || err != nil {
					t.Fatalf("WriteBatch = %d, %v", n, err)
				}
				for i, m := range receive(t, b, len(out)) {
					if string(m.Buf) != fmt.Sprintf("datagram %d", i) || m.Addr != a.LocalAddr() {
						t.Fatalf("datagram %d: %q from %v", i, m.Buf, m.Addr)
					}
					if m.Local != b.LocalAddr().Addr() || m.At == 0 {
						t.Fatalf("destination %v at %d", m.Local, m.At)
					}
				}
			})
		}
	}
}

func TestRunsArriveAsSingleDatagrams(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			a, b := mustListen(t, cfg), mustListen(t, cfg)
			var want [][]byte
			var run []byte
			for i := range 150 { // more segments than one message may have
				p := bytes.Repeat([]byte{byte(i)}, 1000)
				if i == 149 {
					p = p[:17] // the one short tail
				}
				want = append(want, p)
				run = append(run, p...)
			}
			if n, err := a.WriteBatch([]Message{{Buf: run, Addr: b.LocalAddr(), Seg: 1000}}); n != 1 || err != nil {
				t.Fatalf("WriteBatch = %d, %v", n, err)
			}
			for i, m := range receive(t, b, len(want)) {
				if !bytes.Equal(m.Buf, want[i]) {
					t.Fatalf("segment %d: %d bytes of %d", i, len(m.Buf), m.Buf[0])
				}
			}
			if s := a.Stats(); s.Sent != 150 || s.SentBytes != uint64(len(run)) {
				t.Fatalf("counted %d datagrams, %d bytes", s.Sent, s.SentBytes)
			}
		})
	}
}

func TestWildcardSocketServesBothFamilies(t *testing.T) {
	for _, portable := range []bool{false, true} {
		s := mustListen(t, Config{Portable: portable})
		for _, ip := range []string{"127.0.0.1", "::1"} {
			c := mustListen(t, Config{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 0), Portable: portable})
			to := netip.AddrPortFrom(netip.MustParseAddr(ip), s.LocalAddr().Port())
			if _, err := c.WriteBatch([]Message{{Buf: []byte("ping"), Addr: to}}); err != nil {
				t.Fatal(err)
			}
			m := receive(t, s, 1)[0]
			if m.Addr != c.LocalAddr() {
				t.Fatalf("from %v, want %v", m.Addr, c.LocalAddr())
			}
			if runtime.GOOS == "linux" && !portable && m.Local != to.Addr() {
				t.Fatalf("destination %v, want %v", m.Local, to.Addr())
			}
			if _, err := s.WriteBatch([]Message{{Buf: []byte("pong"), Addr: m.Addr, Local: m.Local}}); err != nil {
				t.Fatal(err)
			}
			if r := receive(t, c, 1)[0]; string(r.Buf) != "pong" || r.Addr != to {
				t.Fatalf("%q from %v", r.Buf, r.Addr)
			}
		}
	}
}

func TestTooLongDatagramIsCountedNotDelivered(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("Windows reports it as an error of the read")
			}
			a, b := mustListen(t, cfg), mustListen(t, cfg)
			if _, err := a.WriteBatch([]Message{{Buf: make([]byte, 1400), Addr: b.LocalAddr()}}); err != nil {
				t.Fatal(err)
			}
			b.SetTimeout(mono.Now().Add(patience))
			ms := cells(1, 1000)
			if n, err := b.ReadBatch(ms); n != 1 || err != nil || len(ms[0].Buf) != 0 {
				t.Fatalf("ReadBatch = %d, %v, %d bytes", n, err, len(ms[0].Buf))
			}
			if b.Stats().Truncated != 1 {
				t.Fatal("not counted")
			}
		})
	}
}

func TestWakeEndsTheWait(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			c := mustListen(t, cfg)
			c.Wake() // before the wait
			if n, err := c.ReadBatch(cells(1, 100)); n != 0 || err != nil {
				t.Fatalf("ReadBatch = %d, %v", n, err)
			}
			for range 1000 { // racing with it
				go c.Wake()
				if n, err := c.ReadBatch(cells(1, 100)); n != 0 || err != nil {
					t.Fatalf("ReadBatch = %d, %v", n, err)
				}
			}
		})
	}
}

func TestTimeoutEndsTheWait(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			c := mustListen(t, cfg)
			for _, d := range []time.Duration{-time.Second, time.Millisecond} {
				at := mono.Now().Add(d)
				c.SetTimeout(at)
				if n, err := c.ReadBatch(cells(1, 100)); n != 0 || err != nil || mono.Now() < at {
					t.Fatalf("ReadBatch = %d, %v", n, err)
				}
			}
		})
	}
}

func TestCloseEndsTheWait(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			c := mustListen(t, cfg)
			go c.Close()
			if _, err := c.ReadBatch(cells(1, 100)); !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			if _, err := c.WriteBatch([]Message{{Buf: []byte("x"), Addr: c.LocalAddr()}}); !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			if _, err := c.ReadBatch(cells(1, 100)); !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			c.Wake()
		})
	}
}

func TestMessageThatCannotGoHarmsNoOther(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			a, b := mustListen(t, cfg), mustListen(t, cfg)
			n, err := a.WriteBatch([]Message{
				{Buf: []byte("nowhere")},
				{Buf: make([]byte, 70000), Addr: b.LocalAddr()},
				{Buf: []byte("wrong family"), Addr: netip.MustParseAddrPort("[2001:db8::1]:9")},
				{Buf: []byte("good"), Addr: b.LocalAddr()},
			})
			if n != 4 || err != nil {
				t.Fatalf("WriteBatch = %d, %v", n, err)
			}
			if m := receive(t, b, 1)[0]; string(m.Buf) != "good" {
				t.Fatalf("%q", m.Buf)
			}
			if s := a.Stats(); s.SendErrors != 3 || s.Sent != 1 {
				t.Fatalf("%+v", s)
			}
		})
	}
}

func TestSecondWriterIsIndependent(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		t.Run(name, func(t *testing.T) {
			a, b := mustListen(t, cfg), mustListen(t, cfg)
			done := make(chan struct{})
			write := func(w Writer, tag string) {
				for range 100 {
					if _, err := w.WriteBatch([]Message{{Buf: []byte(tag), Addr: b.LocalAddr()}}); err != nil {
						t.Error(err)
					}
				}
				done <- struct{}{}
			}
			go write(a, "data")
			go write(a.Writer(1), "control")
			seen := map[string]int{}
			for _, m := range receive(t, b, 200) {
				seen[string(m.Buf)]++
			}
			<-done
			<-done
			if seen["data"] != 100 || seen["control"] != 100 {
				t.Fatal(seen)
			}
		})
	}
}

func TestListenSaysWhatFailed(t *testing.T) {
	for name, cfg := range variants("127.0.0.1:0") {
		first := mustListen(t, cfg)
		cfg.Addr = first.LocalAddr()
		if _, err := Listen(cfg); err == nil || !bytes.Contains([]byte(err.Error()), []byte(cfg.Addr.String())) {
			t.Errorf("%s: second bind: %v", name, err)
		}
	}
	if _, err := Listen(Config{ReusePort: true, Portable: true}); !errors.Is(err, errNoReusePort) {
		t.Error(err)
	}
}

func TestRunSizes(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 8: 3, 9: 4, 16: 4, 17: 5, 32: 5, 33: 6, 64: 6, 65: 7, 128: 7, 1000: 7} {
		if got := runSize(n); got != want {
			t.Errorf("%d datagrams: %d, want %d", n, got, want)
		}
	}
}

// Each of the fields is added, and none to another.
func TestStatsAdd(t *testing.T) {
	var a, b Stats
	v := reflect.ValueOf(&b).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Uint64 {
			f.SetUint(uint64(i + 1))
			continue
		}
		for k := range v.Field(i).Len() {
			v.Field(i).Index(k).SetUint(uint64(100 + k))
		}
	}
	a.Add(b)
	if a != b {
		t.Errorf("%+v, want %+v", a, b)
	}
}
