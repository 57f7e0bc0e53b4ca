package webrtc

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/sdp"
)

// inState returns a connection in a signaling state, an offer and an answer
// that its peer could send now, and the peer.
func inState(t testing.TB, s SignalingState) (pc *PeerConnection, offer, answer SessionDescription) {
	t.Helper()
	e := newEngine(t, 1)
	pc, peer := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: e})
	must(pc.AddTransceiver(Audio, ""))(t)
	must(peer.AddTransceiver(Audio, ""))(t)
	offer = must(peer.CreateOffer(nil))(t)
	answerer := newPC(t, Config{Engine: e})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(answerer.SetRemoteDescription(must(pc.CreateOffer(nil))(t)))
	answer = must(answerer.CreateAnswer())(t)
	pranswer := SessionDescription{SDPPranswer, answer.SDP}
	switch s {
	case SignalingHaveLocalOffer, SignalingHaveRemotePranswer:
		ok(pc.SetLocalDescription(SessionDescription{}))
		if s == SignalingHaveRemotePranswer {
			ok(pc.SetRemoteDescription(pranswer))
		}
	case SignalingHaveRemoteOffer, SignalingHaveLocalPranswer:
		ok(pc.SetRemoteDescription(offer))
		if s == SignalingHaveLocalPranswer {
			ok(pc.SetLocalDescription(SessionDescription{SDPPranswer, must(pc.CreateAnswer())(t).SDP}))
		}
	case SignalingClosed:
		ok(pc.Close())
	}
	if got := pc.SignalingState(); got != s {
		t.Fatalf("%v, not %v", got, s)
	}
	return pc, offer, answer
}

func TestOperationsInEachSignalingState(t *testing.T) {
	const no = SignalingState(0xff) // fails, and changes nothing
	type env struct {
		pc            *PeerConnection
		offer, answer SessionDescription
	}
	local := func(typ SDPType) func(env) error {
		return func(e env) error { return e.pc.SetLocalDescription(SessionDescription{Type: typ}) }
	}
	states := []SignalingState{
		SignalingStable, SignalingHaveLocalOffer, SignalingHaveRemoteOffer, SignalingHaveLocalPranswer, SignalingHaveRemotePranswer, SignalingClosed,
	}
	const (
		stable, lo, ro, lp, rp = SignalingStable, SignalingHaveLocalOffer, SignalingHaveRemoteOffer, SignalingHaveLocalPranswer, SignalingHaveRemotePranswer
	)
	for _, op := range []struct {
		name string
		do   func(env) error
		want [6]SignalingState
	}{
		{"CreateOffer", func(e env) error { _, err := e.pc.CreateOffer(nil); return err }, [6]SignalingState{stable, lo, no, no, no, no}},
		{"CreateAnswer", func(e env) error { _, err := e.pc.CreateAnswer(); return err }, [6]SignalingState{no, no, ro, lp, no, no}},
		{"SetLocalDescription()", local(0), [6]SignalingState{lo, lo, stable, stable, no, no}},
		{"SetLocalDescription(offer)", local(SDPOffer), [6]SignalingState{lo, lo, no, no, no, no}},
		{"SetLocalDescription(pranswer)", local(SDPPranswer), [6]SignalingState{no, no, lp, lp, no, no}},
		{"SetLocalDescription(answer)", local(SDPAnswer), [6]SignalingState{no, no, stable, stable, no, no}},
		{"SetLocalDescription(rollback)", local(SDPRollback), [6]SignalingState{no, stable, stable, no, no, no}},
		{"SetRemoteDescription(offer)", func(e env) error { return e.pc.SetRemoteDescription(e.offer) }, [6]SignalingState{ro, ro, ro, no, no, no}},
		{"SetRemoteDescription(pranswer)", func(e env) error {
			return e.pc.SetRemoteDescription(SessionDescription{SDPPranswer, e.answer.SDP})
		}, [6]SignalingState{no, rp, no, no, rp, no}},
		{"SetRemoteDescription(answer)", func(e env) error { return e.pc.SetRemoteDescription(e.answer) }, [6]SignalingState{no, stable, no, no, stable, no}},
		{"SetRemoteDescription(rollback)", func(e env) error {
			return e.pc.SetRemoteDescription(SessionDescription{Type: SDPRollback})
		}, [6]SignalingState{no, stable, stable, no, no, no}},
	} {
		for i, s := range states {
			t.Run(fmt.Sprintf("%s in %v", op.name, s), func(t *testing.T) {
				var e env
				e.pc, e.offer, e.answer = inState(t, s)
				err := op.do(e)
				want := op.want[i]
				if want == no {
					if !errors.Is(err, ErrInvalidState) {
						t.Errorf("error %v", err)
					}
					want = s
				} else if err != nil {
					t.Error(err)
				}
				if got := e.pc.SignalingState(); got != want {
					t.Errorf("then %v, not %v", got, want)
				}
			})
		}
	}
}

