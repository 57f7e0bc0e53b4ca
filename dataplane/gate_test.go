package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/srtp"
)

// enterAll asks for n places; begun lists who has begun, in order.
func enterAll(l *Lane, now mono.Time, n int) (passes []*Pass, begun *[]int) {
	begun = new([]int)
	for i := range n {
		p, ok := l.Enter(now, func(mono.Time) { *begun = append(*begun, i) })
		if passes = append(passes, p); ok {
			*begun = append(*begun, i)
		}
	}
	return passes, begun
}

func TestHandshakesBeginInTurn(t *testing.T) {
	r := newRig(t, 1)
	l := r.e.shards[0].lane
	l.gate.places = 3
	passes, begun := enterAll(l, r.now, 8)
	if len(*begun) != 3 {
		t.Fatalf("%v have begun", *begun)
	}
	passes[1].Leave(r.now)
	passes[1].Leave(r.now) // once is enough
	passes[4].Leave(r.now) // has given up
	r.step()
	if len(*begun) != 4 || (*begun)[3] != 3 {
		t.Fatalf("%v have begun", *begun)
	}
	passes[0].Leave(r.now)
	passes[2].Leave(r.now)
	passes[3].Leave(r.now)
	r.step()
	for _, p := range passes[5:] {
		p.Leave(r.now)
	}
	r.step()
	want := []int{0, 1, 2, 3, 5, 6, 7}
	for i, w := range want {
		if len(*begun) != len(want) || (*begun)[i] != w {
			t.Fatalf("%v have begun, want %v", *begun, want)
		}
	}
	if g := &l.gate; len(g.running)+len(g.waiting) != 0 {
		t.Errorf("%d run, %d wait", len(g.running), len(g.waiting))
	}
	(*Pass)(nil).Leave(r.now)
}

// Peers that have gone do not keep others out.
func TestClass33_DeadHandshakesLoseTheirPlace(t *testing.T) {
	r := newRig(t, 1)
	l := r.e.shards[0].lane
	l.gate.places = 4
	passes, begun := enterAll(l, r.now, 12)
	for turn := 1; turn <= 3; turn++ {
		if len(*begun) != 4*turn {
			t.Fatalf("turn %d: %v have begun", turn, *begun)
		}
		r.pass(handshakeTurn - time.Millisecond)
		if len(*begun) != 4*turn {
			t.Fatalf("turn %d: %v have begun too early", turn, *begun)
		}
		r.pass(2 * time.Millisecond)
	}
	for _, p := range passes {
		p.Leave(r.now)
	}
	if g := &l.gate; len(g.running)+len(g.waiting) != 0 {
		t.Errorf("%d run, %d wait", len(g.running), len(g.waiting))
	}
}

// A storm of handshakes fills its own queue: what keeps sessions alive is
// neither dropped for it nor behind it.
func TestClass33_StormOfHandshakesDelaysNoSession(t *testing.T) {
	r := newRig(t, 1)
	session, s := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.e.shards[0]
	session.tr.SetRecords(shakeHands(t, r.now)[0])
	stranger := &endpoint{}
	storm := r.e.NewTransport(s, TransportConfig{Lane: s.lane, Endpoint: stranger})
	addr := netip.AddrPortFrom(session.addr.Addr(), 9)
	storm.AddRemote(s, addr)
	r.step()
	hello := append([]byte{22, 254, 253}, make([]byte, 60)...)
	check := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...) // a binding request
	for range 3 * ctlHandshakeRing {
		s.msgs[0].Buf = append(s.msgs[0].Buf[:0], hello...)
		s.msgs[0].Addr, s.msgs[0].At = addr, r.now
		s.step(r.now, 1)
	}
	s.msgs[0].Buf = append(s.msgs[0].Buf[:0], check...)
	s.msgs[0].Addr = session.addr
	s.step(r.now, 1)
	s.lane.turn(r.now)
	if len(session.ep.packets) != 1 {
		t.Fatalf("%d of the session's packets after one turn", len(session.ep.packets))
	}
	if n := len(stranger.packets); n != ctlHandshakeTurn {
		t.Errorf("%d datagrams of the storm in one turn, want %d", n, ctlHandshakeTurn)
	}
	if d := r.drops(DropCtlFull); d != 2*ctlHandshakeRing {
		t.Errorf("%d dropped, want %d", d, 2*ctlHandshakeRing)
	}
	for range ctlHandshakeRing {
		s.lane.turn(r.now)
	}
	if n := len(stranger.packets); n != ctlHandshakeRing {
		t.Errorf("%d datagrams of the storm in the end", n)
	}
}
