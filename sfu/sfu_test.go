package sfu

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

func TestViewersSeeWhatIsPublished(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, "lobby", opus, vp8)
	_, _, first := view(t, s, "lobby", webrtc.Video, webrtc.Audio)
	_, _, second := view(t, s, "lobby", webrtc.Audio)
	for range 2 {
		e := await(t, "track", first)
		packets(t, e.Track, 20)
		if len(e.Streams) != 1 || e.Streams[0] != "lobby" {
			t.Errorf("streams %q", e.Streams)
		}
	}
	if e := await(t, "track", second); e.Track.Kind() != webrtc.Audio {
		t.Errorf("kind %s", e.Track.Kind())
	} else {
		packets(t, e.Track, 20)
	}
	if got := s.Streams(); len(got) != 1 || got[0].Viewers != 2 || !got[0].Live || len(got[0].Tracks) != 2 {
		t.Errorf("streams: %+v", got)
	}
}

func TestViewerMayComeBeforeThePublisherIsConnected(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t, vp8)
	pump(t, pc, vp8)
	_, answer, err := s.Publish(t.Context(), "early", offer(t, pc, nil))
	check(t, err)
	_, _, tracks := view(t, s, "early", webrtc.Video)
	accept(t, pc, answer)
	packets(t, await(t, "track", tracks).Track, 10)
}

func TestAnswerContainsOneFormat(t *testing.T) {
	s := newServer(t, Config{})
	_, answer, err := s.Publish(t.Context(), "x", capture(t, "chromium-echo.sdp"))
	check(t, err)
	d, err := sdp.Parse(answer)
	check(t, err)
	for i := range d.Media {
		if m := &d.Media[i]; isMedia(m) && len(sectionCodecs(m)) != 1 {
			t.Errorf("%s: %v", m.Kind, m.Codecs)
		}
	}
}

func TestViewerWhoCannotDecodeIsTold(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, "h", h264)
	pc := client(t, vp8, opus)
	for _, k := range []webrtc.Kind{webrtc.Video, webrtc.Audio} {
		_, err := pc.AddTransceiver(k, webrtc.RecvOnly)
		check(t, err)
	}
	_, _, err := s.Play(t.Context(), "h", offer(t, pc, nil), "")
	if !errors.Is(err, webrtc.ErrUnsupported) || !strings.Contains(err.Error(), "video/H264") {
		t.Errorf("error %v", err)
	}
	if n := s.Len(); n != 1 {
		t.Errorf("%d sessions remain", n)
	}
	// The twin: one who can.
	_, _, tracks := view(t, s, "h", webrtc.Video)
	packets(t, await(t, "track", tracks).Track, 10)
}

