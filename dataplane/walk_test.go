package dataplane

import (
	"bytes"
	"fmt"
	"net/netip"
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

func TestLostPacketIsRequestedAndRepaired(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	pub.packet(1, 2, interPayload) // lost
	r.deliver(0, pub.addr, pub.packet(1, 3, interPayload))
	_, control := pub.received()
	var asked []uint16
	for _, p := range control {
		if n, ok := rtcp.ParseNACK(p); ok {
			for l := n.Lost(); ; {
				seq, ok := l.Next()
				if !ok {
					break
				}
				asked = append(asked, seq)
			}
		}
	}
	if fmt.Sprint(asked) != "[2]" {
		t.Fatalf("asked for %v", asked)
	}
	rtx := rtp.Header{PayloadType: rtxPT, Seq: 900, Timestamp: 6000, SSRC: 2, Extensions: []rtp.ExtPair{{ID: midExt, Data: []byte("v")}}}
	r.deliver(0, pub.addr, pub.rtp(rtx, append([]byte{0, 2}, interPayload...)))
	media, _ := v.received()
	if len(media) != 3 || media[2].Seq != 101 || !bytes.Equal(media[2].Payload(), interPayload) {
		t.Fatalf("%d packets, %+v", len(media), media)
	}
	r.pass(3 * time.Second)
	if _, control := pub.received(); count(control, rtcp.TypeRTPFB, rtcp.FormatNACK) != 0 {
		t.Fatal("still asking for what has come")
	}
	// A retransmission that nobody asked for is a probe, and goes nowhere.
	rtx.Seq++
	r.deliver(0, pub.addr, pub.rtp(rtx, append([]byte{0, 2}, interPayload...)))
	if media, _ := v.received(); len(media) != 0 {
		t.Fatal("the packet was forwarded twice")
	}
}

func TestRequestsForALostPacketEnd(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub.publish()
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload), pub.packet(1, 3, interPayload))
	r.pass(5 * time.Second)
	_, control := pub.received()
	if n := count(control, rtcp.TypeRTPFB, rtcp.FormatNACK); n < 5 || n > nackTries {
		t.Fatalf("%d requests", n)
	}
}

func TestGapTooLargeAsksForAKeyFrame(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub.publish()
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload), pub.packet(1, 2000, interPayload))
	_, control := pub.received()
	if count(control, rtcp.TypeRTPFB, rtcp.FormatNACK) != 0 || count(control, rtcp.TypePSFB, rtcp.FormatPLI) != 1 {
		t.Fatalf("%+v", control)
	}
}

func TestNACKOfAViewerIsAnsweredByRTX(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		st := pub.publish()[0]
		v := r.newPeer(shards-1, srtp.AES128_CM_HMAC_SHA1_80)
		_, leg := v.view(st)
		for seq := range uint16(20) {
			r.deliver(0, pub.addr, pub.packet(1, seq, append(bytes.Clone(keyPayload), byte(seq))))
		}
		v.received()
		nack := rtcp.AppendNACK(nil, 5, leg.SSRC, rtcp.NACKPairs(nil, []uint16{103, 110, 500}))
		r.deliver(shards-1, v.addr, v.rtcp(nack))
		media, _ := v.received()
		if len(media) != 2 {
			t.Fatalf("%d packets", len(media))
		}
		for i, want := range []uint16{103, 110} {
			m := media[i]
			pl := m.Payload()
			if m.SSRC != leg.RTXSSRC || m.PayloadType != viewRTX || uint16(pl[0])<<8|uint16(pl[1]) != want || pl[len(pl)-1] != byte(want-100) {
				t.Fatalf("%+v", m)
			}
			if m.Timestamp != 5000+uint32(want-100)*3000 || string(m.Extension(9)) != "0" {
				t.Fatalf("%+v", m)
			}
		}
		if media[1].Seq != media[0].Seq+1 {
			t.Fatal("retransmissions are not numbered in a row")
		}
	}
}

