package webrtc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// couple is two connections, each with an engine of its own.
func couple(t testing.TB) (a, b *PeerConnection) {
	t.Helper()
	return newPC(t, Config{Engine: newEngine(t, 1)}), newPC(t, Config{Engine: newEngine(t, 2)})
}

func localSDP(t testing.TB, pc *PeerConnection) *sdp.Session {
	t.Helper()
	return must(sdp.Parse(pc.LocalDescription().SDP))(t)
}

// vp8 makes a packet that begins a key frame.
func vp8(seq uint32) []byte {
	h := rtp.Header{PayloadType: 96, Seq: uint16(seq), Timestamp: seq * 3000, SSRC: 7, Marker: true}
	return append(h.Append(nil), 0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, byte(seq>>8), byte(seq))
}

func vp8Track(t testing.TB) *MediaStreamTrack {
	t.Helper()
	return must(NewTrack(Codec{MimeType: "video/VP8", ClockRate: 90000}, "", ""))(t)
}

// receive writes packets until count have been read, one at a time: each is
// written again, with a new number, until it gets through the set-up.
func receive(t testing.TB, w, r *MediaStreamTrack, seq *uint32, count int) []rtp.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	var stop atomic.Bool
	go func() {
		defer close(done)
		for !stop.Load() && ctx.Err() == nil {
			if err := w.WriteRTP(vp8(*seq)); err != nil {
				t.Error(err)
				return
			}
			*seq++
			tick()
		}
	}()
	var views []rtp.View
	buf := make([]byte, 1500)
	for len(views) < count {
		n, err := r.ReadRTP(ctx, buf)
		if err != nil {
			t.Fatalf("after %d packets: %v", len(views), err)
		}
		v, ok := rtp.Parse(slices.Clone(buf[:n]))
		if !ok {
			t.Fatal("not RTP")
		}
		views = append(views, v)
	}
	stop.Store(true)
	<-done
	return views
}

func TestDirectionsOfOfferAndAnswer(t *testing.T) {
	e := newEngine(t, 1)
	all := []Direction{SendRecv, SendOnly, RecvOnly, Inactive}
	for _, offered := range all {
		for _, wanted := range all {
			t.Run(fmt.Sprintf("%s to %s", offered, wanted), func(t *testing.T) {
				a, b := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: e})
				ta := must(a.AddTransceiver(Video, offered))(t)
				if err := a.SetLocalDescription(SessionDescription{}); err != nil {
					t.Fatal(err)
				}
				if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
					t.Fatal(err)
				}
				tb := b.Transceivers()[0]
				if d := tb.Direction(); d != RecvOnly {
					t.Errorf("a transceiver made for an offer is %s", d)
				}
				if err := tb.SetDirection(wanted); err != nil {
					t.Fatal(err)
				}
				if err := b.SetLocalDescription(SessionDescription{}); err != nil {
					t.Fatal(err)
				}
				if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
					t.Fatal(err)
				}
				want := sdp.MakeDirection(offered.Sends() && wanted.Receives(), offered.Receives() && wanted.Sends())
				if d := ta.CurrentDirection(); d != want {
					t.Errorf("offerer: %s, not %s", d, want)
				}
				if d := tb.CurrentDirection(); d != want.Reverse() {
					t.Errorf("answerer: %s, not %s", d, want.Reverse())
				}
				if d := ta.Direction(); d != offered {
					t.Errorf("the wanted direction became %s", d)
				}
				if ta.MID() == "" || ta.MID() != tb.MID() {
					t.Errorf("mids %q and %q", ta.MID(), tb.MID())
				}
			})
		}
	}
}

func TestTrackAddedBeforeAndAfterTheOffer(t *testing.T) {
	a, b := couple(t)
	tracks := make(chan TrackEvent, 4)
	a.OnTrack(func(e TrackEvent) { tracks <- e })
	// Before: b's track takes the offered section.
	must(a.AddTransceiver(Video, SendRecv))(t)
	cam := must(NewTrack(Codec{MimeType: "video/VP8", ClockRate: 90000}, "cam", "room"))(t)
	sender := must(b.AddTrack(cam, "room"))(t)
	if _, err := b.AddTrack(cam); !errors.Is(err, ErrInvalidAccess) {
		t.Errorf("the same track twice: %v", err)
	}
	negotiate(t, a, b, nil)
	ev := await(t, "track", tracks)
	if n := len(b.Transceivers()); n != 1 {
		t.Fatalf("%d transceivers", n)
	}
	if !slices.Equal(ev.Streams, []string{"room"}) || ev.Track.Kind() != Video || ev.Track.RID() != "" {
		t.Errorf("%v %v", ev.Streams, ev.Track.Kind())
	}
	var seq uint32
	receive(t, cam, ev.Track, &seq, 3)
	if sender.Track() != cam {
		t.Error("the sender has another track")
	}
	// After: the next negotiation, begun by the other side.
	second := vp8Track(t)
	must(b.AddTrack(second))(t)
	negotiate(t, b, a, nil)
	ev = await(t, "second track", tracks)
	receive(t, second, ev.Track, &seq, 3)
	if m := localSDP(t, b).Media; len(m) != 2 || m[0].MID == m[1].MID {
		t.Errorf("%d sections", len(m))
	}
	receive(t, cam, a.Transceivers()[0].Receiver().Track(), &seq, 1)
}