func TestRefusals(t *testing.T) {
	s := newServer(t, Config{MaxSessions: 4, MaxStreams: 2, MaxViewersPerStream: 1})
	media, data := capture(t, "chromium-echo.sdp"), capture(t, "chromium-simulcast.sdp")
	_, _, err := s.Publish(t.Context(), "a", media)
	check(t, err)
	recvonly := strings.ReplaceAll(data, "a=sendonly", "a=recvonly")
	for _, c := range []struct {
		what string
		do   func() error
		want error
	}{
		{"second publisher", func() error { _, _, err := s.Publish(t.Context(), "a", media); return err }, ErrPublished},
		{"empty name", func() error { _, _, err := s.Publish(t.Context(), "", media); return err }, ErrName},
		{"name with a space", func() error { _, _, err := s.Publish(t.Context(), "a b", media); return err }, ErrName},
		{"name of markup", func() error { _, _, err := s.Play(t.Context(), "<b>", media, ""); return err }, ErrName},
		{"long name", func() error { _, _, err := s.Publish(t.Context(), strings.Repeat("n", 65), media); return err }, ErrName},
		{"dots", func() error { _, _, err := s.Publish(t.Context(), "..", media); return err }, ErrName},
		{"unknown stream", func() error { _, _, err := s.Play(t.Context(), "b", media, ""); return err }, ErrNoStream},
		{"layer of no simulcast", func() error { _, _, err := s.Play(t.Context(), "a", media, "q"); return err }, ErrNoLayer},
		{"no description", func() error { _, _, err := s.Publish(t.Context(), "b", "hello"); return err }, webrtc.ErrSyntax},
		{"publisher who receives", func() error { _, _, err := s.Publish(t.Context(), "b", recvonly); return err }, webrtc.ErrUnsupported},
		{"viewer who sends", func() error { _, _, err := s.Play(t.Context(), "a", data, ""); return err }, webrtc.ErrUnsupported},
		{"no fingerprint", func() error {
			_, _, err := s.Echo(t.Context(), strings.ReplaceAll(media, "a=fingerprint", "a=x"))
			return err
		}, webrtc.ErrUnsupported},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, not %v", c.what, err, c.want)
		}
		if n := s.Len(); n != 1 {
			t.Fatalf("%s leaves %d sessions", c.what, n)
		}
		if n := len(s.Streams()); n != 1 {
			t.Fatalf("%s leaves %d streams", c.what, n)
		}
	}

	_, _, err = s.Publish(t.Context(), "b", media)
	check(t, err)
	if _, _, err := s.Publish(t.Context(), "c", media); !errors.Is(err, ErrLimit) {
		t.Errorf("third stream: %v", err)
	}
	_, _, err = s.Play(t.Context(), "a", recvonly, "")
	check(t, err)
	if _, _, err := s.Play(t.Context(), "a", recvonly, ""); !errors.Is(err, ErrLimit) {
		t.Errorf("second viewer: %v", err)
	}
	_, _, err = s.Echo(t.Context(), media)
	check(t, err)
	if _, _, err := s.Echo(t.Context(), media); !errors.Is(err, ErrLimit) {
		t.Errorf("fifth session: %v", err)
	}
	check(t, s.Close(t.Context()))
	if _, _, err := s.Echo(t.Context(), media); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if s.Len() != 0 || len(s.Streams()) != 0 {
		t.Error("Close leaves something")
	}
}

func TestViewersStayForAPublisherWhoComesBack(t *testing.T) {
	s := newServer(t, Config{PublisherGrace: time.Hour})
	_, pub := publish(t, s, "lobby", vp8)
	viewer, _, tracks := view(t, s, "lobby", webrtc.Video)
	e := await(t, "track", tracks)
	last := packets(t, e.Track, 10)[9]
	check(t, pub.Close())
	eventually(t, "the stream without a publisher", func() bool { return !s.Streams()[0].Live })
	if _, _, err := s.Play(t.Context(), "lobby", capture(t, "chromium-echo.sdp"), ""); !errors.Is(err, ErrNoStream) {
		t.Errorf("a viewer meanwhile: %v", err)
	}
	publish(t, s, "lobby", vp8)
	// What was still in the queue of the old one, and then the new one: the
	// numbers go on.
	for _, v := range packets(t, e.Track, 300) {
		if v.Seq != last.Seq+1 || v.SSRC != last.SSRC {
			t.Fatalf("after %d/%d comes %d/%d", last.SSRC, last.Seq, v.SSRC, v.Seq)
		}
		last = v
	}
	select {
	case <-viewer.Done():
		t.Error("the viewer has ended")
	default:
	}
}

func TestViewersEndWhenThePublisherHasGone(t *testing.T) {
	s := newServer(t, Config{PublisherGrace: -1})
	_, pub := publish(t, s, "lobby", vp8)
	viewer, pc, _ := view(t, s, "lobby", webrtc.Video)
	closed := state(pc, webrtc.PeerConnectionClosed)
	check(t, pub.Close())
	await(t, "end of the viewer", viewer.Done())
	await(t, "goodbye", closed)
	eventually(t, "nothing", func() bool { return s.Len() == 0 && len(s.Streams()) == 0 })
}

func TestViewersEndWhenTheFormatChanges(t *testing.T) {
	s := newServer(t, Config{PublisherGrace: time.Hour})
	_, pub := publish(t, s, "lobby", vp8)
	viewer, _, _ := view(t, s, "lobby", webrtc.Video)
	check(t, pub.Close())
	eventually(t, "the stream without a publisher", func() bool { return !s.Streams()[0].Live })
	publish(t, s, "lobby", h264)
	await(t, "end of the viewer", viewer.Done())
}

