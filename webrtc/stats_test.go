package webrtc

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// only is the one statistics object of a type.
func only[T any](t testing.TB, r StatsReport) (found T) {
	t.Helper()
	n := 0
	for _, s := range r {
		if v, ok := s.(T); ok {
			found = v
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d of %T", n, found)
	}
	return found
}

func TestStatsTellWhatHappened(t *testing.T) {
	a, b, dc, _ := linked(t)
	cam := vp8Track(t)
	sender := must(a.AddTrack(cam))(t)
	tracks := make(chan TrackEvent, 1)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	negotiate(t, a, b, nil)
	var seq uint32
	track := await(t, "track", tracks).Track
	receive(t, cam, track, &seq, 30)
	echo(t, b, dc)

	ra, rb := must(a.GetStats())(t), must(b.GetStats())(t)
	for id, s := range ra {
		b := must(json.Marshal(s))(t)
		var common Stats
		if err := json.Unmarshal(b, &common); err != nil {
			t.Fatal(err)
		}
		age := time.Since(time.UnixMilli(int64(common.Timestamp)))
		if common.ID != id || common.Type == "" || age < -time.Minute || age > time.Minute {
			t.Errorf("%s: %+v", id, common)
		}
	}
	must(json.Marshal(rb))(t)

	if p := only[*PeerConnectionStats](t, ra); p.ConnectionState != "connected" || p.DataChannelsOpened != 1 {
		t.Errorf("%+v", p)
	}
	out := only[*OutboundRTPStats](t, ra)
	if out.SSRC != sender.SSRC() || out.Kind != Video || out.PacketsSent < 30 || out.BytesSent < 30*9 || out.MID == "" {
		t.Errorf("%+v", out)
	}
	in := only[*InboundRTPStats](t, rb)
	if in.SSRC != sender.SSRC() || in.PacketsReceived < 30 || in.KeyFramesReceived < 30 || in.TrackIdentifier != track.ID() || in.PacketsLost != 0 {
		t.Errorf("%+v", in)
	}
	for _, r := range []StatsReport{ra, rb} {
		tr := only[*TransportStats](t, r)
		if tr.DTLSState != "connected" || tr.ICEState != "connected" && tr.ICEState != "completed" || tr.PacketsReceived == 0 && tr.PacketsSent == 0 ||
			tr.TLSVersion == "" || tr.DTLSCipher == "" || tr.SRTPCipher == "" {
			t.Errorf("%+v", tr)
		}
		pair, ok := r[tr.SelectedCandidatePairID].(*CandidatePairStats)
		if !ok {
			t.Fatalf("the selected pair %q is missing", tr.SelectedCandidatePairID)
		}
		if !pair.Nominated || pair.State != "succeeded" || pair.ResponsesReceived == 0 || pair.CurrentRoundTripTime > pair.TotalRoundTripTime || pair.TotalRoundTripTime > patience.Seconds() {
			t.Errorf("%+v", pair)
		}
		for _, id := range []string{pair.LocalCandidateID, pair.RemoteCandidateID} {
			if c, ok := r[id].(*CandidateStats); !ok || c.Address != "127.0.0.1" || c.Port == 0 || c.Protocol != "udp" {
				t.Errorf("candidate %q: %+v", id, r[id])
			}
		}
		local, ok1 := r[tr.LocalCertificateID].(*CertificateStats)
		remote, ok2 := r[tr.RemoteCertificateID].(*CertificateStats)
		if !ok1 || !ok2 || local.Fingerprint == remote.Fingerprint || len(local.Fingerprint) != 95 || local.FingerprintAlgorithm != "sha-256" {
			t.Errorf("certificates %+v %+v", local, remote)
		}
	}
	if ta, tb := only[*TransportStats](t, ra), only[*TransportStats](t, rb); ta.ICERole == tb.ICERole || ta.DTLSRole == tb.DTLSRole || ta.SRTPCipher != tb.SRTPCipher {
		t.Errorf("%+v %+v", ta, tb)
	}
	var codecs int
	for _, s := range rb {
		if c, ok := s.(*CodecStats); ok && c.MimeType == "video/VP8" && c.ClockRate == 90000 {
			codecs++
		}
	}
	if codecs != 1 {
		t.Errorf("VP8 is there %d times", codecs)
	}
	da, db := only[*DataChannelStats](t, ra), only[*DataChannelStats](t, rb)
	if da.MessagesSent != 1 || da.BytesSent != 4 || db.MessagesReceived != 1 || db.BytesReceived != 4 || da.State != "open" || da.Label != "first" || da.DataChannelID != db.DataChannelID {
		t.Errorf("%+v %+v", da, db)
	}
	for _, r := range []StatsReport{ra, rb} {
		s := only[*SCTPTransportStats](t, r)
		if s.Type != "sctp-transport" || s.TransportID != only[*TransportStats](t, r).ID || s.SmoothedRoundTripTime <= 0 || s.CongestionWindow == 0 ||
			s.ReceiverWindow == 0 || s.MTU < 1000 || s.BytesSent == 0 || s.PacketsSent == 0 || s.PacketsReceived == 0 {
			t.Errorf("%+v", s)
		}
	}
	a.Close()
	if _, err := a.GetStats(); !errors.Is(err, ErrInvalidState) {
		t.Error(err)
	}
}

func TestStatsOfAnUnusedConnection(t *testing.T) {
	pc := newPC(t, Config{Engine: newEngine(t, 1)})
	r := must(pc.GetStats())(t)
	if p := only[*PeerConnectionStats](t, r); p.ConnectionState != "new" {
		t.Errorf("%+v", p)
	}
	must(pc.CreateDataChannel("x", nil))(t)
	if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if tr := only[*TransportStats](t, must(pc.GetStats())(t)); tr.DTLSState != "new" || tr.SelectedCandidatePairID != "" || tr.DTLSRole != "unknown" {
		t.Errorf("%+v", tr)
	}
}
