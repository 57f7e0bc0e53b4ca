package dataplane

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

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