func TestRemovedTrackEndsAtTheReceiverAndMayComeBack(t *testing.T) {
	a, b := couple(t)
	tracks := make(chan TrackEvent, 4)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	cam := vp8Track(t)
	s := must(a.AddTrack(cam))(t)
	negotiate(t, a, b, nil)
	ev := await(t, "track", tracks)
	var seq uint32
	before := receive(t, cam, ev.Track, &seq, 5)
	if err := b.RemoveTrack(s); !errors.Is(err, ErrInvalidAccess) {
		t.Errorf("a sender of another connection: %v", err)
	}
	if err := a.RemoveTrack(s); err != nil {
		t.Fatal(err)
	}
	negotiate(t, a, b, nil)
	if m := localSDP(t, a).Media; len(m) != 1 || m[0].Rejected() || m[0].Direction != RecvOnly {
		t.Errorf("%v", m)
	}
	drained(t, ev.Track)
	if err := s.ReplaceTrack(cam); err != nil {
		t.Fatal(err)
	}
	if err := a.Transceivers()[0].SetDirection(SendRecv); err != nil {
		t.Fatal(err)
	}
	negotiate(t, a, b, nil)
	ev = await(t, "track again", tracks)
	after := receive(t, cam, ev.Track, &seq, 5)
	if last, next := before[4], after[0]; next.SSRC != last.SSRC || !rtp.SeqLess(last.Seq, next.Seq) {
		t.Errorf("numbering begins anew under one key: %d after %d", next.Seq, last.Seq)
	}
}

// drained reads a track to its end.
func drained(t testing.TB, track *MediaStreamTrack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	buf := make([]byte, 1500)
	for {
		if _, err := track.ReadRTP(ctx, buf); err != nil {
			if ctx.Err() != nil {
				t.Fatal("the track does not end")
			}
			return
		}
	}
}