func TestLayersAreChosen(t *testing.T) {
	s := newServer(t, Config{})
	_, _, err := s.Publish(t.Context(), "sim", capture(t, "chromium-simulcast.sdp"))
	check(t, err)
	if got := s.Streams()[0].Tracks[1].Layers; !slices.Equal(got, []string{"q", "h", "f"}) {
		t.Fatalf("layers %q", got)
	}
	offer := strings.ReplaceAll(capture(t, "chromium-echo.sdp"), "a=sendrecv", "a=recvonly")
	playing := func(x *Session) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, o := range x.outputs {
			if o.kind == webrtc.Video {
				return o.track.RID()
			}
		}
		return "none"
	}
	for rid, want := range map[string]string{"": "f", "q": "q", "h": "h"} {
		x, _, err := s.Play(t.Context(), "sim", offer, rid)
		check(t, err)
		if got := playing(x); got != want {
			t.Errorf("rid %q plays %q", rid, got)
		}
		check(t, x.Choose("h"))
		if got := playing(x); got != "h" {
			t.Errorf("after a change %q plays", got)
		}
		if err := x.Choose("z"); !errors.Is(err, ErrNoLayer) {
			t.Errorf("error %v", err)
		}
	}
	if _, _, err := s.Play(t.Context(), "sim", offer, "z"); !errors.Is(err, ErrNoLayer) || !strings.Contains(err.Error(), `"q" "h" "f"`) {
		t.Errorf("error %v", err)
	}
}