func TestDescriptionsOfNoType(t *testing.T) {
	pc := newPC(t, Config{Engine: newEngine(t, 1)})
	for _, typ := range []SDPType{5, 77, 255} {
		if err := pc.SetLocalDescription(SessionDescription{Type: typ}); !errors.Is(err, ErrType) {
			t.Errorf("local %d: %v", typ, err)
		}
		if err := pc.SetRemoteDescription(SessionDescription{Type: typ}); !errors.Is(err, ErrType) {
			t.Errorf("remote %d: %v", typ, err)
		}
	}
	if err := pc.SetRemoteDescription(SessionDescription{}); !errors.Is(err, ErrType) {
		t.Error(err)
	}
}

func TestGlareIsResolvedByRollingOurOfferBack(t *testing.T) {
	a, b := couple(t)
	tracks := make(chan TrackEvent, 1)
	a.OnTrack(func(e TrackEvent) {
		if e.Track.Kind() == Video {
			tracks <- e
		}
	})
	ours := vp8Track(t)
	must(a.AddTrack(ours))(t)
	sound := must(b.AddTransceiver(Audio, SendRecv))(t)
	theirs := vp8Track(t)
	must(b.AddTrack(theirs))(t)
	for _, pc := range []*PeerConnection{a, b} {
		if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
	}
	// b's offer begins with audio, a's with video: the places must not stick.
	if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if s := a.SignalingState(); s != SignalingHaveRemoteOffer {
		t.Fatal(s)
	}
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if len(a.Transceivers()) != 2 || sound.CurrentDirection() != SendOnly {
		t.Errorf("%d transceivers, %s", len(a.Transceivers()), sound.CurrentDirection())
	}
	got := await(t, "track", tracks).Track
	var seq uint32
	receive(t, theirs, got, &seq, 3)
	var back *MediaStreamTrack
	for _, tr := range b.Transceivers() {
		if tr.Kind() == Video {
			back = tr.Receiver().Track()
		}
	}
	if back == nil {
		t.Fatal("our track was forgotten")
	}
	receive(t, ours, back, &seq, 3)
}

func TestOfferThatWasOnlyCreatedGivesWayToTheirs(t *testing.T) {
	a, b := couple(t)
	must(a.AddTrack(vp8Track(t)))(t)
	must(a.CreateDataChannel("d", nil))(t)
	offer := must(a.CreateOffer(nil))(t)
	must(b.AddTransceiver(Audio, ""))(t)
	negotiate(t, b, a, nil)
	await(t, "connection", connected(a))
	if m := localSDP(t, a).Media; len(m) != 1 || m[0].Kind != "audio" {
		t.Fatalf("%+v", m)
	}
	// And what it was about comes with the next.
	negotiate(t, a, b, nil)
	if m := localSDP(t, a).Media; len(m) != 3 || m[1].Kind != "video" || m[2].Kind != "application" {
		t.Fatalf("%+v", m)
	}
	_ = offer
}

