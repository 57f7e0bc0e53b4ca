package dataplane

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

func TestPagesAreUsedAgainEmpty(t *testing.T) {
	var p pages
	defer p.close()
	var a, b, c []byte
	p.get(&a, 64<<10)
	p.get(&b, 128<<10)
	for i := range a {
		a[i] = 1
	}
	b[0], b[len(b)-1] = 2, 2
	stale := a
	p.put(&a)
	if a != nil || !bytes.Equal(stale, make([]byte, len(stale))) {
		t.Error("what was given back is neither gone nor empty")
	}
	p.get(&c, 64<<10)
	if &c[0] != &stale[0] || len(p.idle) != 0 {
		t.Error("what was given back is not used again")
	}
	if p.get(&a, 32<<10); len(a) != 32<<10 || b[0] != 2 {
		t.Errorf("%d bytes", len(a))
	}
	p.close()
	if a != nil || b != nil || c != nil || len(p.used) != 0 {
		t.Error("owners have memory after the end")
	}
}

// A stream's cache goes with its last receiver, and the next stream has the
// same memory; an engine that is closed has none.
func TestCachesComeAndGo(t *testing.T) {
	r := newRig(t, 1)
	s := r.e.shards[0]
	to := r.e.NewTransport(s, TransportConfig{Lane: s.lane, Endpoint: &endpoint{}})
	for i := range 3 {
		st := r.e.NewStream(s, StreamConfig{Video: i == 0, ClockRate: 90000})
		route := r.e.Route(st, []Leg{{To: to, SSRC: 1, NACK: true}})
		r.step()
		if c := st.cache; c == nil || len(c.mem) < 256*cacheAudioMean {
			t.Fatalf("stream %d: %+v", i, c)
		}
		route.Close(nil)
		r.step()
		if st.cache != nil {
			t.Fatal("nobody can ask for what is kept")
		}
	}
	if n := len(s.slab.pages.idle); n != 2 { // one of video, one of audio
		t.Errorf("%d caches are idle", n)
	}
	open := r.e.NewStream(s, StreamConfig{ClockRate: 48000})
	r.e.Route(open, []Leg{{To: to, SSRC: 2, NACK: true}})
	r.step()
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range s.msgs {
		if s.msgs[i].Buf != nil {
			t.Fatal("a message has memory after Close")
		}
	}
	if s.slab.mem != nil || s.ctlKnown.mem != nil || s.ctlKnown.cells[0].buf != nil || open.cache.mem != nil {
		t.Error("memory after Close")
	}
}

// A packet that is sent again as it was is sealed at the end of the turn, though
// the cache ends with its stream's last receiver before.
func TestCacheOutlivesWhatIsSentFromIt(t *testing.T) {
	r := newRig(t, 1)
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := r.e.NewStream(r.e.shards[0], StreamConfig{ClockRate: 48000})
	l := Leg{To: v.tr, SSRC: 5, NACK: true, FirstSeq: 7}
	for i := range l.RTXPayloadTypes {
		l.RTXPayloadTypes[i] = NoPayload
	}
	r.e.Route(st, []Leg{l})
	r.step()
	h := rtp.Header{Seq: 1, Timestamp: 1, SSRC: 9}
	st.Write(append(h.Append(nil), bytes.Repeat([]byte{0xA5}, 500)...))
	r.step()
	first := r.take(v.addr)
	st.shard.Post(func(s *Shard, now mono.Time) {
		l := st.legs[0]
		l.resend(now, 7)
		s.removeLeg(l)
	})
	r.step()
	again := r.take(v.addr)
	if len(first) != 1 || len(again) != 1 || !bytes.Equal(first[0], again[0]) || st.cache != nil {
		t.Fatalf("%d then %d packets", len(first), len(again))
	}
}

// What the cache returns is what was put there last under a number, or nothing:
// never parts of others, whatever the lengths.
func TestCacheReturnsWhatWasPut(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var p pages
	defer p.close()
	c := newCache(&p, 64, 200)
	made := map[int64][]byte{}
	newest, hits := int64(0), 0
	for range 20000 {
		seq := newest + 1
		if rng.IntN(8) == 0 {
			seq = max(0, newest-rng.Int64N(80)) // late, or again
		}
		newest = max(newest, seq)
		n := 20 + rng.IntN(200)
		if rng.IntN(10) == 0 {
			n = maxPacket - rng.IntN(100)
		}
		h := rtp.Header{Seq: uint16(seq), SSRC: 1}
		raw := h.Append(nil)
		for len(raw) < n {
			raw = append(raw, byte(rng.Uint32()))
		}
		v, ok := rtp.Parse(raw)
		if !ok {
			t.Fatal("no packet")
		}
		if c.seqs[c.slot(seq)] <= seq+1 {
			made[seq] = raw
		}
		c.put(&packet{v: v, seq: seq})
		ask := max(0, newest-rng.Int64N(100))
		got, full, ok := c.get(uint16(ask))
		if !ok {
			continue
		}
		if hits++; full != ask || !bytes.Equal(got.Raw, made[ask]) {
			t.Fatalf("asked for %d, got %d", ask, full)
		}
		if full <= newest-64 {
			t.Fatalf("%d is still there at %d", full, newest)
		}
	}
	if hits < 2000 {
		t.Errorf("%d were there", hits)
	}
	// Packets of the mean length are all there.
	for seq := newest + 1; seq <= newest+256; seq++ {
		h := rtp.Header{Seq: uint16(seq), SSRC: 1}
		v, _ := rtp.Parse(append(h.Append(nil), make([]byte, 188)...))
		c.put(&packet{v: v, seq: seq})
	}
	for seq := newest + 256 - 62; seq <= newest+256; seq++ {
		if _, full, ok := c.get(uint16(seq)); !ok || full != seq {
			t.Errorf("%d is not there", seq)
		}
	}
}