func TestNACKWithoutRTXRepeatsThePacket(t *testing.T) {
	for _, profile := range profiles {
		r := newRig(t, 1)
		pub := r.newPeer(0, profile)
		st := pub.publish()[0]
		v := r.newPeer(0, profile)
		l := Leg{To: v.tr, SSRC: 5, NACK: true, FirstSeq: 7}
		for i := range l.RTXPayloadTypes {
			l.RTXPayloadTypes[i] = NoPayload
		}
		r.e.Route(st, []Leg{l})
		r.step()
		r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
		first := r.take(v.addr)
		r.deliver(0, v.addr, v.rtcp(rtcp.AppendNACK(nil, 5, 5, []rtcp.NACKPair{{Seq: 7}})))
		again := r.take(v.addr)
		if len(first) != 1 || len(again) != 1 || !bytes.Equal(first[0], again[0]) {
			t.Fatalf("%v: %d then %d packets", profile, len(first), len(again))
		}
	}
}

func TestClass44_RetransmissionsHaveABudget(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	_, leg := v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 0, keyPayload))
	v.received()
	for range 10000 {
		r.deliver(0, v.addr, v.rtcp(rtcp.AppendNACK(nil, 5, leg.SSRC, []rtcp.NACKPair{{Seq: 100}})))
	}
	media, _ := v.received()
	if len(media) > rtxBudget+1 || len(media) < rtxBudget {
		t.Fatalf("%d retransmissions for 10000 requests", len(media))
	}
	if r.drops(DropRTXBudget) == 0 {
		t.Fatal("not counted")
	}
}

func TestReportsTellBothSides(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		st := pub.publish()[0]
		v := r.newPeer(shards-1, srtp.AEAD_AES_128_GCM)
		_, leg := v.view(st)
		for seq := range uint16(100) {
			pkt := pub.packet(1, seq, keyPayload)
			if seq%10 == 5 {
				continue
			}
			r.deliver(0, pub.addr, pkt)
			r.pass(10 * time.Millisecond)
		}
		ntp := uint64(3900000000) << 32
		r.deliver(0, pub.addr, pub.rtcp(rtcp.AppendSR(nil, 1, rtcp.SenderInfo{NTP: ntp, RTP: 297000, Packets: 100}, nil)))
		pub.received()
		v.received()
		var info *rtcp.SenderInfo
		for range 1100 {
			r.pass(time.Millisecond)
			_, control := v.received()
			for _, p := range control {
				if sr, ok := rtcp.ParseSR(p); ok && sr.SSRC == leg.SSRC {
					info = &sr.Info
				}
			}
			if info != nil {
				break
			}
		}
		if info == nil || info.Packets != 90 {
			t.Fatalf("sender report %+v", info)
		}
		// The viewer's report about it gives the round trip.
		r.pass(30 * time.Millisecond)
		rr := rtcp.AppendRR(nil, 5, []rtcp.ReportBlock{{SSRC: leg.SSRC, FractionLost: 64, Lost: 3, LastSR: rtcp.CompactNTP(info.NTP)}})
		r.deliver(shards-1, v.addr, v.rtcp(rr))
		var stats TransportStats
		v.tr.Snapshot(func(s TransportStats) { stats = s })
		r.step()
		if l := stats.Legs[0]; l.Reports != 1 || l.FractionLost != 0.25 || l.Lost != 3 || l.RTT < 25*time.Millisecond || l.RTT > 60*time.Millisecond {
			t.Fatalf("%+v", l)
		}
		r.pass(reportInterval)
		_, control := pub.received()
		var block *rtcp.ReportBlock
		for _, p := range control {
			if rr, ok := rtcp.ParseRR(p); ok && rr.Blocks.Len() == 1 {
				b := rr.Blocks.At(0)
				block = &b
			}
		}
		if block == nil || block.SSRC != 1 || block.Lost != 10 || block.Highest != 99 || block.LastSR != rtcp.CompactNTP(ntp) {
			t.Fatalf("receiver report %+v", block)
		}
		// The report maps the same instant as the source's: at its NTP time the
		// source's clock read 297000, which is 302000 on the leg.
		since := float64(info.NTP-ntp) / (1 << 32)
		if want := 302000 + since*90000; float64(info.RTP) < want-100 || float64(info.RTP) > want+100 {
			t.Fatalf("RTP time %d, want %.0f", info.RTP, want)
		}
	}
}