func TestReplacedTrackGoesOnWithTheNumbersOfTheOneBefore(t *testing.T) {
	a, b := couple(t)
	tracks := make(chan TrackEvent, 4)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	first, second := vp8Track(t), vp8Track(t)
	s := must(a.AddTrack(first))(t)
	negotiate(t, a, b, nil)
	ev := await(t, "track", tracks)
	n := uint32(65500) // the outgoing numbers do not follow these
	views := receive(t, first, ev.Track, &n, 20)
	sound := must(NewTrack(Codec{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}, "", ""))(t)
	if err := s.ReplaceTrack(sound); !errors.Is(err, ErrType) {
		t.Errorf("a track of another kind: %v", err)
	}
	m := uint32(7)
	for _, step := range []struct {
		track *MediaStreamTrack
		seq   *uint32
		pause bool
	}{{second, &m, false}, {first, &n, true}, {second, &m, true}} {
		if step.pause {
			if err := s.ReplaceTrack(nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.ReplaceTrack(step.track); err != nil {
			t.Fatal(err)
		}
		views = append(views, receive(t, step.track, ev.Track, step.seq, 20)...)
	}
	for i := 1; i < len(views); i++ {
		// Some packets of the writer may have been on the way at the change.
		if v, last := views[i], views[i-1]; v.SSRC != last.SSRC || v.Seq != last.Seq+1 {
			t.Fatalf("packet %d: %08x/%d after %08x/%d", i, v.SSRC, v.Seq, last.SSRC, last.Seq)
		} else if int32(v.Timestamp-last.Timestamp) <= 0 {
			t.Fatalf("packet %d: timestamp %d after %d", i, v.Timestamp, last.Timestamp)
		}
	}
	if a.SignalingState() != SignalingStable {
		t.Error("replaceTrack negotiated")
	}
}

func TestStoppedTransceiverLeavesItsSectionToALaterOne(t *testing.T) {
	a, b := couple(t)
	ended := make(chan struct{}, 1)
	b.OnTrack(func(e TrackEvent) {
		go func() { drained(t, e.Track); ended <- struct{}{} }()
	})
	must(a.AddTrack(vp8Track(t)))(t)
	dc := must(a.CreateDataChannel("stays", nil))(t)
	open := make(chan struct{}, 1)
	dc.OnOpen(func() { open <- struct{}{} })
	negotiate(t, a, b, nil)
	await(t, "channel", open)
	old := a.Transceivers()[0]
	mid := old.MID()
	if err := old.Stop(); err != nil {
		t.Fatal(err)
	}
	negotiate(t, a, b, nil)
	await(t, "end of the track", ended)
	for _, pc := range []*PeerConnection{a, b} {
		m := localSDP(t, pc).Media
		if len(m) != 2 || !m[0].Rejected() || m[1].Rejected() {
			t.Fatalf("sections %+v", m)
		}
		if n := len(pc.Transceivers()); n != 0 {
			t.Errorf("%d transceivers are left", n)
		}
		if slices.Contains(localSDP(t, pc).Bundle(), mid) {
			t.Error("the stopped section is in the bundle")
		}
	}
	if err := old.SetDirection(SendRecv); !errors.Is(err, ErrInvalidState) {
		t.Errorf("SetDirection of a stopped transceiver: %v", err)
	}
	if err := old.Sender().ReplaceTrack(vp8Track(t)); !errors.Is(err, ErrInvalidState) {
		t.Errorf("ReplaceTrack of a stopped transceiver: %v", err)
	}
	// A new one takes the place, under another name.
	tracks := make(chan TrackEvent, 1)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	again := vp8Track(t)
	must(a.AddTrack(again))(t)
	negotiate(t, a, b, nil)
	m := localSDP(t, a).Media
	if len(m) != 2 || m[0].Rejected() || m[0].MID == mid {
		t.Fatalf("%d sections, mid %q after %q", len(m), m[0].MID, mid)
	}
	var seq uint32
	receive(t, again, await(t, "track", tracks).Track, &seq, 3)
	echo(t, b, dc)
}

// echo sends a message on dc and awaits it at the peer's channel.
func echo(t testing.TB, peer *PeerConnection, dc *DataChannel) {
	t.Helper()
	got := make(chan Message, 1)
	var other *DataChannel
	eventually(t, "such channel of the peer", func() bool { // it hears of it after dc is open
		if err := peer.do(func(_ monoTime) error {
			id, _ := dc.ID()
			other = peer.channels[id]
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return other != nil
	})
	other.OnMessage(func(m Message) {
		if m.Text && string(m.Data) == "ping" {
			got <- m
		}
	})
	if err := dc.SendText("ping"); err != nil {
		t.Fatal(err)
	}
	await(t, "message", got)
}

func TestTransceiverStoppedBeforeAnyOfferLeavesNoTrace(t *testing.T) {
	a := newPC(t, Config{Engine: newEngine(t, 1)})
	tr := must(a.AddTransceiver(Audio, ""))(t)
	if err := errors.Join(tr.Stop(), tr.Stop()); err != nil {
		t.Fatal(err)
	}
	must(a.AddTransceiver(Video, ""))(t)
	offer := must(sdp.Parse(must(a.CreateOffer(nil))(t).SDP))(t)
	if len(offer.Media) != 1 || offer.Media[0].Kind != "video" || offer.Media[0].Rejected() {
		t.Fatalf("%+v", offer.Media)
	}
}

func TestCodecPreferencesOrderAndLimitBothOfferAndAnswer(t *testing.T) {
	e := newEngine(t, 1)
	vp9, vp8 := Codec{MimeType: "video/VP9", ClockRate: 90000, SDPFmtpLine: "profile-id=0"}, Codec{MimeType: "video/VP8", ClockRate: 90000}
	names := func(m *sdp.Media) (list []string) {
		for i := range m.Codecs {
			list = append(list, m.Codecs[i].Name)
		}
		return list
	}
	a, b := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: e})
	ta := must(a.AddTransceiver(Video, ""))(t)
	if err := ta.SetCodecPreferences([]Codec{{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}}); !errors.Is(err, ErrInvalidAccess) {
		t.Errorf("audio codec for video: %v", err)
	}
	if err := ta.SetCodecPreferences([]Codec{vp9, vp8}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if got := names(&localSDP(t, a).Media[0]); !slices.Equal(got, []string{"VP9", "rtx", "VP8", "rtx"}) {
		t.Errorf("offer %v", got)
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if err := b.Transceivers()[0].SetCodecPreferences([]Codec{vp8, vp9}); err != nil {
		t.Fatal(err)
	}
	if got := names(&must(sdp.Parse(must(b.CreateAnswer())(t).SDP))(t).Media[0]); !slices.Equal(got, []string{"VP8", "rtx", "VP9", "rtx"}) {
		t.Errorf("answer %v", got)
	}
	if err := b.Transceivers()[0].SetCodecPreferences([]Codec{vp8}); err != nil {
		t.Fatal(err)
	}
	if got := names(&must(sdp.Parse(must(b.CreateAnswer())(t).SDP))(t).Media[0]); !slices.Equal(got, []string{"VP8", "rtx"}) {
		t.Errorf("limited answer %v", got)
	}
	if err := b.Transceivers()[0].SetCodecPreferences(nil); err != nil {
		t.Fatal(err)
	}
	if got := names(&must(sdp.Parse(must(b.CreateAnswer())(t).SDP))(t).Media[0]); !slices.Equal(got, []string{"VP9", "rtx", "VP8", "rtx"}) {
		t.Errorf("answer without preferences %v", got)
	}
}

func TestSectionsThatCannotBeAnsweredAreRejectedAndTheRestWorks(t *testing.T) {
	captured := captures(t)["chromium-echo"]
	for _, c := range []struct {
		name   string
		change func(string) string
		want   []bool // rejected
	}{
		{"kind unknown", func(s string) string { return strings.Replace(s, "m=video", "m=hologram", 1) }, []bool{false, true, false}},
		{"protocol unknown", func(s string) string { return strings.Replace(s, "UDP/DTLS/SCTP", "UDP/BFCP", 1) }, []bool{false, false, true}},
		{"plain RTP", func(s string) string {
			return strings.Replace(s, "m=audio 54287 UDP/TLS/RTP/SAVPF", "m=audio 54287 RTP/AVP", 1)
		}, []bool{true, false, false}},
		{"no codec in common", func(s string) string {
			return regexp.MustCompile(`(?m)^a=rtpmap:(\d+) (VP8|VP9|H264|AV1)/`).ReplaceAllString(s, "a=rtpmap:$1 x-$2/")
		}, []bool{false, true, false}},
		{"none in common for anything", func(s string) string {
			s = strings.Replace(s, "UDP/DTLS/SCTP", "UDP/BFCP", 1)
			s = strings.Replace(s, "m=audio", "m=text", 1)
			return strings.Replace(s, "m=video", "m=image", 1)
		}, []bool{true, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := answer(t, Config{Engine: newEngine(t, 1)}, c.change(captured))
			for i := range got.Media {
				if got.Media[i].Rejected() != c.want[i] {
					t.Errorf("section %d: rejected %v", i, got.Media[i].Rejected())
				}
				if c.want[i] == slices.Contains(got.Bundle(), got.Media[i].MID) {
					t.Errorf("bundle %v", got.Bundle())
				}
			}
		})
	}
}

func TestAnswererWithoutACommonCodecRejectsOurSectionOnly(t *testing.T) {
	e := newEngine(t, 1)
	opus := Codec{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}
	a := newPC(t, Config{Engine: e, Codecs: []Codec{opus, {MimeType: "video/VP8", ClockRate: 90000}}})
	b := newPC(t, Config{Engine: newEngine(t, 1), Codecs: []Codec{opus, {MimeType: "video/AV1", ClockRate: 90000}}})
	must(a.AddTransceiver(Video, ""))(t)
	sound := must(a.AddTransceiver(Audio, ""))(t)
	negotiate(t, a, b, nil)
	await(t, "connection", connected(a))
	await(t, "connection", connected(b))
	for _, pc := range []*PeerConnection{a, b} {
		if m := localSDP(t, b).Media; !m[0].Rejected() || m[1].Rejected() {
			t.Error("wrong sections rejected")
		}
		if list := pc.Transceivers(); len(list) != 1 || list[0].Kind() != Audio {
			t.Errorf("%d transceivers", len(list))
		}
	}
	if sound.CurrentDirection() != RecvOnly.Reverse() {
		t.Error(sound.CurrentDirection())
	}
}

func TestPayloadTypesKeepTheirMeaningThroughRenegotiation(t *testing.T) {
	a, b := couple(t)
	must(a.AddTrack(vp8Track(t)))(t)
	negotiate(t, a, b, nil)
	meaning := map[uint8]string{}
	check := func(s *sdp.Session) {
		t.Helper()
		for i := range s.Media {
			for k := range s.Media[i].Codecs {
				c := &s.Media[i].Codecs[k]
				is := strings.ToLower(fmt.Sprint(c.Name, c.ClockRate, c.Fmtp))
				if was, ok := meaning[c.PayloadType]; ok && was != is {
					t.Errorf("payload type %d was %s and is %s", c.PayloadType, was, is)
				}
				meaning[c.PayloadType] = is
			}
		}
	}
	check(localSDP(t, a))
	must(b.AddTransceiver(Audio, ""))(t)
	must(b.AddTransceiver(Video, ""))(t)
	negotiate(t, b, a, nil)
	check(localSDP(t, b))
	check(localSDP(t, a))
}
