package webrtc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sdp"
)

// bare removes the candidates, and that there are no more, from a description.
func bare(d SessionDescription) SessionDescription {
	d.SDP = regexp.MustCompile(`(?m)^a=(candidate|end-of-candidates).*\n`).ReplaceAllString(d.SDP, "")
	return d
}

// exchange runs offer and answer without candidates.
func exchange(t testing.TB, a, b *PeerConnection) {
	t.Helper()
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(bare(a.LocalDescription())); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetRemoteDescription(bare(b.LocalDescription())); err != nil {
		t.Fatal(err)
	}
}

// candidates collects what a connection trickles, the end excluded.
func candidates(pc *PeerConnection) <-chan ICECandidate {
	c := make(chan ICECandidate, 64)
	pc.OnICECandidate(func(x *ICECandidate) {
		if x != nil {
			c <- *x
		} else {
			close(c)
		}
	})
	return c
}

func TestTrickledCandidatesByMidAndByIndex(t *testing.T) {
	for _, by := range []string{"mid", "index", "neither", "both and no ufrag"} {
		t.Run(by, func(t *testing.T) {
			a, b := couple(t)
			must(a.CreateDataChannel("d", nil))(t)
			ca, cb := candidates(a), candidates(b)
			exchange(t, a, b)
			pass := func(from <-chan ICECandidate, to *PeerConnection) {
				n := 0
				for c := range from {
					n++
					if c.SDPMid != "0" || c.SDPMLineIndex == nil || *c.SDPMLineIndex != 0 || len(c.UsernameFragment) < 4 {
						t.Errorf("%+v", c)
					}
					switch by {
					case "mid":
						c.SDPMLineIndex = nil
					case "index":
						c.SDPMid = ""
					case "neither":
						c.SDPMid, c.SDPMLineIndex = "", nil
					default:
						c.UsernameFragment = ""
					}
					if err := to.AddICECandidate(c); err != nil {
						t.Error(err)
					}
				}
				if n == 0 {
					t.Error("no candidates")
				}
				if err := to.AddICECandidate(ICECandidate{}); err != nil {
					t.Errorf("end of candidates: %v", err)
				}
			}
			pass(ca, b)
			pass(cb, a)
			await(t, "connection", connected(a))
			await(t, "connection", connected(b))
		})
	}
}

func TestCandidatesBeforeTheAnswerAreKept(t *testing.T) {
	a, b := couple(t)
	must(a.CreateDataChannel("d", nil))(t)
	ca := candidates(a)
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	<-a.GatheringComplete()
	var list []ICECandidate
	for c := range ca {
		list = append(list, c)
	}
	for _, c := range list {
		if err := b.AddICECandidate(c); !errors.Is(err, ErrInvalidState) {
			t.Errorf("before the offer: %v", err)
		}
	}
	if err := b.SetRemoteDescription(bare(a.LocalDescription())); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if err := b.AddICECandidate(c); err != nil {
			t.Errorf("before the answer: %v", err)
		}
	}
	for range 1000 {
		if err := b.AddICECandidate(list[0]); errors.Is(err, ErrOperation) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.lateCandidates); n > maxLate {
		t.Errorf("%d candidates are kept", n)
	}
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	// The offerer hears none of b's: b's checks make it known.
	if err := a.SetRemoteDescription(bare(b.LocalDescription())); err != nil {
		t.Fatal(err)
	}
	await(t, "connection", connected(a))
	await(t, "connection", connected(b))
}

func TestOneSideWithoutCandidatesIsPeerReflexive(t *testing.T) {
	for _, silent := range []string{"offerer", "answerer"} {
		t.Run(silent, func(t *testing.T) {
			a, b := couple(t)
			must(a.CreateDataChannel("d", nil))(t)
			ca, cb := candidates(a), candidates(b)
			exchange(t, a, b)
			from, to := ca, b
			if silent == "offerer" {
				from, to = cb, a
			}
			for c := range from {
				if err := to.AddICECandidate(c); err != nil {
					t.Fatal(err)
				}
			}
			await(t, "connection", connected(a))
			await(t, "connection", connected(b))
			learned := b
			if silent == "answerer" {
				learned = a
			}
			reflexive := 0
			for _, s := range must(learned.GetStats())(t) {
				if c, ok := s.(*CandidateStats); ok && c.Type == "remote-candidate" && c.CandidateType == "prflx" {
					reflexive++
				}
			}
			if reflexive != 1 {
				t.Errorf("%d peer-reflexive candidates", reflexive)
			}
		})
	}
}