func TestTransportWideFeedbackTellsArrivals(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub.publish()
	for seq := range uint16(50) {
		pkt := pub.packet(1, seq, keyPayload)
		if seq == 7 {
			continue
		}
		r.deliver(0, pub.addr, pkt)
		r.pass(5 * time.Millisecond)
	}
	r.pass(100 * time.Millisecond)
	_, control := pub.received()
	got := map[uint16]bool{}
	for _, p := range control {
		if f, ok := rtcp.ParseTWCC(p); ok {
			for s := f.Statuses(); ; {
				st, ok := s.Next()
				if !ok {
					break
				}
				got[st.Seq] = st.Received
			}
		}
	}
	for seq := range uint16(50) {
		if got[seq] != (seq != 7) {
			t.Fatalf("packet %d reported as received: %v", seq, got[seq])
		}
	}
}

func TestSwitchGoesOnWhereTheOtherLayerStopped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	layers := pub.publish("h", "l")
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	route, _ := v.view(layers[0])
	send := func(ssrc uint32, rid string, seq uint16, payload []byte) {
		r.deliver(0, pub.addr, pub.rtp(rtp.Header{PayloadType: vp8PT, SSRC: ssrc, Seq: seq, Timestamp: uint32(seq) * 3000, Extensions: []rtp.ExtPair{
			{ID: midExt, Data: []byte("v")}, {ID: ridExt, Data: []byte(rid)}}}, payload))
		r.pass(33 * time.Millisecond)
	}
	for seq := range uint16(5) {
		send(1, "h", seq, keyPayload)
		send(2, "l", seq+5000, keyPayload)
	}
	route.Switch(layers[1])
	r.step()
	send(1, "h", 5, interPayload)
	send(2, "l", 5005, interPayload)
	send(2, "l", 5006, keyPayload)
	send(2, "l", 5007, interPayload)
	media, _ := v.received()
	if len(media) != 7 {
		t.Fatalf("%d packets", len(media))
	}
	for i := range media {
		if media[i].Seq != 100+uint16(i) {
			t.Fatalf("packet %d has number %d", i, media[i].Seq)
		}
	}
	if d := int32(media[5].Timestamp - media[4].Timestamp); d <= 0 || d > 90000 {
		t.Fatalf("timestamps jump by %d", d)
	}
}

func TestClass47_RIDsBindOnlyWithinTheirSection(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	layers := pub.publish("h", "l")
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(layers[0])
	for i, ext := range [][]rtp.ExtPair{
		{{ID: midExt, Data: []byte("other")}, {ID: ridExt, Data: []byte("h")}},
		{{ID: midExt, Data: []byte("v")}, {ID: ridExt, Data: []byte("x")}},
		{{ID: midExt, Data: []byte("v")}},
		nil,
	} {
		r.deliver(0, pub.addr, pub.rtp(rtp.Header{PayloadType: vp8PT, SSRC: 9, Seq: uint16(i), Extensions: ext}, keyPayload))
	}
	if media, _ := v.received(); len(media) != 0 || r.drops(DropUnknownSSRC) != 4 {
		t.Fatalf("%d packets forwarded, %d dropped", len(media), r.drops(DropUnknownSSRC))
	}
}