func TestRollbackForgetsWhatTheOfferBrought(t *testing.T) {
	a, b := couple(t)
	dc := must(b.CreateDataChannel("d", nil))(t)
	open := make(chan struct{}, 1)
	dc.OnOpen(func() { open <- struct{}{} })
	negotiate(t, b, a, nil)
	await(t, "channel", open)
	must(b.AddTransceiver(Video, ""))(t)
	must(b.AddTransceiver(Audio, ""))(t)
	for range 3 {
		if err := b.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
			t.Fatal(err)
		}
		if n := len(a.Transceivers()); n != 2 {
			t.Fatalf("%d transceivers", n)
		}
		if d := a.PendingRemoteDescription(); d.Type != SDPOffer {
			t.Fatal(d.Type)
		}
		if err := errors.Join(a.SetRemoteDescription(SessionDescription{Type: SDPRollback}), b.SetLocalDescription(SessionDescription{Type: SDPRollback})); err != nil {
			t.Fatal(err)
		}
		if n := len(a.Transceivers()); n != 0 {
			t.Fatalf("%d transceivers after the rollback", n)
		}
		if n := len(b.Transceivers()); n != 2 {
			t.Fatalf("%d transceivers of the application's own after the rollback", n)
		}
		if d := a.PendingRemoteDescription(); d.Type != 0 {
			t.Fatal(d.Type)
		}
	}
	echo(t, a, dc)
	negotiate(t, b, a, nil)
	if n := len(localSDP(t, a).Media); n != 3 {
		t.Errorf("%d sections", n)
	}
	echo(t, a, dc)
}

func TestRollbackOfARestartKeepsTheCredentialsInForce(t *testing.T) {
	for _, by := range []string{"offerer", "answerer", "glare"} {
		t.Run(by, func(t *testing.T) {
			a, b := couple(t)
			dc := must(a.CreateDataChannel("d", nil))(t)
			open := make(chan struct{}, 1)
			dc.OnOpen(func() { open <- struct{}{} })
			negotiate(t, a, b, nil)
			await(t, "channel", open)
			before := [2]string{localSDP(t, a).Media[0].ICEUfrag, localSDP(t, b).Media[0].ICEUfrag}
			if err := a.SetLocalDescription(must(a.CreateOffer(&OfferOptions{ICERestart: true}))(t)); err != nil {
				t.Fatal(err)
			}
			if localSDP(t, a).Media[0].ICEUfrag == before[0] {
				t.Fatal("no restart was offered")
			}
			switch by {
			case "answerer":
				if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
					t.Fatal(err)
				}
				if err := b.SetRemoteDescription(SessionDescription{Type: SDPRollback}); err != nil {
					t.Fatal(err)
				}
				fallthrough
			case "offerer":
				if err := a.SetLocalDescription(SessionDescription{Type: SDPRollback}); err != nil {
					t.Fatal(err)
				}
			}
			// In the glare, b's offer rolls a's restart back.
			must(b.AddTransceiver(Audio, ""))(t)
			negotiate(t, b, a, nil)
			if after := [2]string{localSDP(t, a).Media[0].ICEUfrag, localSDP(t, b).Media[0].ICEUfrag}; after != before {
				t.Errorf("ufrags %v, before %v", after, before)
			}
			echo(t, b, dc)
			// A restart still works.
			negotiate(t, a, b, &OfferOptions{ICERestart: true})
			echo(t, b, dc)
		})
	}
}

func TestPranswerConnectsBeforeTheAnswer(t *testing.T) {
	a, b := couple(t)
	cam := vp8Track(t)
	must(a.AddTrack(cam))(t)
	tracks := make(chan TrackEvent, 1)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLocalDescription(SessionDescription{Type: SDPPranswer}); err != nil {
		t.Fatal(err)
	}
	pranswer := b.LocalDescription()
	if pranswer.Type != SDPPranswer {
		t.Fatal(pranswer.Type)
	}
	if err := a.SetRemoteDescription(pranswer); err != nil {
		t.Fatal(err)
	}
	await(t, "connection", connected(a))
	var seq uint32
	track := await(t, "track", tracks).Track
	receive(t, cam, track, &seq, 3)
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if a.SignalingState() != SignalingStable || b.SignalingState() != SignalingStable {
		t.Fatal(a.SignalingState(), b.SignalingState())
	}
	receive(t, cam, track, &seq, 3)
	if a.CurrentRemoteDescription().Type != SDPAnswer || a.PendingRemoteDescription().Type != 0 {
		t.Error("the pranswer is still there")
	}
}

// settled waits until every event that was queued has been handled.
func settled(t testing.TB, pc *PeerConnection) {
	t.Helper()
	done := make(chan struct{})
	pc.events.push(func() { close(done) })
	await(t, "end of the events", done)
}