func TestCandidatesThatAreOfNoUse(t *testing.T) {
	a, b := couple(t)
	must(a.CreateDataChannel("d", nil))(t)
	exchange(t, a, b)
	index := uint16(7)
	for _, c := range []struct {
		name string
		c    ICECandidate
		want error
	}{
		{"mDNS name", ICECandidate{Candidate: "candidate:1 1 udp 2122260223 0c3e1a2b-1111-4222-8333-444455556666.local 50000 typ host"}, nil},
		{"TCP", ICECandidate{Candidate: "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"}, nil},
		{"unknown transport", ICECandidate{Candidate: "candidate:1 1 sctp 2122260223 192.0.2.1 5000 typ host"}, nil},
		{"unknown type", ICECandidate{Candidate: "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ teleport"}, nil},
		{"RTCP component", ICECandidate{Candidate: "candidate:1 2 udp 2122260222 192.0.2.1 5001 typ host"}, nil},
		{"multicast", ICECandidate{Candidate: "candidate:1 1 udp 2122260223 224.0.0.1 5000 typ host"}, nil},
		{"another generation", ICECandidate{Candidate: "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host", UsernameFragment: "gone"}, nil},
		{"garbage", ICECandidate{Candidate: "candidate:"}, ErrSyntax},
		{"port", ICECandidate{Candidate: "candidate:1 1 udp 1 192.0.2.1 66000 typ host"}, ErrSyntax},
		{"long", ICECandidate{Candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host " + strings.Repeat("x y ", 1000)}, ErrSyntax},
		{"control characters", ICECandidate{Candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host a\r\nb c"}, ErrSyntax},
		{"unknown mid", ICECandidate{Candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host", SDPMid: "nope"}, ErrOperation},
		{"index out of range", ICECandidate{Candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host", SDPMLineIndex: &index}, ErrOperation},
	} {
		if err := a.AddICECandidate(c.c); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for from, to := range map[*PeerConnection]*PeerConnection{a: b, b: a} {
		for _, c := range localSDP(t, from).Media[0].Candidates {
			if err := to.AddICECandidate(ICECandidate{Candidate: "candidate:" + c}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A flood of them is bounded, and harms nothing.
	for i := range 300 {
		c := ICECandidate{Candidate: fmt.Sprintf("candidate:1 1 udp 1 192.0.2.%d %d typ host", i%250, 1000+i)}
		if err := a.AddICECandidate(c); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "connection", connected(a))
}

func TestICERestartLosesNothing(t *testing.T) {
	for _, by := range []string{"offerer", "answerer"} {
		t.Run(by, func(t *testing.T) {
			a, b := couple(t)
			dc := must(a.CreateDataChannel("numbers", nil))(t)
			cam := vp8Track(t)
			must(a.AddTrack(cam))(t)
			tracks := make(chan TrackEvent, 1)
			b.OnTrack(func(e TrackEvent) { tracks <- e })
			const total = 2000
			half, all := make(chan struct{}), make(chan struct{})
			next := uint32(0)
			b.OnDataChannel(func(in *DataChannel) {
				in.OnMessage(func(m Message) {
					if got := binary.BigEndian.Uint32(m.Data); got != next {
						t.Errorf("message %d instead of %d", got, next)
					}
					switch next++; next {
					case total / 4:
						close(half)
					case total:
						close(all)
					}
				})
			})
			open := make(chan struct{}, 1)
			dc.OnOpen(func() { open <- struct{}{} })
			negotiate(t, a, b, nil)
			await(t, "channel", open)
			track := await(t, "track", tracks).Track
			var seq uint32
			receive(t, cam, track, &seq, 3)
			await(t, "connection", connected(a))
			for _, pc := range []*PeerConnection{a, b} {
				pc.OnConnectionStateChange(func(s PeerConnectionState) {
					if s == PeerConnectionFailed || s == PeerConnectionDisconnected || s == PeerConnectionClosed {
						t.Errorf("the connection became %v", s)
					}
				})
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range uint32(total) {
					if err := dc.Send(binary.BigEndian.AppendUint32(nil, i)); err != nil {
						t.Error(err)
						return
					}
					if i%20 == 0 {
						tick()
					}
				}
			}()
			await(t, "first messages", half)
			before := [2]string{localSDP(t, a).Media[0].ICEUfrag, localSDP(t, b).Media[0].ICEUfrag}
			if by == "offerer" {
				negotiate(t, a, b, &OfferOptions{ICERestart: true})
			} else {
				negotiate(t, b, a, &OfferOptions{ICERestart: true})
			}
			after := [2]string{localSDP(t, a).Media[0].ICEUfrag, localSDP(t, b).Media[0].ICEUfrag}
			if before[0] == after[0] || before[1] == after[1] {
				t.Errorf("ufrags %v after %v", after, before)
			}
			await(t, "end of the messages", all)
			<-sent
			receive(t, cam, track, &seq, 50)
			// The new generation's pair takes over.
			deadline := time.Now().Add(patience)
			for !usesGeneration(t, a, after[0]) || !usesGeneration(t, b, after[1]) {
				if time.Now().After(deadline) {
					t.Fatal("the old pair stays selected")
				}
				tick()
			}
			receive(t, cam, track, &seq, 50)
			for _, pc := range []*PeerConnection{a, b} {
				settled(t, pc)
				pc.OnConnectionStateChange(func(PeerConnectionState) {})
			}
		})
	}
}

// usesGeneration reports whether a transport has a selected pair and its ICE
// is connected under a ufrag.
func usesGeneration(t testing.TB, pc *PeerConnection, ufrag string) bool {
	t.Helper()
	for _, s := range must(pc.GetStats())(t) {
		if ts, ok := s.(*TransportStats); ok {
			up := ts.ICEState == "connected" || ts.ICEState == "completed"
			return up && ts.ICELocalUfrag == ufrag && ts.SelectedCandidatePairID != ""
		}
	}
	return false
}

func TestRestartOfferedTwiceBeforeTheAnswer(t *testing.T) {
	a, b := couple(t)
	dc := must(a.CreateDataChannel("d", nil))(t)
	open := make(chan struct{}, 1)
	dc.OnOpen(func() { open <- struct{}{} })
	negotiate(t, a, b, nil)
	await(t, "channel", open)
	for range 5 {
		if err := a.SetLocalDescription(must(a.CreateOffer(&OfferOptions{ICERestart: true}))(t)); err != nil {
			t.Fatal(err)
		}
	}
	negotiate(t, a, b, &OfferOptions{ICERestart: true})
	echo(t, b, dc)
	if err := a.do(func(monoTime) error {
		if n := len(a.transports[0].ufrags); n > 2 {
			t.Errorf("%d ufrags are registered", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// An offer whose BUNDLE group has been removed has one transport for each
// section, and each works: here both sides speak from one UDP port, so that
// the second transport of one pair of ports takes the address from the first,
// as ARCHITECTURE.md says. What can be shown is that each section's transport
// has credentials of its own, and that sections connect from different ports.
func TestUnbundledSectionsConnectFromDifferentPorts(t *testing.T) {
	a, b, c := newPC(t, Config{Engine: newEngine(t, 1)}), newPC(t, Config{Engine: newEngine(t, 1)}), newPC(t, Config{Engine: newEngine(t, 1)})
	// a offers video, b offers audio; the answerer sees them as the two
	// sections, not bundled, of one offer.
	cam := vp8Track(t)
	must(a.AddTrack(cam))(t)
	sound := must(NewTrack(Codec{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}, "", ""))(t)
	must(b.AddTrack(sound))(t)
	tracks := make(chan TrackEvent, 2)
	c.OnTrack(func(e TrackEvent) { tracks <- e })
	var parts []*sdp.Session
	for _, pc := range []*PeerConnection{a, b} {
		if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		<-pc.GatheringComplete()
		parts = append(parts, localSDP(t, pc))
	}
	offer := *parts[0]
	offer.Groups = nil
	offer.Media = append(offer.Media, parts[1].Media[0])
	offer.Media[1].MID = "1"
	if err := c.SetRemoteDescription(SessionDescription{SDPOffer, offer.String()}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	<-c.GatheringComplete()
	answer := localSDP(t, c)
	if answer.Media[0].ICEUfrag == answer.Media[1].ICEUfrag || len(answer.Groups) != 0 {
		t.Fatal("the sections share a transport")
	}
	for i, pc := range []*PeerConnection{a, b} {
		half := *answer
		half.Media = answer.Media[i : i+1]
		if err := pc.SetRemoteDescription(SessionDescription{SDPAnswer, half.String()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pc := range []*PeerConnection{a, b, c} {
		await(t, "connection", connected(pc))
	}
	for range 2 {
		ev := await(t, "track", tracks)
		var seq uint32
		if ev.Track.Kind() == Video {
			receive(t, cam, ev.Track, &seq, 5)
		} else {
			receive(t, sound, ev.Track, &seq, 5)
		}
	}
	transports := 0
	for _, s := range must(c.GetStats())(t) {
		if ts, ok := s.(*TransportStats); ok {
			transports++
			if ts.DTLSState != "connected" || ts.PacketsReceived == 0 {
				t.Errorf("%+v", ts)
			}
		}
	}
	if transports != 2 {
		t.Errorf("%d transports", transports)
	}
}