// A section that goes leaves packets on their way, which may bear no MID by
// then: they are not for the section that is left, though it has their payload
// type. One that names its section is.
func TestClass47_LatePacketsOfASectionThatIsGoneTakeNothingOver(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	section := func(mid string, st *Stream) Receiver {
		return Receiver{MID: mid, Formats: []Format{{PayloadType: vp8PT, ClockRate: 90000, Codec: CodecVP8}}, Streams: []ReceiverStream{{Stream: st}}}
	}
	newStream := func() *Stream {
		return r.e.NewStream(r.e.shards[0], StreamConfig{Video: true, ClockRate: 90000})
	}
	first, second := newStream(), newStream()
	rs := Receivers{MIDExt: midExt, List: []Receiver{section("1", first), section("2", second)}}
	pub.tr.SetReceivers(rs)
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(second)
	send := func(ssrc uint32, seq uint16, mid string, payload []byte) {
		h := rtp.Header{PayloadType: vp8PT, SSRC: ssrc, Seq: seq}
		if mid != "" {
			h.Extensions = []rtp.ExtPair{{ID: midExt, Data: []byte(mid)}}
		}
		r.deliver(0, pub.addr, pub.rtp(h, payload))
	}
	send(1, 20000, "1", keyPayload)
	send(2, 100, "2", keyPayload)
	rs.List = rs.List[1:]
	pub.tr.SetReceivers(rs)
	r.step()
	send(1, 20001, "", keyPayload)
	send(2, 101, "", interPayload)
	media, _ := v.received()
	if len(media) != 2 || media[1].Seq != media[0].Seq+1 || r.drops(DropUnknownSSRC) != 1 {
		t.Fatalf("%d packets forwarded, %d dropped", len(media), r.drops(DropUnknownSSRC))
	}

	// The source of before, which says where it belongs now: the numbering goes
	// on, from a key frame.
	send(1, 20002, "2", interPayload)
	send(1, 20003, "", keyPayload)
	send(1, 20004, "", interPayload)
	more, _ := v.received()
	if len(more) != 2 || more[0].Seq != media[1].Seq+1 || more[1].Seq != media[1].Seq+2 {
		t.Fatalf("%d packets of the other source forwarded", len(more))
	}
	if r.drops(DropProtect) != 0 {
		t.Errorf("%d packets could not be protected", r.drops(DropProtect))
	}
}

func TestClass12_SourcesAreBounded(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub.publish()
	// Authentic packets of ever new sources replace each other.
	for ssrc := range uint32(1000) {
		r.deliver(0, pub.addr, pub.packet(ssrc+1, uint16(ssrc), keyPayload))
	}
	if n := len(pub.tr.bySSRC); n > maxStreams {
		t.Fatalf("%d sources kept", n)
	}
}

func TestClass01_DTLSFromUnvalidatedAddressIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	stranger := netip.MustParseAddrPort("203.0.113.9:1")
	hello := append([]byte{22, 0xfe, 0xfd}, make([]byte, 50)...)
	r.deliver(0, stranger, hello)
	if len(pub.ep.packets) != 0 || r.drops(DropUnknownAddr) != 1 {
		t.Fatal("a stranger's ClientHello reached the handshake")
	}
}

// Two ports that are used again at once: what one association left in the
// socket is not for the next one, which holds the address by the time it is
// read.
func TestClass01_DTLSOfTheAssociationBeforeIsDropped(t *testing.T) {
	r := newRig(t, 1)
	p := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	hello := []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}
	for _, c := range []struct {
		age  time.Duration
		want int
	}{{time.Millisecond, 0}, {0, 1}} {
		s := r.e.shards[0]
		m := &s.msgs[0]
		m.Buf = append(m.Buf[:0], hello...)
		m.Addr, m.Local, m.At = p.addr, netip.MustParseAddr("192.0.2.1"), r.now.Add(-c.age)
		s.step(r.now, 1)
		r.step()
		if n := len(p.ep.packets); n != c.want || r.drops(DropUnknownAddr) != 1 {
			t.Errorf("a datagram %v older: %d passed on, %d dropped", c.age, n, r.drops(DropUnknownAddr))
		}
	}
}

func TestClass17_MediaOfAStrangerIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, netip.MustParseAddrPort("203.0.113.9:1"), pub.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 0 || r.drops(DropUnknownAddr) != 1 {
		t.Fatal("media was taken from an address that ICE has not validated")
	}
}