func TestNegotiationNeededFiresOnceAndAgainForWhatCameMeanwhile(t *testing.T) {
	a, b := couple(t)
	n := 0 // touched by handlers only, and after settled
	a.OnNegotiationNeeded(func() { n++ })
	check := func(want int, what string) {
		t.Helper()
		settled(t, a)
		if n != want {
			t.Fatalf("%d events after %s, not %d", n, what, want)
		}
	}
	check(0, "nothing")
	must(a.AddTransceiver(Video, ""))(t)
	must(a.AddTransceiver(Audio, ""))(t)
	must(a.CreateDataChannel("x", nil))(t)
	must(a.CreateDataChannel("y", nil))(t)
	check(1, "two transceivers and two channels")
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	must(a.AddTransceiver(Video, ""))(t)
	check(1, "a transceiver during negotiation")
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	check(2, "the return to stable")
	negotiate(t, a, b, nil)
	check(2, "negotiation of everything")
	must(a.CreateDataChannel("z", nil))(t)
	check(2, "one channel more")
	tr := a.Transceivers()[0]
	if err := tr.SetDirection(Inactive); err != nil {
		t.Fatal(err)
	}
	check(3, "a change of direction")
	if err := tr.SetDirection(SendRecv); err != nil {
		t.Fatal(err)
	}
	check(3, "its taking back")
	if err := tr.Stop(); err != nil {
		t.Fatal(err)
	}
	check(4, "stop")
	negotiate(t, a, b, nil)
	check(4, "negotiation of the stop")
	must(a.AddTransceiver(Audio, ""))(t)
	check(5, "another transceiver")
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetLocalDescription(SessionDescription{Type: SDPRollback}); err != nil {
		t.Fatal(err)
	}
	check(6, "a rollback")
}

func TestRejectedDataSectionIsNotAskedForAgainAndAgain(t *testing.T) {
	a := newPC(t, Config{Engine: newEngine(t, 1)})
	n := 0
	a.OnNegotiationNeeded(func() { n++ })
	must(a.AddTransceiver(Audio, ""))(t)
	dc := must(a.CreateDataChannel("x", nil))(t)
	failed := make(chan error, 1)
	dc.OnError(func(err error) { failed <- err })
	settled(t, a)
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	b := newPC(t, Config{Engine: newEngine(t, 1)})
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	answer := must(b.CreateAnswer())(t)
	answer.SDP = strings.Replace(answer.SDP, "m=application 9", "m=application 0", 1)
	if err := a.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "error", failed); !errors.Is(err, ErrOperation) {
		t.Error(err)
	}
	settled(t, a)
	if n != 1 || dc.ReadyState() != DataChannelClosed {
		t.Errorf("%d events, channel %v", n, dc.ReadyState())
	}
	// A later channel asks for the same section.
	must(a.CreateDataChannel("y", nil))(t)
	settled(t, a)
	offer := must(sdp.Parse(must(a.CreateOffer(nil))(t).SDP))(t)
	if n != 2 || len(offer.Media) != 2 || offer.Media[1].Rejected() {
		t.Errorf("%d events, %d sections", n, len(offer.Media))
	}
}

