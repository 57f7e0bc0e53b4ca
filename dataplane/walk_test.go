package dataplane

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

var profiles = []srtp.Profile{srtp.AEAD_AES_128_GCM, srtp.AEAD_AES_256_GCM, srtp.AES128_CM_HMAC_SHA1_80}

func TestPacketsAreRewrittenForEachReceiver(t *testing.T) {
	for _, shards := range []int{1, 2, 3} {
		for _, profile := range profiles {
			t.Run(fmt.Sprintf("%d/%v", shards, profile), func(t *testing.T) {
				r := newRig(t, shards)
				pub := r.newPeer(0, profile)
				st := pub.publish()[0]
				var viewers []*peer
				var legs []Leg
				for i := range 7 {
					v := r.newPeer(i%shards, profiles[i%3])
					_, l := v.view(st)
					viewers, legs = append(viewers, v), append(legs, l)
				}
				for seq := uint16(65530); seq != 10; seq++ {
					payload := interPayload
					if seq == 65530 {
						payload = keyPayload
					}
					r.deliver(0, pub.addr, pub.packet(77, seq, append(bytes.Clone(payload), byte(seq))))
				}
				for i, v := range viewers {
					media, _ := v.received()
					if len(media) != 16 {
						t.Fatalf("viewer %d got %d packets", i, len(media))
					}
					for k, p := range media {
						if p.SSRC != legs[i].SSRC || p.PayloadType != viewPT || p.Seq != 100+uint16(k) || !p.Marker {
							t.Fatalf("viewer %d packet %d: %+v", i, k, p)
						}
						if want := uint32(5000); k == 0 && p.Timestamp != want {
							t.Fatalf("first timestamp %d", p.Timestamp)
						}
						if got := string(p.Extension(9)); got != "0" {
							t.Fatalf("mid %q", got)
						}
						if got := p.Extension(7); !bytes.Equal(got, []byte{0x42}) {
							t.Fatalf("audio level %x", got)
						}
						if pl := p.Payload(); pl[len(pl)-1] != byte(65530+k) {
							t.Fatalf("payload of packet %d ends in %d", k, pl[len(pl)-1])
						}
					}
				}
				for _, s := range r.e.shards {
					if got := len(s.slab.free); got != slabCells-inBatch {
						t.Errorf("shard %d has %d free cells of %d", s.index, got, slabCells-inBatch)
					}
				}
			})
		}
	}
}

func TestBurstLeavesAsOneRunForEachReceiver(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	big := append(bytes.Clone(keyPayload), make([]byte, 1000)...)
	var burst [][]byte
	for seq := range uint16(10) {
		pl := big
		if seq == 9 {
			pl = big[:200] // the short tail of a frame
		}
		burst = append(burst, pub.packet(1, seq, pl))
	}
	r.conns[0].runs = 0
	r.deliver(0, pub.addr, burst...)
	if media, _ := v.received(); len(media) != 10 {
		t.Fatalf("%d packets", len(media))
	}
	if r.conns[0].runs != 1 {
		t.Fatalf("%d runs", r.conns[0].runs)
	}
}

func TestViewerBeginsWithAKeyFrameThatIsAskedFor(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		st := pub.publish()[0]
		r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
		pub.received()
		var viewers []*peer
		for i := range 20 {
			v := r.newPeer(i%shards, srtp.AEAD_AES_128_GCM)
			v.view(st)
			viewers = append(viewers, v)
		}
		r.pass(keyframeInterval + 10*time.Millisecond)
		_, control := pub.received()
		if n := count(control, rtcp.TypePSFB, rtcp.FormatPLI); n < 1 || n > 2 {
			t.Fatalf("%d key-frame requests for 20 viewers", n)
		}
		r.deliver(0, pub.addr, pub.packet(1, 2, interPayload))
		r.deliver(0, pub.addr, pub.packet(1, 3, keyPayload))
		r.deliver(0, pub.addr, pub.packet(1, 4, interPayload))
		for _, v := range viewers {
			media, _ := v.received()
			if len(media) != 2 || media[0].Seq != 100 || media[1].Seq != 101 {
				t.Fatalf("%d shards: %d packets", shards, len(media))
			}
		}
	}
}

func TestClass44_KeyframeRequestsAreCoalesced(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	_, leg := v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	pub.received()
	for range 500 { // five seconds of a viewer that asks every 10 ms
		r.deliver(0, v.addr, v.rtcp(rtcp.AppendPLI(nil, 5, leg.SSRC)))
		r.pass(10 * time.Millisecond)
	}
	_, control := pub.received()
	if n := count(control, rtcp.TypePSFB, rtcp.FormatPLI); n < 8 || n > 11 {
		t.Fatalf("%d requests in five seconds, at most one each %v wanted", n, keyframeInterval)
	}
	r.deliver(0, v.addr, v.rtcp(rtcp.AppendFIR(nil, 5, []rtcp.FIREntry{{SSRC: leg.SSRC, Seq: 1}})))
	r.pass(2 * keyframeInterval)
	if _, control = pub.received(); count(control, rtcp.TypePSFB, rtcp.FormatPLI) != 1 {
		t.Fatal("a FIR does not reach the source")
	}
}

func TestTapSeesPlaintextInOrder(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	var seqs []uint16
	st.SetTap(func(_ mono.Time, from *Transport, vs []rtp.View) {
		for i := range vs {
			if from != pub.tr || !bytes.Equal(vs[i].Payload(), keyPayload) {
				t.Error("not what was sent")
			}
			seqs = append(seqs, vs[i].Seq)
		}
	})
	r.step()
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload), pub.packet(1, 2, keyPayload))
	r.deliver(0, pub.addr, pub.packet(1, 3, keyPayload))
	if fmt.Sprint(seqs) != "[1 2 3]" {
		t.Fatal(seqs)
	}
}

