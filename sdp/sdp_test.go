package sdp

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func captures(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../testdata/captures/*.sdp")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captured offers: %v", err)
	}
	all := map[string]string{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(p), ".sdp")] = string(b)
	}
	return all
}

func mustParse(t testing.TB, text string) *Session {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What each captured peer offers, in the terms a negotiation needs.
func TestCapturedOffersAreUnderstood(t *testing.T) {
	want := map[string][]string{ // kinds of the sections
		"aiortc":             {"audio", "video", "application"},
		"chromium-echo":      {"audio", "video", "application"},
		"chromium-simulcast": {"audio", "video"},
		"firefox-echo":       {"audio", "video", "application"},
		"firefox-simulcast":  {"audio", "video"},
		"gstreamer":          {"video", "audio", "application"},
		"libdatachannel":     {"video", "audio", "application"},
		"libwebrtc-node":     {"audio", "video", "application"},
		"pion":               {"video", "audio", "application"},
		"werift":             {"video", "audio", "application"},
	}
	for name, text := range captures(t) {
		t.Run(name, func(t *testing.T) {
			s := mustParse(t, text)
			var kinds []string
			for i := range s.Media {
				m := &s.Media[i]
				kinds = append(kinds, m.Kind)
				if m.MID == "" || m.ICEUfrag == "" || m.ICEPwd == "" || len(m.Fingerprints) == 0 || m.Setup == "" {
					t.Errorf("section %d: mid %q, ufrag %q, %d fingerprints, setup %q", i, m.MID, m.ICEUfrag, len(m.Fingerprints), m.Setup)
				}
				if !slices.Contains(s.Bundle(), m.MID) {
					t.Errorf("section %q is not bundled: %v", m.MID, s.Bundle())
				}
				if m.Kind == "application" {
					if m.SCTPPort == 0 {
						t.Error("no SCTP port")
					}
					continue
				}
				if !m.RTCPMux || len(m.Codecs) == 0 {
					t.Errorf("section %q: rtcp-mux %v, %d codecs", m.MID, m.RTCPMux, len(m.Codecs))
				}
				for _, c := range m.Codecs {
					if c.Name == "" || c.ClockRate == 0 {
						t.Errorf("payload type %d has no rtpmap", c.PayloadType)
					}
				}
			}
			if !slices.Equal(kinds, want[name]) {
				t.Errorf("sections %v, want %v", kinds, want[name])
			}
		})
	}
}

func TestPrintedDescriptionsParseToTheSame(t *testing.T) {
	for name, text := range captures(t) {
		s := mustParse(t, text)
		again := mustParse(t, s.String())
		again.Fingerprints, s.Fingerprints = nil, nil // session level is printed in the sections
		again.Setup, s.Setup, again.Direction, s.Direction = "", "", "", ""
		again.ICEUfrag, s.ICEUfrag, again.ICEPwd, s.ICEPwd = "", "", "", ""
		if !reflect.DeepEqual(s, again) {
			for i := range s.Media {
				if !reflect.DeepEqual(s.Media[i], again.Media[i]) {
					t.Errorf("%s, section %d:\n%+v\n%+v", name, i, s.Media[i], again.Media[i])
				}
			}
			t.Errorf("%s changes when printed", name)
		}
	}
}

// A parser that is used again gives what a new one does, and the lists of a
// description, which share memory, do not run into each other.
func TestParsersAreReused(t *testing.T) {
	var p Parser
	all := captures(t)
	all["mixed"] = "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 98\n" + strings.Repeat("a=rtcp-fb:96 a\na=rtcp-fb:97 b\na=rtcp-fb:* c\na=rtcp-fb:96 d\n", 3)
	all["empty"] = "v=0\n"
	for range 3 {
		for name, text := range all {
			want := mustParse(t, text)
			got, err := p.Parse(text)
			if err != nil || !reflect.DeepEqual(got, want) || got.String() != want.String() {
				t.Errorf("%s: %v\n%+v\n%+v", name, err, got, want)
			}
		}
		if _, err := p.Parse("v=0\na=group:BUNDLE a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=rtcp-fb:0 nack\na=rtpmap:0\n"); err == nil {
			t.Error("taken")
		}
	}
	s := mustParse(t, all["chromium-simulcast"])
	printed := s.String()
	for i := range s.Media {
		m := &s.Media[i]
		_, _, _ = append(m.Formats, "x"), append(m.Extmaps, Extmap{}), append(m.Codecs, Codec{})
		_, _, _ = append(m.Candidates, "x"), append(m.Fingerprints, "x"), append(m.Other, Attribute{})
		for k := range m.Codecs {
			_ = append(m.Codecs[k].Feedback, "x")
		}
	}
	if s.String() != printed {
		t.Error("appending to one list changes another")
	}
	text := all["chromium-echo"]
	var b []byte
	if n := testing.AllocsPerRun(100, func() {
		s, err := p.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		b = s.Append(b[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFeedbackOfManyCodecs(t *testing.T) {
	m := &mustParse(t, "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\na=rtcp-fb:96 nack\na=rtcp-fb:97 nack\na=rtcp-fb:96  nack pli\na=rtcp-fb:* transport-cc\na=rtcp-fb:98 x\na=rtcp-fb:96\n").Media[0]
	if got := m.Codecs[0].Feedback; !slices.Equal(got, []string{"nack", "nack pli", "transport-cc"}) {
		t.Errorf("%q", got)
	}
	if got := m.Codecs[1].Feedback; !slices.Equal(got, []string{"nack", "transport-cc"}) {
		t.Errorf("%q", got)
	}
}

func TestSimulcastOffers(t *testing.T) {
	for _, name := range []string{"chromium-simulcast", "firefox-simulcast"} {
		s := mustParse(t, captures(t)[name])
		m := &s.Media[len(s.Media)-1]
		if len(m.Simulcast.Send) != 3 || len(m.RIDs) != 3 {
			t.Errorf("%s: %v, %v", name, m.Simulcast, m.RIDs)
		}
	}
	got := new(Parser).simulcast("send h;m,n;~l recv a")
	want := Simulcast{Send: [][]string{{"h"}, {"m", "n"}, {"~l"}}, Recv: [][]string{{"a"}}}
	if !reflect.DeepEqual(got, want) || got.String() != "send h;m,n;~l recv a" {
		t.Errorf("%+v prints as %q", got, got)
	}
}

func TestSessionLevelAppliesToSections(t *testing.T) {
	s := mustParse(t, "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=ice-ufrag:u\na=ice-pwd:p\na=fingerprint:sha-256 AA\na=setup:active\na=recvonly\n"+
		"m=audio 9 UDP/TLS/RTP/SAVPF 0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=ice-ufrag:v\na=ice-pwd:w\na=sendonly\na=setup:passive\n")
	a, v := &s.Media[0], &s.Media[1]
	if a.ICEUfrag != "u" || a.ICEPwd != "p" || a.Fingerprints[0] != "sha-256 AA" || a.Setup != SetupActive || a.Direction != RecvOnly {
		t.Errorf("%+v", a)
	}
	if v.ICEUfrag != "v" || v.ICEPwd != "w" || v.Setup != SetupPassive || v.Direction != SendOnly {
		t.Errorf("%+v", v)
	}
	if a.Codecs[0].Name != "PCMU" || a.Codecs[0].ClockRate != 8000 {
		t.Errorf("static payload type: %+v", a.Codecs[0])
	}
}

func TestMalformedDescriptionsNameTheLine(t *testing.T) {
	head := "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"
	media := head + "m=video 9 UDP/TLS/RTP/SAVPF 96\n"
	for text, line := range map[string]int{
		"":                                   1,
		"hello":                              1,
		"o=- 1 1 IN IP4 0.0.0.0\n":           1,
		"v=1\n":                              1,
		"v=0\no=-\n":                         2,
		head + "x\n":                         5,
		head + "m=audio\n":                   5,
		head + "m=audio 70000 RTP/SAVPF 0\n": 5,
		head + "m=audio 9 UDP/TLS/RTP/SAVPF 128\n": 5,
		media + "a=rtpmap:96\n":                    6,
		media + "a=rtpmap:96 VP8\n":                6,
		media + "a=rtpmap:96 VP8/x\n":              6,
		media + "a=rtpmap:96 VP8/0\n":              6,
		media + "a=extmap:x urn:y\n":               6,
		media + "a=sctp-port:99999\n":              6,
		media + "a=max-message-size:-1\n":          6,
	} {
		_, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != line {
			t.Errorf("%q: %v, want line %d", text, err, line)
		}
	}
}

func TestClass27_DescriptionBombsAreRefused(t *testing.T) {
	head := "v=0\n"
	for name, text := range map[string]string{
		"bytes":    head + strings.Repeat("a=x:"+strings.Repeat("y", 1000)+"\n", 300),
		"lines":    head + strings.Repeat("a=x\n", MaxLines+1),
		"line":     head + "a=" + strings.Repeat("x", MaxLine+1) + "\n",
		"sections": head + strings.Repeat("m=audio 9 RTP/AVP 0\n", MaxMedia+1),
		"formats":  head + "m=audio 9 UDP/TLS/RTP/SAVPF" + strings.Repeat(" 1", MaxCodecs+1) + "\n",
	} {
		if _, err := Parse(text); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := mustParse(t, head+"m=audio 9 UDP/TLS/RTP/SAVPF 0\n"+strings.Repeat("a=candidate:1 1 udp 1 1.2.3.4 5 typ host\n", MaxCandidates+50))
	if n := len(many.Media[0].Candidates); n != MaxCandidates {
		t.Errorf("%d candidates kept", n)
	}
	// One line speaks of 128 payload types: a factor without a limit.
	var every strings.Builder
	for pt := range MaxCodecs {
		every.WriteString(" " + strconv.Itoa(pt))
	}
	many = mustParse(t, head+"m=audio 9 UDP/TLS/RTP/SAVPF"+every.String()+"\n"+strings.Repeat("a=rtcp-fb:* x\n", 10000))
	if n := len(many.Media[0].Codecs[MaxCodecs-1].Feedback); n != MaxFeedback {
		t.Errorf("%d lines of feedback kept", n)
	}
}

// The work grows with the size of the description, not with its square.
func TestClass27_WorkIsLinear(t *testing.T) {
	text := func(n int) string {
		return "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n" + strings.Repeat("a=ssrc:1 cname:x\na=ssrc:2 cname:y\na=rid:h send\na=extmap:1 urn:x\n", n)
	}
	cost := func(n int) float64 { s := text(n); return testing.AllocsPerRun(3, func() { mustParse(t, s) }) }
	if small, large := cost(500), cost(2000); large > 6*small {
		t.Errorf("%v allocations for 2000, %v for 500", large, small)
	}
}

func TestCodecsMatchByWhatChangesTheBitstream(t *testing.T) {
	h264 := func(fmtp string) Codec { return Codec{Name: "H264", ClockRate: 90000, Fmtp: fmtp} }
	for _, c := range []struct {
		a, b Codec
		want bool
	}{
		{Codec{Name: "opus", ClockRate: 48000, Channels: 2}, Codec{Name: "OPUS", ClockRate: 48000, Channels: 2, Fmtp: "minptime=10"}, true},
		{Codec{Name: "opus", ClockRate: 48000, Channels: 2}, Codec{Name: "opus", ClockRate: 48000}, false},
		{Codec{Name: "PCMU", ClockRate: 8000}, Codec{Name: "PCMU", ClockRate: 8000, Channels: 1}, true},
		{Codec{Name: "VP9", ClockRate: 90000, Fmtp: "profile-id=0"}, Codec{Name: "VP9", ClockRate: 90000}, true},
		{Codec{Name: "VP9", ClockRate: 90000, Fmtp: "profile-id=2"}, Codec{Name: "VP9", ClockRate: 90000}, false},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("profile-level-id=42e034;packetization-mode=1"), true},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("packetization-mode=0;profile-level-id=42e01f"), false},
		{h264("packetization-mode=1;profile-level-id=42001f"), h264("packetization-mode=1;profile-level-id=42e01f"), false},
		{h264("packetization-mode=1;profile-level-id=4d001f"), h264("packetization-mode=1;profile-level-id=4d0032"), true},
		{h264("packetization-mode=1;profile-level-id=640c1f"), h264("packetization-mode=1;profile-level-id=64001f"), false},
		{h264("packetization-mode=1;profile-level-id=58c01f"), h264("packetization-mode=1;profile-level-id=42c01f"), true},
		{h264("packetization-mode=1;profile-level-id=zz001f"), h264("packetization-mode=1;profile-level-id=zz001f"), false},
		{Codec{Name: "AV1", ClockRate: 90000}, Codec{Name: "AV1", ClockRate: 90000, Fmtp: "level-idx=5;profile=0;tier=0"}, true},
		{Codec{Name: "AV1", ClockRate: 90000, Fmtp: "profile=1"}, Codec{Name: "AV1", ClockRate: 90000}, false},
	} {
		if got := c.a.Matches(&c.b); got != c.want {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
		if got := c.b.Matches(&c.a); got != c.want {
			t.Errorf("not symmetric: %+v and %+v", c.b, c.a)
		}
	}
	rtx := Codec{Name: "rtx", Fmtp: "apt=96"}
	if pt, ok := rtx.APT(); !ok || pt != 96 {
		t.Errorf("apt %d %v", pt, ok)
	}
}

func TestNumbersPrint(t *testing.T) {
	for _, n := range []uint64{0, 9, 10, 99, 100, 101, 999, 1000, 1001, 8000, 90000, 1000000, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		if got, want := string(appendUint(nil, n)), strconv.FormatUint(n, 10); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestPayloadTypesPrint(t *testing.T) {
	for pt := range 256 {
		c := Codec{PayloadType: uint8(pt), Fmtp: "x"}
		if got, want := string(c.append(nil)), "a=fmtp:"+strconv.Itoa(pt)+" x\r\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A payload type that m= names twice is one codec, with the rtpmap it was
// given, and prints as such.
func TestPayloadTypeNamedTwice(t *testing.T) {
	s, err := Parse("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 9 111 9 009 111\na=rtpmap:9 L16/44100\na=rtpmap:111 opus/48000/2\n")
	if err != nil {
		t.Fatal(err)
	}
	m := s.Media[0]
	if !slices.Equal(m.Formats, []string{"9", "111"}) || len(m.Codecs) != 2 || m.Codecs[0].Name != "L16" || m.Codecs[1].Name != "opus" {
		t.Fatalf("formats %q, codecs %+v", m.Formats, m.Codecs)
	}
}

func TestDirections(t *testing.T) {
	for _, d := range []Direction{SendRecv, SendOnly, RecvOnly, Inactive} {
		if MakeDirection(d.Sends(), d.Receives()) != d || d.Reverse().Reverse() != d || d.Reverse().Sends() != d.Receives() {
			t.Error(d)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range captures(f) {
		f.Add(text)
	}
	f.Add("v=0\na=ice-pwd:alone\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n")
	f.Add("v=0\nm=0 0 0 0\na=candidat :\n")
	f.Add("v=0\nm=0 0 RTP/ 9 9\na=rtpmap:9 0/1\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		printed := s.String()
		again, err := Parse(printed)
		if errors.Is(err, ErrTooLarge) {
			return // printing spells out what the text had left implicit
		}
		if err != nil {
			t.Fatalf("printed description does not parse: %v\n%s", err, printed)
		}
		if third := again.String(); third != printed {
			t.Fatalf("not stable:\n%s\n%s", printed, third)
		}
	})
}