func TestClass16_GarbageLeavesTheSessionAlone(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	good := pub.packet(1, 1, keyPayload)
	for first := range 256 {
		for _, n := range []int{1, 2, 12, 20, 60, 1500} {
			b := make([]byte, n)
			b[0] = byte(first)
			r.deliver(0, pub.addr, b)
		}
	}
	for i := range good { // each bit of a good packet
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		r.deliver(0, pub.addr, bad)
	}
	r.deliver(0, pub.addr, good, good)
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets", len(media))
	}
	if r.drops(DropReplay) != 1 || r.drops(DropAuth) == 0 || r.e.Stats().Panics != 0 {
		t.Fatalf("%+v", r.e.Stats().Drops)
	}
}

func TestClass28_OversizePacketIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, append(bytes.Clone(keyPayload), make([]byte, 1700)...)))
	r.deliver(0, pub.addr, nil)
	if media, _ := v.received(); len(media) != 0 || r.drops(DropTooLarge) != 1 || r.drops(DropTruncated) != 1 {
		t.Fatalf("%d packets, %v", len(media), r.e.Stats().Drops)
	}
}

func TestClass53_FullSocketDropsAndGoesOn(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	r.conns[0].fail = 1 // one refusal: tried again
	r.deliver(0, pub.addr, pub.packet(1, 2, keyPayload))
	if media, _ := v.received(); len(media) != 2 {
		t.Fatalf("%d packets", len(media))
	}
	r.conns[0].fail = 2 // two: dropped
	r.deliver(0, pub.addr, pub.packet(1, 3, keyPayload))
	r.deliver(0, pub.addr, pub.packet(1, 4, keyPayload))
	if media, _ := v.received(); len(media) != 1 || r.drops(DropSend) != 1 {
		t.Fatalf("%d packets, %d dropped", len(media), r.drops(DropSend))
	}
}

func TestConsentLossStopsSending(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	v.received()
	v.tr.SetRemote(netip.Addr{}, netip.AddrPort{})
	r.step()
	r.deliver(0, pub.addr, pub.packet(1, 2, keyPayload))
	r.pass(3 * time.Second)
	if got := r.take(v.addr); len(got) != 0 || r.drops(DropPaused) == 0 {
		t.Fatalf("%d packets after consent was lost", len(got))
	}
}

