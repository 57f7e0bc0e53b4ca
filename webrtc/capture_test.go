package webrtc

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/sdp"
)

// captures are the offers recorded from other implementations, by name.
func captures(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../testdata/captures/*.sdp")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	offers := map[string]string{}
	for _, f := range files {
		offers[strings.TrimSuffix(filepath.Base(f), ".sdp")] = string(must(os.ReadFile(f))(t))
	}
	return offers
}

// answer has a new connection answer an offer.
func answer(t testing.TB, cfg Config, offer string) (*PeerConnection, *sdp.Session) {
	t.Helper()
	pc := newPC(t, cfg)
	if err := pc.SetRemoteDescription(SessionDescription{SDPOffer, offer}); err != nil {
		t.Fatal(err)
	}
	d := must(pc.CreateAnswer())(t)
	if d.Type != SDPAnswer {
		t.Fatal(d.Type)
	}
	if err := pc.SetLocalDescription(d); err != nil {
		t.Fatal(err)
	}
	<-pc.GatheringComplete()
	if s := pc.SignalingState(); s != SignalingStable {
		t.Fatal(s)
	}
	return pc, must(sdp.Parse(pc.LocalDescription().SDP))(t)
}

// rejected lists the sections that an answer is expected to reject.
func checkAnswer(t *testing.T, cfg Config, offer, got *sdp.Session, rejected ...int) {
	t.Helper()
	if len(got.Media) != len(offer.Media) {
		t.Fatalf("%d sections for %d", len(got.Media), len(offer.Media))
	}
	bundle := offer.Bundle()
	for _, mid := range got.Bundle() {
		if !slices.Contains(bundle, mid) {
			t.Errorf("%s is bundled, and was not offered so", mid)
		}
	}
	ufrags := map[string]string{} // ufrag to mid of a section of its own
	withCandidates := map[string]bool{}
	for i := range got.Media {
		o, m := &offer.Media[i], &got.Media[i]
		if m.Kind != o.Kind || m.Proto != o.Proto || m.MID != o.MID {
			t.Errorf("section %d: %s %s %q for %s %s %q", i, m.Kind, m.Proto, m.MID, o.Kind, o.Proto, o.MID)
		}
		if want := slices.Contains(rejected, i); m.Rejected() != want {
			t.Fatalf("section %d (%s): rejected %v", i, m.Kind, m.Rejected())
		} else if want {
			if slices.Contains(got.Bundle(), m.MID) {
				t.Errorf("rejected section %q is in the bundle", m.MID)
			}
			continue
		}
		bundled := slices.Contains(bundle, o.MID)
		if bundled != slices.Contains(got.Bundle(), m.MID) {
			t.Errorf("section %d: bundled %v", i, bundled)
		}
		checkTransportLines(t, cfg, i, o, m)
		if !bundled {
			if other, taken := ufrags[m.ICEUfrag]; taken {
				t.Errorf("sections %s and %s share an ICE ufrag, and are not bundled", other, m.MID)
			}
			ufrags[m.ICEUfrag] = m.MID
		}
		withCandidates[m.ICEUfrag] = withCandidates[m.ICEUfrag] || len(m.Candidates) > 0 && m.EndOfCandidates
		if m.Kind == "application" {
			if m.SCTPPort != 5000 || !m.HasMaxMessageSize || m.MaxMessageSize != maxMessageSize {
				t.Errorf("data section: port %d, %v %d", m.SCTPPort, m.HasMaxMessageSize, m.MaxMessageSize)
			}
			continue
		}
		checkMediaLines(t, i, o, m)
	}
	for ufrag, ok := range withCandidates {
		if !ok {
			t.Errorf("no candidates, or no end of them, for ufrag %s", ufrag)
		}
	}
}

var iceChars = regexp.MustCompile(`^[A-Za-z0-9+/]+$`)

func checkTransportLines(t *testing.T, cfg Config, i int, o, m *sdp.Media) {
	t.Helper()
	// RFC 8839 §5.4: at least 24 and 128 bits of randomness.
	if len(m.ICEUfrag) < 4 || len(m.ICEPwd) < 22 || !iceChars.MatchString(m.ICEUfrag+m.ICEPwd) {
		t.Errorf("section %d: ICE credentials %q %q", i, m.ICEUfrag, m.ICEPwd)
	}
	if m.ICEUfrag == o.ICEUfrag {
		t.Errorf("section %d repeats the offer's ufrag", i)
	}
	if len(m.Fingerprints) != 1 || !strings.HasPrefix(m.Fingerprints[0], "sha-256 ") || len(m.Fingerprints[0]) != 8+95 {
		t.Errorf("section %d: fingerprints %q", i, m.Fingerprints)
	}
	want := sdp.SetupPassive
	switch {
	case o.Setup == sdp.SetupPassive || o.Setup != sdp.SetupActive && cfg.DTLSRole == DTLSClient:
		want = sdp.SetupActive
	}
	if m.Setup != want {
		t.Errorf("section %d: setup %q for %q", i, m.Setup, o.Setup)
	}
}

func checkMediaLines(t *testing.T, i int, o, m *sdp.Media) {
	t.Helper()
	if !m.RTCPMux {
		t.Errorf("section %d without rtcp-mux", i)
	}
	if m.RTCPRsize && !o.RTCPRsize {
		t.Errorf("section %d: rtcp-rsize was not offered", i)
	}
	if len(m.Codecs) == 0 || len(m.Codecs) != len(m.Formats) {
		t.Fatalf("section %d: %d codecs, %d formats", i, len(m.Codecs), len(m.Formats))
	}
	for k := range m.Codecs {
		c := &m.Codecs[k]
		oc := o.Codec(c.PayloadType)
		if oc == nil || !strings.EqualFold(oc.Name, c.Name) || oc.ClockRate != c.ClockRate {
			t.Errorf("section %d: %d %s was not offered", i, c.PayloadType, c.Name)
			continue
		}
		for _, f := range c.Feedback {
			if !oc.HasFeedback(f) {
				t.Errorf("section %d: feedback %d %s was not offered", i, c.PayloadType, f)
			}
		}
		if apt, ok := c.APT(); ok && (m.Codec(apt) == nil || isRTX(m.Codec(apt))) {
			t.Errorf("section %d: rtx %d repairs %d, which is not accepted", i, c.PayloadType, apt)
		}
		if m.Kind == "video" && !isRTX(c) && oc.HasFeedback("nack pli") != c.HasFeedback("nack pli") {
			t.Errorf("section %d: %d loses picture loss indication", i, c.PayloadType)
		}
	}
	offered := map[string]uint16{}
	for _, e := range o.Extmaps {
		offered[e.URI] = e.ID
	}
	for _, e := range m.Extmaps {
		if id, ok := offered[e.URI]; !ok || id != e.ID {
			t.Errorf("section %d: extension %d %s, offered as %d", i, e.ID, e.URI, id)
		}
	}
	// Ours only receives.
	want := sdp.MakeDirection(false, o.Direction.Sends())
	if m.Direction != want {
		t.Errorf("section %d: %s for %s", i, m.Direction, o.Direction)
	}
	checkSimulcast(t, i, o, m)
}

func checkSimulcast(t *testing.T, i int, o, m *sdp.Media) {
	t.Helper()
	if len(o.Simulcast.Send) == 0 {
		if len(m.Simulcast.Recv)+len(m.Simulcast.Send)+len(m.RIDs) > 0 {
			t.Errorf("section %d: simulcast that was not offered", i)
		}
		return
	}
	if len(m.Simulcast.Recv) != len(o.Simulcast.Send) || len(m.Simulcast.Send) != 0 || len(m.RIDs) != len(o.Simulcast.Send) {
		t.Errorf("section %d: simulcast %v %v for %v", i, m.Simulcast, m.RIDs, o.Simulcast)
		return
	}
	for k, rid := range m.RIDs {
		if rid.Direction != "recv" || m.Simulcast.Recv[k][0] != strings.TrimPrefix(o.Simulcast.Send[k][0], "~") || rid.ID != o.RIDs[k].ID {
			t.Errorf("section %d: rid %v for %v", i, rid, o.RIDs[k])
		}
	}
}

func TestEveryCapturedOfferIsAnswered(t *testing.T) {
	e := newEngine(t, 1)
	simulcasts := 0
	for name, text := range captures(t) {
		for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
			t.Run(name+"/"+strconv.Itoa(int(role)), func(t *testing.T) {
				cfg := Config{Engine: e, DTLSRole: role}
				offer := must(sdp.Parse(text))(t)
				pc, got := answer(t, cfg, text)
				checkAnswer(t, cfg, offer, got)
				if n := len(transportsOf(pc)); n != 1 {
					t.Errorf("%d transports for a bundle", n)
				}
				for i := range offer.Media {
					if k := len(offer.Media[i].Simulcast.Send); k > 0 {
						simulcasts++
						if n := len(pc.Transceivers()[i].Receiver().Tracks()); n != k {
							t.Errorf("%d tracks for %d layers", n, k)
						}
					}
				}
			})
		}
	}
	if simulcasts != 4 {
		t.Errorf("%d simulcasts among the captures", simulcasts)
	}
}

func TestCapturedOfferWithoutBundleGetsATransportForEachSection(t *testing.T) {
	e := newEngine(t, 1)
	group := regexp.MustCompile(`(?m)^a=group:BUNDLE.*\r?\n`)
	for name, text := range captures(t) {
		t.Run(name, func(t *testing.T) {
			text := group.ReplaceAllString(text, "")
			text = strings.ReplaceAll(text, "a=bundle-only\r\n", "")
			text = regexp.MustCompile(`(?m)^(m=\w+) 0 `).ReplaceAllString(text, "$1 9 ")
			offer := must(sdp.Parse(text))(t)
			cfg := Config{Engine: e}
			pc, got := answer(t, cfg, text)
			checkAnswer(t, cfg, offer, got)
			if len(got.Groups) != 0 {
				t.Errorf("groups %v", got.Groups)
			}
			if n := len(transportsOf(pc)); n != len(offer.Media) {
				t.Errorf("%d transports for %d sections", n, len(offer.Media))
			}
		})
	}
}

func TestCapturedOfferWithOneRejectedSection(t *testing.T) {
	e := newEngine(t, 1)
	for name, text := range captures(t) {
		offer := must(sdp.Parse(text))(t)
		for i := range offer.Media {
			t.Run(name+"/"+strconv.Itoa(i), func(t *testing.T) {
				parts := strings.Split(text, "\nm=")
				f := strings.Fields(parts[i+1])
				parts[i+1] = strings.Replace(parts[i+1], f[0]+" "+f[1]+" ", f[0]+" 0 ", 1)
				parts[i+1] = strings.ReplaceAll(parts[i+1], "a=bundle-only", "a=x-none")
				mid := offer.Media[i].MID
				text := strings.Join(parts, "\nm=")
				text = regexp.MustCompile(`(?m)^(a=group:BUNDLE.*) `+mid+`( |\r?$)`).ReplaceAllString(text, "$1$2")
				offer := must(sdp.Parse(text))(t)
				if !offer.Media[i].Rejected() {
					t.Fatal("the section is not rejected")
				}
				cfg := Config{Engine: e}
				_, got := answer(t, cfg, text)
				checkAnswer(t, cfg, offer, got, i)
			})
		}
	}
}