func TestWrittenStreamReachesItsLegs(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		st := r.e.NewStream(r.e.shards[0], StreamConfig{Video: true, ClockRate: 90000})
		v := r.newPeer(shards-1, srtp.AEAD_AES_128_GCM)
		v.view(st)
		h := rtp.Header{PayloadType: vp8PT, Seq: 9, SSRC: 1}
		st.Write(append(h.Append(nil), keyPayload...))
		st.Write([]byte("not RTP"))
		r.step()
		if media, _ := v.received(); len(media) != 1 || media[0].Seq != 100 {
			t.Fatalf("%d packets", len(media))
		}
		r.e.Send(v.tr, append(h.Append(nil), keyPayload...))
		r.step()
		if media, _ := v.received(); len(media) != 1 || media[0].Seq != 9 {
			t.Fatalf("%d packets by Send", len(media))
		}
	}
}

// The walk of a packet, from the socket's batch to the socket's batch, makes no
// garbage.
func TestTheWalkAllocatesNothing(t *testing.T) {
	for _, profile := range profiles {
		r := newRig(t, 2)
		pub := r.newPeer(0, profile)
		st := pub.publish()[0]
		for i := range 40 {
			r.newPeer(i%2, profiles[i%3]).view(st)
		}
		for _, c := range r.conns {
			c.keep = false
		}
		s, o := r.e.shards[0], r.e.shards[1]
		big := append(bytes.Clone(keyPayload), make([]byte, 1100)...)
		seq := uint16(0)
		const burst = 8
		var pkts [burst][]byte
		prepare := func() {
			for i := range burst {
				seq++
				pkts[i] = pub.packet(1, seq, big)
			}
		}
		turn := func() {
			for i, p := range pkts {
				m := &s.msgs[i]
				m.Buf = m.Buf[:cap(m.Buf)]
				m.Buf = m.Buf[:copy(m.Buf, p)]
				m.Addr, m.At = pub.addr, r.now
			}
			s.step(r.now, burst)
			o.step(r.now, 0)
			r.now = r.now.Add(5 * time.Millisecond)
		}
		var rounds [60][burst][]byte
		for i := range rounds {
			prepare()
			rounds[i] = pkts
		}
		next := 0
		walk := func() { pkts = rounds[next]; next++; turn() }
		for range 8 {
			walk()
		}
		if n := testing.AllocsPerRun(50, walk); n != 0 {
			t.Errorf("%v: %v allocations for a burst of %d packets to 40 receivers", profile, n, burst)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, receivers := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(receivers), func(b *testing.B) {
			r := newRig(b, 1)
			pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
			st := pub.publish()[0]
			for range receivers {
				r.newPeer(0, srtp.AEAD_AES_128_GCM).view(st)
			}
			r.conns[0].keep = false
			s := r.e.shards[0]
			big := append(bytes.Clone(keyPayload), make([]byte, 1100)...)
			var seq uint16
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				var pkts [8][]byte
				for i := range pkts {
					seq++
					pkts[i] = pub.packet(1, seq, big)
				}
				for i, p := range pkts {
					m := &s.msgs[i]
					m.Buf = m.Buf[:cap(m.Buf)]
					m.Buf = m.Buf[:copy(m.Buf, p)]
					m.Addr, m.At = pub.addr, r.now
				}
				b.StartTimer()
				s.step(r.now, len(pkts))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*8*receivers), "ns/forward")
		})
	}
}

func TestStreamsOfOneReceiverShareItsRun(t *testing.T) {
	r := newRig(t, 1)
	var pubs []*peer
	var streams []*Stream
	for range 3 {
		p := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		pubs, streams = append(pubs, p), append(streams, p.publish()[0])
	}
	var viewers []*peer
	for range 2 {
		v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		for i, st := range streams {
			l := Leg{To: v.tr, SSRC: 0x1000 + uint32(i), FirstSeq: 100}
			for k := range l.PayloadTypes {
				l.PayloadTypes[k] = viewPT
			}
			r.e.Route(st, []Leg{l})
		}
		r.step()
		viewers = append(viewers, v)
	}
	// Two packets of each publisher arrive in one batch, one after the other.
	s := r.e.shards[0]
	n := 0
	for seq := range uint16(2) {
		for i, p := range pubs {
			m := &s.msgs[n]
			m.Buf = m.Buf[:cap(m.Buf)]
			m.Buf = m.Buf[:copy(m.Buf, p.packet(uint32(i+1), seq, append(bytes.Clone(keyPayload), byte(i))))]
			m.Addr, m.At = p.addr, r.now
			n++
		}
	}
	r.conns[0].runs = 0
	s.step(r.now, n)
	if r.conns[0].runs != len(viewers) {
		t.Errorf("%d runs for %d receivers", r.conns[0].runs, len(viewers))
	}
	for _, v := range viewers {
		media, _ := v.received()
		next := map[uint32]uint16{0x1000: 100, 0x1001: 100, 0x1002: 100}
		for _, p := range media {
			if p.Seq != next[p.SSRC] || p.Payload()[len(keyPayload)] != byte(p.SSRC) {
				t.Fatalf("SSRC %x: packet %d, want %d", p.SSRC, p.Seq, next[p.SSRC])
			}
			next[p.SSRC]++
		}
		if len(media) != 6 {
			t.Errorf("%d packets", len(media))
		}
	}
	for _, tr := range []*Transport{viewers[0].tr, viewers[1].tr} {
		if len(tr.pending) != 0 {
			t.Error("legs are left pending")
		}
	}
}
