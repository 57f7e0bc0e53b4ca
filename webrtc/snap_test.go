package webrtc

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/sdp"
)

// snapInit is what a description says of the association.
func snapInit(t *testing.T, pc *PeerConnection) string {
	t.Helper()
	for _, m := range localSDP(t, pc).Media {
		if m.SCTPPort != 0 {
			return m.SCTPInit
		}
	}
	t.Fatal("no data section")
	return ""
}

// handshakePackets is how many packets of SCTP have come: those of a handshake and
// whatever came since.
func handshakePackets(t *testing.T, pc *PeerConnection) uint64 {
	t.Helper()
	return only[*SCTPTransportStats](t, must(pc.GetStats())(t)).PacketsReceived
}

func TestAssociationBeginsInDescriptions(t *testing.T) {
	received := map[bool]uint64{}
	for _, x := range []struct{ offerer, answerer, inOffer, inAnswer bool }{
		{true, true, true, true}, {true, false, true, false}, {false, true, false, false}, {false, false, false, false},
	} {
		a := newPC(t, Config{Engine: newEngine(t, 1), SNAP: x.offerer})
		b := newPC(t, Config{Engine: newEngine(t, 2), SNAP: x.answerer})
		dc, _ := link(t, a, b, "first", nil)
		if in := snapInit(t, a); (in != "") != x.inOffer {
			t.Errorf("%+v: offer says %q", x, in)
		}
		if in := snapInit(t, b); (in != "") != x.inAnswer {
			t.Errorf("%+v: answer says %q", x, in)
		}
		// The answerer has received: INIT and COOKIE ECHO, or neither, then the same.
		n := handshakePackets(t, b)
		if both := x.inOffer && x.inAnswer; both {
			received[true] = n
		} else {
			received[false] = max(received[false], n)
		}
		echo(t, b, dc)

		// What was said is said again, and changes nothing.
		before := snapInit(t, a)
		negotiate(t, a, b, nil)
		if again := snapInit(t, a); again != before {
			t.Errorf("%+v: %q became %q", x, before, again)
		}
		echo(t, b, dc)
	}
	if received[true] >= received[false] {
		t.Errorf("%d packets with the association announced, %d without", received[true], received[false])
	}
}

// One whose a=sctp-init cannot be used is spoken to in the ordinary way.
func TestUselessAnnouncementIsIgnored(t *testing.T) {
	initLine := regexp.MustCompile(`a=sctp-init:[^\r]*`)
	for _, value := range []string{"!", "AAAA", strings.Repeat("A", 5000)} {
		for _, spoilt := range []SDPType{SDPOffer, SDPAnswer} {
			spoil := func(d SessionDescription) SessionDescription {
				if d.Type == spoilt {
					d.SDP = initLine.ReplaceAllString(d.SDP, "a=sctp-init:"+value)
					if s := must(sdp.Parse(d.SDP))(t); s.Media[0].SCTPInit != value {
						t.Fatalf("the %v says %q", d.Type, s.Media[0].SCTPInit)
					}
				}
				return d
			}
			a := newPC(t, Config{Engine: newEngine(t, 1), SNAP: true})
			b := newPC(t, Config{Engine: newEngine(t, 2), SNAP: true})
			incoming := make(chan *DataChannel, 1)
			b.OnDataChannel(func(dc *DataChannel) { incoming <- dc })
			dc := must(a.CreateDataChannel("x", nil))(t)
			open := opened(dc)
			if err := a.SetLocalDescription(must(a.CreateOffer(nil))(t)); err != nil {
				t.Fatal(err)
			}
			<-a.GatheringComplete()
			if err := b.SetRemoteDescription(spoil(a.LocalDescription())); err != nil {
				t.Fatal(err)
			}
			if err := b.SetLocalDescription(must(b.CreateAnswer())(t)); err != nil {
				t.Fatal(err)
			}
			<-b.GatheringComplete()
			if got := snapInit(t, b) != ""; got != (spoilt == SDPAnswer) {
				t.Fatalf("spoilt %v: the answer announces %v", spoilt, got)
			}
			if err := a.SetRemoteDescription(spoil(b.LocalDescription())); err != nil {
				t.Fatal(err)
			}
			await(t, "open", open)
			await(t, "incoming channel", incoming)
			echo(t, b, dc)
		}
	}
}