func TestDescriptionsThatCannotBeTakenLeaveTheConnectionUsable(t *testing.T) {
	good := captures(t)["chromium-echo"]
	replace := func(old, new string) string {
		if !regexp.MustCompile(old).MatchString(good) {
			t.Fatalf("%q is not in the offer", old)
		}
		return regexp.MustCompile(old).ReplaceAllString(good, new)
	}
	for _, c := range []struct {
		name, sdp string
		want      error
	}{
		{"empty", "", ErrSyntax},
		{"not SDP", "<html>", ErrSyntax},
		{"cut in a line", good[:400] + "\r\nm=", ErrSyntax},
		{"NUL", "v=0\x00", ErrSyntax},
		{"port out of range", replace(`m=audio \d+`, "m=audio 99999"), ErrSyntax},
		{"payload type out of range", replace("SAVPF 111", "SAVPF 300"), ErrSyntax},
		{"oversized", good + strings.Repeat("a=x:y\r\n", 60000), ErrSyntax},
		{"a line without end", good + "a=" + strings.Repeat("x", 10000), ErrSyntax},
		{"too many sections", good + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", 300), ErrSyntax},
		{"two sections of one name", replace("a=mid:1", "a=mid:0"), ErrSyntax},
		{"no fingerprint", replace("(?m)^a=fingerprint.*\n", ""), ErrUnsupported},
		{"weak fingerprint", replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-1 "), ErrUnsupported},
		{"fingerprint cut short", replace("(a=fingerprint:sha-256 ..:..).*", "$1"), ErrUnsupported},
		{"no credentials", replace("(?m)^a=ice-(ufrag|pwd).*\n", ""), ErrUnsupported},
		{"no rtcp-mux", replace("(?m)^a=(rtcp-mux|group).*\n", ""), ErrUnsupported},
		{"holdconn", replace("setup:actpass", "setup:holdconn"), ErrUnsupported},
		{"password too short", replace("a=ice-pwd:.*", "a=ice-pwd:short"), ErrSyntax},
		{"ufrag of other characters", replace("a=ice-ufrag:.*", "a=ice-ufrag:a b<>"), ErrSyntax},
		{"candidate garbage", replace("a=candidate:.*", "a=candidate:what is this"), ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := couple(t)
			if err := a.SetRemoteDescription(SessionDescription{SDPOffer, c.sdp}); !errors.Is(err, c.want) {
				t.Errorf("offer: %v", err)
			}
			if s := a.SignalingState(); s != SignalingStable {
				t.Fatalf("then %v", s)
			}
			if n := len(a.Transceivers()); n != 0 {
				t.Errorf("%d transceivers", n)
			}
			dc := must(a.CreateDataChannel("d", nil))(t)
			open := make(chan struct{}, 1)
			dc.OnOpen(func() { open <- struct{}{} })
			// As an answer, too.
			if err := a.SetLocalDescription(SessionDescription{}); err != nil {
				t.Fatal(err)
			}
			if err := a.SetRemoteDescription(SessionDescription{SDPAnswer, c.sdp}); !errors.Is(err, c.want) && !errors.Is(err, ErrInvalidAccess) {
				t.Errorf("answer: %v", err)
			}
			if s := a.SignalingState(); s != SignalingHaveLocalOffer {
				t.Fatalf("then %v", s)
			}
			if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
				t.Fatal(err)
			}
			if err := b.SetLocalDescription(SessionDescription{}); err != nil {
				t.Fatal(err)
			}
			if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
				t.Fatal(err)
			}
			await(t, "channel", open)
		})
	}
}

func TestReofferThatContradictsTheSessionIsRefused(t *testing.T) {
	a, b := couple(t)
	must(a.AddTransceiver(Audio, ""))(t)
	must(a.CreateDataChannel("d", nil))(t)
	negotiate(t, a, b, nil)
	offer := must(a.CreateOffer(nil))(t).SDP
	parts := strings.Split(offer, "m=application")
	for name, text := range map[string]string{
		"fewer sections": parts[0],
		"another kind":   strings.Replace(offer, "m=audio", "m=video", 1),
		"swapped":        strings.NewReplacer("m=audio 9 UDP/TLS/RTP/SAVPF", "m=application 9 UDP/DTLS/SCTP").Replace(offer),
	} {
		if err := b.SetRemoteDescription(SessionDescription{SDPOffer, text}); !errors.Is(err, ErrInvalidAccess) {
			t.Errorf("%s: %v", name, err)
		}
		if s := b.SignalingState(); s != SignalingStable {
			t.Fatalf("%s: then %v", name, s)
		}
	}
	if err := a.SetLocalDescription(SessionDescription{SDPOffer, offer}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	answer := must(b.CreateAnswer())(t).SDP
	for name, text := range map[string]string{
		"fewer sections": strings.Split(answer, "m=application")[0],
		"more":           answer + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n",
	} {
		if err := a.SetRemoteDescription(SessionDescription{SDPAnswer, text}); !errors.Is(err, ErrInvalidAccess) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.SetRemoteDescription(SessionDescription{SDPAnswer, answer}); err != nil {
		t.Error(err)
	}
}
