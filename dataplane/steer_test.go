package dataplane

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/srtp"
)

// fakeFlows is a flow map without a kernel.
type fakeFlows struct {
	to     map[netip.AddrPort]int
	room   int
	closed bool
}

func (f *fakeFlows) Set(a netip.AddrPort, socket int) error {
	if _, ok := f.to[a]; !ok && len(f.to) >= f.room {
		return bpf.ErrFull
	}
	f.to[a] = socket
	return nil
}

func (f *fakeFlows) Delete(a netip.AddrPort) error { delete(f.to, a); return nil }
func (f *fakeFlows) Stats() (bpf.Stats, error)     { return bpf.Stats{Flow: 1}, nil }
func (f *fakeFlows) Close() error                  { f.closed = true; return nil }

func newSteeredRig(t *testing.T, shards, room int) (*rig, *fakeFlows) {
	t.Helper()
	r, f := newRig(t, shards), &fakeFlows{to: map[netip.AddrPort]int{}, room: room}
	r.e.steer(&Config{}, func(conns []sockets.Conn, _ int) (flowMap, error) {
		if len(conns) != shards {
			t.Fatalf("%d sockets", len(conns))
		}
		return f, nil
	})
	return r, f
}

func TestSteeredTransportsAreSpreadEvenly(t *testing.T) {
	const shards = 4
	r, f := newSteeredRig(t, shards, 1000)
	perShard := map[int]int{}
	for i := range 64 {
		lane := r.e.Lane()
		if want := bpf.UfragPrefix(lane.shard.index); lane.UfragPrefix() != want {
			t.Fatalf("prefix %q, want %q", lane.UfragPrefix(), want)
		}
		// The hash sent the first check to shard 0.
		tr := r.e.NewTransport(r.e.shards[0], TransportConfig{Lane: lane, Endpoint: &endpoint{}})
		addr := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), uint16(20000+i))
		tr.AddRemote(r.e.shards[0], addr)
		if f.to[addr] != lane.shard.index || tr.Shard() != lane.shard {
			t.Fatalf("flow to %d, transport on %d, lane %d", f.to[addr], tr.Shard().index, lane.shard.index)
		}
		perShard[tr.Shard().index]++
	}
	for i := range shards {
		if perShard[i] != 64/shards {
			t.Fatalf("uneven: %v", perShard)
		}
	}
}

func TestFlowsFollowATransportsAddresses(t *testing.T) {
	r, f := newSteeredRig(t, 2, 1000)
	p := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	home := p.tr.Shard().index
	if len(f.to) != 1 || f.to[p.addr] != home {
		t.Fatalf("after the first check: %v", f.to)
	}
	rebound := netip.AddrPortFrom(p.addr.Addr(), 999)
	p.tr.AddRemote(r.e.shards[0], rebound)
	r.step()
	if len(f.to) != 2 || f.to[rebound] != home {
		t.Fatalf("after rebinding: %v", f.to)
	}
	// Another transport takes the address over, and keeps it when the first
	// one ends.
	q := r.newPeer(1-home, srtp.AEAD_AES_128_GCM)
	q.tr.AddRemote(r.e.shards[0], rebound)
	r.step()
	if f.to[rebound] != q.tr.Shard().index {
		t.Fatalf("after a takeover: %v", f.to)
	}
	p.tr.Close(nil)
	r.step()
	if _, ok := f.to[p.addr]; ok || f.to[rebound] != q.tr.Shard().index || len(f.to) != 2 {
		t.Fatalf("after the end: %v", f.to)
	}
	// A check that was on its way when the transport ended leaves nothing.
	p.tr.AddRemote(r.e.shards[0], netip.AddrPortFrom(p.addr.Addr(), 998))
	r.step()
	if len(f.to) != 2 {
		t.Fatalf("a closed transport has flows: %v", f.to)
	}
	for i := range uint16(3 * maxAddrs) {
		q.tr.AddRemote(r.e.shards[0], netip.AddrPortFrom(p.addr.Addr(), 2000+i))
	}
	r.step()
	if len(f.to) != maxAddrs || f.to[q.addr] != q.tr.Shard().index {
		t.Fatalf("%d flows for %d addresses", len(f.to), maxAddrs)
	}
	q.tr.Close(nil)
	r.step()
	for _, s := range r.e.shards {
		if len(s.addrs) != 0 {
			t.Errorf("shard %d knows %d addresses", s.index, len(s.addrs))
		}
	}
	if st := r.e.Stats().Steering; !st.Active || st.Flows != 0 || st.Flow != 1 {
		t.Errorf("%+v", st)
	}
	r.e.steered.flows.Close()
	if !f.closed {
		t.Error("not closed")
	}
}

// Datagrams of an address that found no room come by hash, to any shard.
func TestClass52_FullFlowMapLosesNoSession(t *testing.T) {
	r, f := newSteeredRig(t, 3, 1)
	r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	if len(f.to) != 1 || r.e.Stats().Steering.Refused != 1 {
		t.Fatalf("%v, %+v", f.to, r.e.Stats().Steering)
	}
	st := pub.publish()[0]
	viewer := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	viewer.view(st)
	for seq := range uint16(9) {
		r.deliver(int(seq)%3, pub.addr, pub.packet(1, seq, keyPayload))
	}
	if media, _ := viewer.received(); len(media) != 9 {
		t.Fatalf("%d of 9 packets", len(media))
	}
	if r.e.Stats().HandedOver == 0 {
		t.Fatal("nothing was handed over")
	}
}

func TestClass52_WithoutSteeringTheHashDecides(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    Config
		err    error
		shards int
		says   string
	}{
		"no privilege": {Config{}, bpf.ErrNotSupported, 2, "not supported"},
		"switched off": {Config{NoSteering: true}, nil, 2, "NoSteering"},
		"one shard":    {Config{}, nil, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.shards)
			var says strings.Builder
			r.e.log = slog.New(slog.NewTextHandler(&says, nil))
			c.cfg.Logger = r.e.log
			tried := false
			r.e.steer(&c.cfg, func([]sockets.Conn, int) (flowMap, error) {
				tried = true
				return nil, c.err
			})
			if tried != (c.err != nil) {
				t.Errorf("tried: %v", tried)
			}
			if !strings.Contains(says.String(), c.says) || strings.Count(says.String(), "\n") != min(c.shards-1, 1) {
				t.Errorf("says %q", says.String())
			}
			last := r.e.shards[c.shards-1]
			lane := r.e.shards[0].lane
			if lane.UfragPrefix() != "" || r.e.NewTransport(last, TransportConfig{Lane: lane}).Shard() != last {
				t.Error("behaves as if steered")
			}
			if st := r.e.Stats().Steering; st != (SteeringStats{}) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// What has no descriptor cannot be steered to.
func TestSteeringNeedsSockets(t *testing.T) {
	if _, err := loadSteering([]sockets.Conn{&fakeConn{}, &fakeConn{}}, 0); !errors.Is(err, bpf.ErrNotSupported) {
		t.Fatal(err)
	}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
