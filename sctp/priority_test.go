package sctp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

func TestImportantMessagesDisplaceOthers(t *testing.T) {
	for seed := range uint64(20) {
		ab, ba := both(seed, netem.Config{Rate: 2e6, Delay: 20 * time.Millisecond, Loss: .03})
		p := newPair(t, Config{MaxSendBuffer: 100 << 10, Interleave: seed&1 == 1}, ab, ba).connect()
		rng := rand.New(rand.NewPCG(seed, 5))
		const each = 400
		written := [3]int{}
		for n := range each {
			v := uint32(n % 3)
			err := p.a[0].Write(p.Now, uint16(rng.IntN(4)), 53, body(n, 500+rng.IntN(3000)), SendOptions{Reliability: Prioritized, Value: v})
			if err == nil {
				written[v]++
			} else if err != ErrSendBufferFull || v == 0 {
				t.Fatalf("%v for priority %d", err, v)
			}
			if n%3 == 2 {
				p.Sleep(20 * time.Millisecond)
			}
		}
		p.Sleep(2 * time.Minute)
		got := [3]int{}
		for _, e := range p.got[1] {
			n := binary.BigEndian.Uint32(e.Data)
			if string(body(int(n), len(e.Data))) != string(e.Data) {
				t.Fatalf("message %d altered", n)
			}
			got[n%3]++
		}
		st := p.a[0].Stats()
		if got[0] != (each+2)/3 || got[0] <= got[2] || st.MessagesAbandoned == 0 {
			t.Errorf("seed %d: %v of %v arrived, %d abandoned", seed, got, written, st.MessagesAbandoned)
		}
		if p.a[0].tx.ranks.live != 0 || p.a[0].BufferedAmount(0) != 0 {
			t.Errorf("seed %d: %d ranked", seed, p.a[0].tx.ranks.live)
		}
		p.a[0].Shutdown(p.Now) // nothing withdrawn is in the way
		if !p.Run(10*time.Second, func() bool { _, ok := p.closed(0); return ok }) {
			t.Error("does not shut down")
		}
		if t.Failed() {
			return
		}
	}
}

func TestReliableMessagesDoNotMakeRoom(t *testing.T) {
	a := New(Config{MaxSendBuffer: 10000})
	now := simtest.Epoch
	must(t, a.Write(now, 1, 53, make([]byte, 5000), SendOptions{}))
	must(t, a.Write(now, 1, 53, make([]byte, 4000), SendOptions{Reliability: Prioritized, Value: 7}))
	for _, c := range []struct {
		opt  SendOptions
		want error
	}{
		{SendOptions{}, ErrSendBufferFull},
		{SendOptions{Reliability: Prioritized, Value: 7}, ErrSendBufferFull},
		{SendOptions{Reliability: Prioritized, Value: 6}, nil},
		{SendOptions{Reliability: Prioritized, Value: 6}, ErrSendBufferFull},
	} {
		if err := a.Write(now, 1, 53, make([]byte, 3000), c.opt); err != c.want {
			t.Errorf("%+v: %v", c.opt, err)
		}
	}
}

func TestRankingStaysSmall(t *testing.T) {
	var r ranking
	for n := range uint32(100000) {
		m := &message{policy: Prioritized, limit: n * 7919 % 1000, cost: 1}
		r.add(m)
		m.cost = 0
		r.live--
	}
	if len(r.heap) > 100 {
		t.Errorf("%d dead messages kept", len(r.heap))
	}
}
