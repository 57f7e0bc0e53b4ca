package dataplane

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// heard tells which shard a check has come to.
type heard struct{ shards chan *Shard }

func (h heard) HandlePacket(_ mono.Time, p *Packet)   { h.shards <- p.Shard }
func (h heard) HandleChannel(mono.Time, ChannelEvent) {}
func (h heard) HandleFailure(_ mono.Time, err error)  {}
func (h heard) next(t *testing.T) (s *Shard) {
	t.Helper()
	select {
	case s = <-h.shards:
	case <-time.After(time.Minute):
		t.Fatal("the check was lost")
	}
	return s
}

// arrivals is the datagrams that each shard's socket has taken.
func arrivals(e *Engine) (n []uint64) {
	for _, s := range e.shards {
		n = append(n, s.conn.Stats().Received)
	}
	return n
}

func check(ufrag string) []byte {
	b := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{1, 2, 3})
	b.Username(ufrag + ":peer")
	return b.Bytes()
}

// The kernel itself: first by user fragment, then by flow, after a rebinding
// and under new credentials too, and by hash with hand-over when it is off.
func TestClass52_KernelSteersEachTransportToItsShard(t *testing.T) {
	err := bpf.Supported()
	if err != nil && os.Getenv("SLUICE_INTEROP") == "1" && os.Getuid() == 0 {
		t.Fatal(err)
	}
	for shards := 2; shards <= 4; shards++ {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d shards, off %v", shards, off), func(t *testing.T) {
				if err != nil && !off {
					t.Skipf("run as root on Linux 5.4 or later: %v", err)
				}
				e, err := New(Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: shards, NoSteering: off, Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				if e.Stats().Steering.Active == off {
					t.Fatalf("active: %v", !off)
				}
				for i := range 64 {
					session(t, e, i, off)
				}
				st := e.Stats().Steering
				if !off && (st.Ufrag != 2*64 || st.Flow != 3*64 || st.Hash != 0 || st.Errors != 0) {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// session is a peer that checks, is admitted, checks again, changes its
// address, is admitted there, and checks under new credentials.
func session(t *testing.T, e *Engine, i int, off bool) {
	t.Helper()
	lane, ep := e.Lane(), heard{make(chan *Shard, 8)}
	home := lane.Shard()
	var tr *Transport
	// send has c check, and admits its address as an endpoint does.
	send := func(c *net.UDPConn, ufrag string, known bool) {
		t.Helper()
		before := arrivals(e)
		if _, err := c.WriteToUDPAddrPort(check(ufrag), e.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		at := ep.next(t)
		if tr == nil {
			tr = e.NewTransport(at, TransportConfig{Lane: lane, Endpoint: ep})
		}
		if (known || !off) && at != tr.Shard() {
			t.Fatalf("peer %d: at shard %d, not handed over", i, at.index)
		}
		for k, n := range arrivals(e) {
			if want := k == home.index; !off && (n > before[k]) != want {
				t.Fatalf("peer %d of shard %d: shard %d received %d", i, home.index, k, n-before[k])
			}
		}
		tr.AddRemote(at, c.LocalAddr().(*net.UDPAddr).AddrPort())
		settle(e)
	}
	client := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	register := func(n int) string {
		ufrag := fmt.Sprintf("%sx%d+%d", lane.UfragPrefix(), i, n)
		if err := e.Register(ufrag, lane, ep); err != nil {
			t.Fatal(err)
		}
		return ufrag
	}
	first, second, ufrag := client(), client(), register(1)
	send(first, ufrag, false)
	send(first, ufrag, true)
	send(second, ufrag, false)
	send(second, ufrag, true)
	send(second, register(2), true)
}

// settle waits until every data lane has applied what was posted to it.
func settle(e *Engine) {
	for _, s := range e.shards {
		done := make(chan struct{})
		s.Post(func(*Shard, mono.Time) { close(done) })
		<-done
	}
}