func TestLargestLayerThatArrivesIsPicked(t *testing.T) {
	s := newServer(t, Config{})
	_, _, err := s.Publish(t.Context(), "sim", capture(t, "chromium-simulcast.sdp"))
	check(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams["sim"]
	src := ordinal(st.sources, webrtc.Video, 0)
	st.layers = map[*webrtc.MediaStreamTrack]*activity{}
	for _, l := range src.layers {
		st.layers[l] = &activity{}
	}
	counts := make([]uint64, 3)
	current := src.best()
	for i, c := range []struct {
		moves string // the layers that bring packets in this turn
		want  string
	}{
		{"", "f"}, {"q", "q"}, {"qh", "h"}, {"qhf", "f"}, {"qh", "f"}, {"qh", "f"}, {"qh", "h"},
		{"qf", "f"}, {"", "f"}, {"", "f"}, {"", "f"}, {"", "f"}, {"h", "h"},
	} {
		for j, l := range src.layers {
			if strings.Contains(c.moves, l.RID()) {
				counts[j]++
			}
			st.layers[l].look(counts[j])
		}
		if current = st.pick(src, "", current); current.RID() != c.want {
			t.Errorf("turn %d: %q arrive, %q is picked, not %q", i, c.moves, current.RID(), c.want)
		}
		if got := st.pick(src, "q", current); got.RID() != "q" {
			t.Errorf("turn %d: q was asked for, %q is picked", i, got.RID())
		}
	}
}

func TestPublisherAddsAndStopsTracks(t *testing.T) {
	s := newServer(t, Config{})
	x, pub := publish(t, s, "lobby", opus, vp8)
	viewer, pc, tracks := view(t, s, "lobby", webrtc.Video)
	first := await(t, "track", tracks)
	packets(t, first.Track, 10)

	// A second camera, which the viewer gets by offering again.
	pump(t, pub, vp8)
	answer, err := x.Reoffer(t.Context(), offer(t, pub, nil))
	check(t, err)
	accept(t, pub, answer)
	if n := len(s.Streams()[0].Tracks); n != 3 {
		t.Fatalf("%d tracks", n)
	}
	_, err = pc.AddTransceiver(webrtc.Video, webrtc.RecvOnly)
	check(t, err)
	answer, err = viewer.Reoffer(t.Context(), offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	packets(t, await(t, "second track", tracks).Track, 10)
	packets(t, first.Track, 300) // some of which were waiting

	// The second one stops.
	check(t, pub.Transceivers()[2].Stop())
	answer, err = x.Reoffer(t.Context(), offer(t, pub, nil))
	check(t, err)
	accept(t, pub, answer)
	if n := len(s.Streams()[0].Tracks); n != 2 {
		t.Errorf("%d tracks", n)
	}
	packets(t, first.Track, 300)
}

func TestFailedReofferLeavesTheSession(t *testing.T) {
	s := newServer(t, Config{})
	x, pub := publish(t, s, "lobby", vp8)
	viewer, pc, tracks := view(t, s, "lobby", webrtc.Video)
	e := await(t, "track", tracks)
	for what, bad := range map[string]string{
		"nonsense":            "v=0\r\nnonsense",
		"another certificate": capture(t, "chromium-echo.sdp"),
		"no sections":         "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
	} {
		if _, err := x.Reoffer(t.Context(), bad); err == nil {
			t.Errorf("%s was taken by the publisher's session", what)
		}
		if _, err := viewer.Reoffer(t.Context(), bad); err == nil {
			t.Errorf("%s was taken by the viewer's session", what)
		}
	}
	// A viewer who wants a track that it cannot decode, in a section more.
	pump(t, pub, vp8)
	answer, err := x.Reoffer(t.Context(), offer(t, pub, nil))
	check(t, err)
	accept(t, pub, answer)
	tr, err := pc.AddTransceiver(webrtc.Video, webrtc.RecvOnly)
	check(t, err)
	check(t, tr.SetCodecPreferences([]webrtc.Codec{h264}))
	if _, err := viewer.Reoffer(t.Context(), offer(t, pc, nil)); !errors.Is(err, webrtc.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
	check(t, tr.SetCodecPreferences(nil))
	answer, err = viewer.Reoffer(t.Context(), offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	packets(t, await(t, "second track", tracks).Track, 10)
	packets(t, e.Track, 300)
}

func TestRestartKeepsMediaFlowing(t *testing.T) {
	s := newServer(t, Config{})
	x, pub := publish(t, s, "lobby", vp8)
	_, _, tracks := view(t, s, "lobby", webrtc.Video)
	e := await(t, "track", tracks)
	packets(t, e.Track, 10)
	for i := range 3 {
		before := x.Generation()
		text := offer(t, pub, &webrtc.OfferOptions{ICERestart: true})
		d, err := sdp.Parse(text)
		check(t, err)
		m := &d.Media[0]
		var candidates []webrtc.ICECandidate
		for _, c := range m.Candidates {
			candidates = append(candidates, webrtc.ICECandidate{Candidate: "candidate:" + c, SDPMid: m.MID})
		}
		local, err := x.Restart(t.Context(), m.ICEUfrag, m.ICEPwd, candidates)
		check(t, err)
		accept(t, pub, local)
		if x.Generation() != before+1 || x.RemoteUfrag() != m.ICEUfrag {
			t.Fatalf("restart %d: generation %d after %d, ufrag %q", i, x.Generation(), before, x.RemoteUfrag())
		}
		packets(t, e.Track, 400)
	}
	if err := x.AddCandidates("another", nil); !errors.Is(err, ErrStale) {
		t.Errorf("candidates of another generation: %v", err)
	}
	if err := x.AddCandidates("", []webrtc.ICECandidate{{Candidate: "candidate:broken"}}); !errors.Is(err, webrtc.ErrSyntax) {
		t.Errorf("a broken candidate: %v", err)
	}
}

func TestSessionsThatEndedAnswerNothing(t *testing.T) {
	s := newServer(t, Config{})
	x, pub := publish(t, s, "lobby", vp8)
	text := offer(t, pub, nil)
	check(t, x.Close())
	check(t, x.Close())
	if _, err := x.Reoffer(t.Context(), text); !errors.Is(err, ErrEnded) {
		t.Errorf("Reoffer: %v", err)
	}
	if _, err := x.Restart(t.Context(), "ufrag", "0123456789012345678901", nil); !errors.Is(err, ErrEnded) {
		t.Errorf("Restart: %v", err)
	}
	if err := x.AddCandidates("", nil); !errors.Is(err, ErrEnded) {
		t.Errorf("AddCandidates: %v", err)
	}
	if _, ok := s.Session(x.ID()); ok {
		t.Error("the session can be found")
	}
}

func TestPartedSessionsAreRememberedOnce(t *testing.T) {
	s := newServer(t, Config{})
	x, pub := publish(t, s, "lobby", vp8)
	y, _ := publish(t, s, "other", vp8)
	check(t, pub.Close())
	await(t, "end", x.Done())
	check(t, y.Close())
	if !s.Parted(x.ID()) || s.Parted(x.ID()) || s.Parted(y.ID()) || s.Parted("") {
		t.Error("only a session that its peer ended is remembered, once")
	}
}