// A peer that crashes and begins anew on its port is served at once; so that a
// second connection between one pair of ports does not go unnoticed, the
// change is counted.
func TestAddressFollowsTheNewestCheck(t *testing.T) {
	r := newRig(t, 2)
	old, fresh := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.newPeer(1, srtp.AEAD_AES_128_GCM)
	old.publish()
	st := fresh.publish()[0]
	v := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	v.view(st)
	if n := r.e.Stats().AddressTakeovers; n != 0 {
		t.Fatalf("%d takeovers before any", n)
	}
	fresh.tr.AddRemote(r.e.shards[0], old.addr)
	r.step()
	r.deliver(0, old.addr, fresh.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets of the new connection", len(media))
	}
	old.tr.Close(nil)
	r.step()
	r.deliver(0, old.addr, fresh.packet(1, 2, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatal("the end of the old connection took the address away")
	}
	if n := r.e.Stats().AddressTakeovers; n != 1 {
		t.Fatalf("%d takeovers counted", n)
	}
}

func TestDatagramOnAnotherShardIsHandedOver(t *testing.T) {
	r := newRig(t, 3)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(2, srtp.AEAD_AES_128_GCM)
	v.view(st)
	moved := netip.MustParseAddrPort("198.51.100.7:60000")
	pub.tr.AddRemote(r.e.shards[1], moved) // the kernel's hash sends it to shard 1
	r.step()
	for seq := range uint16(200) {
		r.deliver(1, moved, pub.packet(1, seq, keyPayload))
	}
	if media, _ := v.received(); len(media) != 200 || r.e.Stats().HandedOver != 200 {
		t.Fatalf("%d packets, %d handed over", len(media), r.e.Stats().HandedOver)
	}
	for _, s := range r.e.shards {
		if got := len(s.slab.free); got != slabCells-inBatch {
			t.Errorf("shard %d has %d free cells of %d", s.index, got, slabCells-inBatch)
		}
	}
}

func TestShardThatIsBehindDropsAndRecovers(t *testing.T) {
	r := newRig(t, 2)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	v.view(st)
	s := r.e.shards[0]
	for seq := range uint16(3000) { // shard 1 does not run
		m := &s.msgs[0]
		pkt := pub.packet(1, seq, keyPayload)
		m.Buf = m.Buf[:cap(m.Buf)]
		m.Buf = m.Buf[:copy(m.Buf, pkt)]
		m.Addr, m.At = pub.addr, r.now
		s.step(r.now, 1)
	}
	if r.drops(DropHandover) == 0 {
		t.Fatal("nothing was dropped")
	}
	r.step()
	v.received()
	r.deliver(0, pub.addr, pub.packet(1, 3001, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets after recovery", len(media))
	}
	if got := len(s.slab.free); got != slabCells-inBatch {
		t.Errorf("%d free cells", got)
	}
}

func TestPanicEndsOnlyTheTransportItStruck(t *testing.T) {
	r := newRig(t, 1)
	bad, good := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.newPeer(0, srtp.AEAD_AES_128_GCM)
	bad.publish()[0].SetTap(func(mono.Time, *Transport, []rtp.View) {})
	st := good.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	bad.tr.bySSRC = nil // a broken invariant
	s := r.e.shards[0]
	m := &s.msgs[0]
	pkt := bad.packet(1, 1, keyPayload)
	m.Buf = m.Buf[:cap(m.Buf)]
	m.Buf = m.Buf[:copy(m.Buf, pkt)]
	m.Addr, m.At = bad.addr, r.now
	func() {
		defer s.recoverTurn(1)
		s.step(r.now, 1)
	}()
	r.step()
	if bad.ep.failed == nil || r.e.Stats().Panics != 1 {
		t.Fatalf("failure %v, %d panics", bad.ep.failed, r.e.Stats().Panics)
	}
	r.deliver(0, good.addr, good.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatal("the other transport does not go on")
	}
}

func TestCloseForgetsEverything(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		for range 50 {
			pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
			st := pub.publish()[0]
			v := r.newPeer(shards-1, srtp.AEAD_AES_128_GCM)
			v.view(st)
			r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
			v.received()
			pub.tr.Close(nil)
			v.tr.Close(nil)
			r.step()
			if len(st.legs) != 0 || len(st.mirrors) != 0 || st.cache != nil {
				t.Fatalf("%d legs, %d mirrors remain", len(st.legs), len(st.mirrors))
			}
		}
		for _, s := range r.e.shards {
			if len(s.addrs) != 0 || len(s.mirrors) != 0 || s.timers.next() != 0 {
				t.Fatalf("%d addresses, %d mirrors, timer at %d", len(s.addrs), len(s.mirrors), s.timers.next())
			}
		}
		if n := r.e.Stats().Transports; n != 0 {
			t.Fatalf("%d transports", n)
		}
	}
}

// Class 51: the media of one user must never reach another, whatever buffers
// are reused. Each publisher marks its payloads; each viewer checks the mark.
func TestClass51_BuffersNeverCross(t *testing.T) {
	r := newRig(t, 2)
	type pair struct{ pub, view *peer }
	var pairs []pair
	for i := range 16 {
		p := r.newPeer(i%2, profiles[i%3])
		v := r.newPeer((i/2)%2, profiles[(i+1)%3])
		v.view(p.publish()[0])
		pairs = append(pairs, pair{p, v})
	}
	for seq := range uint16(100) {
		for i, p := range pairs {
			mark := bytes.Repeat([]byte{byte(i)}, 100+(int(seq)*37+i*91)%900)
			r.deliver(p.pub.tr.shard.index, p.pub.addr, p.pub.packet(1, seq, append(bytes.Clone(keyPayload), mark...)))
		}
	}
	for i, p := range pairs {
		media, _ := p.view.received()
		if len(media) != 100 {
			t.Fatalf("viewer %d got %d packets", i, len(media))
		}
		for _, m := range media {
			for _, b := range m.Payload()[len(keyPayload):] {
				if b != byte(i) {
					t.Fatalf("viewer %d sees the payload of publisher %d", i, b)
				}
			}
		}
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
