package whip

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/webrtc"
)

var (
	candidates = regexp.MustCompile("a=(candidate|end-of-candidates).*\r\n")
	formats    = regexp.MustCompile(`a=rtpmap:(\d+) \S+`)
)

// open posts an offer and connects.
func (s *site) open(pc *webrtc.PeerConnection, path string, headers ...string) response {
	s.t.Helper()
	r := s.do("POST", path, typeSDP, offer(s.t, pc, nil), headers...).want(s.t, http.StatusCreated)
	accept(s.t, pc, r.text)
	await(s.t, "connection", connected(pc))
	// The server's side too: a goodbye that overtakes the end of the handshake
	// is lost, as any datagram may be.
	x, ok := s.sfu.Session(location(r)[strings.LastIndex(location(r), "/")+1:])
	if !ok {
		s.t.Fatal("the session is gone")
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); x.PeerConnection().ConnectionState() != webrtc.PeerConnectionConnected; {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatal("the session does not connect")
		}
	}
	return r
}

func location(r response) string { return r.Header.Get("Location") }

func TestPublishAndPlay(t *testing.T) {
	for _, prefix := range []string{"", "/live"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			s := newSite(t, Config{Prefix: prefix, ICEServers: []ICEServer{
				{URL: "stun:stun.example.net"}, {URL: "turn:turn.example.net?transport=udp", Username: "user", Credential: "pass"},
			}}, sfu.Config{})
			pub := client(t)
			pump(t, pub)
			r := s.open(pub, prefix+"/whip/lobby")
			if r.Header.Get("Content-Type") != typeSDP || r.Header.Get("ETag") != `"ice-1"` || !strings.HasPrefix(location(r), prefix+"/session/") {
				t.Errorf("headers %v", r.Header)
			}
			if id := location(r)[strings.LastIndex(location(r), "/")+1:]; len(id) < 26 {
				t.Errorf("session id %q has fewer than 128 bits", id)
			}
			want := []string{
				`<stun:stun.example.net>; rel="ice-server"`,
				`<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="pass"; credential-type="password"`,
			}
			if got := r.Header.Values("Link"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("links %q", got)
			}
			if !strings.Contains(r.text, "a=candidate:") || !strings.Contains(r.text, "a=end-of-candidates") {
				t.Error("the answer has no candidates")
			}

			sub := client(t)
			tracks := make(chan webrtc.TrackEvent, 1)
			sub.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
			_, err := sub.AddTransceiver(webrtc.Video, webrtc.RecvOnly)
			check(t, err)
			v := s.open(sub, prefix+"/whep/lobby")
			read(t, await(t, "track", tracks).Track, 20)

			for _, l := range []string{location(v), location(r)} {
				s.do("DELETE", l, "", "").want(t, http.StatusOK)
				s.do("DELETE", l, "", "").want(t, http.StatusNotFound)
			}
			await(t, "end of the publisher", pub.Done())
			await(t, "end of the viewer", sub.Done())
			if n := s.sfu.Len(); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestEcho(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	pc := client(t)
	tracks := make(chan webrtc.TrackEvent, 1)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	dc, err := pc.CreateDataChannel("chat", nil)
	check(t, err)
	back := make(chan webrtc.Message, 1)
	dc.OnMessage(func(m webrtc.Message) { back <- m })
	opened := make(chan struct{})
	dc.OnOpen(func() { close(opened) })
	pump(t, pc)
	s.open(pc, "/echo")
	read(t, await(t, "track", tracks).Track, 20)
	await(t, "channel", opened)
	check(t, dc.SendText(""))
	if m := await(t, "message", back); !m.Text || len(m.Data) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestTrickle(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	for _, etag := range []bool{true, false} {
		t.Run(fmt.Sprint("If-Match ", etag), func(t *testing.T) {
			s := &site{t, s.url, s.sfu}
			pc := client(t)
			pump(t, pc)
			full := offer(t, pc, nil)
			r := s.do("POST", fmt.Sprint("/whip/trickle-", etag), typeSDP, candidates.ReplaceAllString(full, "")).want(t, http.StatusCreated)
			// Without our own the server is not reached, but by what it learns.
			accept(t, pc, candidates.ReplaceAllString(r.text, ""))
			headers := []string{}
			if etag {
				headers = []string{"If-Match", r.Header.Get("ETag")}
			}
			for _, l := range candidates.FindAllString(full, -1) {
				text := "a=ice-ufrag:" + attribute(full, "ice-ufrag") + "\r\na=ice-pwd:" + attribute(full, "ice-pwd") +
					"\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:" + attribute(full, "mid") + "\r\n" + l
				if got := s.do("PATCH", location(r), typeFragment, text, headers...).want(t, http.StatusNoContent); got.text != "" {
					t.Errorf("body %q", got.text)
				}
			}
			await(t, "connection", connected(pc))
		})
	}
}

func attribute(text, key string) string {
	_, v, _ := strings.Cut(text, "\r\na="+key+":")
	v, _, _ = strings.Cut(v, "\r\n")
	return v
}

func TestRestartByFragment(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	pub, sub := client(t), client(t)
	pump(t, pub)
	r := s.open(pub, "/whip/lobby")
	tracks := make(chan webrtc.TrackEvent, 1)
	sub.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	_, err := sub.AddTransceiver(webrtc.Video, webrtc.RecvOnly)
	check(t, err)
	s.open(sub, "/whep/lobby")
	e := await(t, "track", tracks)
	read(t, e.Track, 20)

	for i := range 2 {
		text := offer(t, pub, &webrtc.OfferOptions{ICERestart: true})
		d, err := sdp.Parse(text)
		check(t, err)
		x := s.do("PATCH", location(r), typeFragment, formatFragment(d), "If-Match", "*").want(t, http.StatusOK)
		if got, want := x.Header.Get("ETag"), fmt.Sprintf(`"ice-%d"`, i+2); got != want || x.Header.Get("Content-Type") != typeFragment {
			t.Errorf("headers %v", x.Header)
		}
		f, err := ParseFragment(x.text)
		check(t, err)
		old, err := sdp.Parse(pub.CurrentRemoteDescription().SDP)
		check(t, err)
		if m := &old.Media[0]; m.ICEUfrag == f.Ufrag || f.Pwd == "" || len(f.Candidates) < 2 {
			t.Fatalf("fragment %q", x.text)
		}
		for j := range old.Media {
			m := &old.Media[j]
			m.ICEUfrag, m.ICEPwd, m.Candidates = f.Ufrag, f.Pwd, nil
		}
		for _, c := range f.Candidates {
			if c.Candidate != "" {
				old.Media[0].Candidates = append(old.Media[0].Candidates, strings.TrimPrefix(c.Candidate, "candidate:"))
			}
		}
		old.Media[0].EndOfCandidates = true
		accept(t, pub, old.String())
		read(t, e.Track, 400)
		s.do("PATCH", location(r), typeFragment, fragmentText, "If-Match", `"ice-1"`).want(t, http.StatusPreconditionFailed)
	}
}

func TestReoffer(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	pc := client(t)
	tracks := make(chan webrtc.TrackEvent, 2)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	pump(t, pc)
	r := s.open(pc, "/echo")
	read(t, await(t, "track", tracks).Track, 10)

	pump(t, pc)
	x := s.do("PATCH", location(r), typeSDP, offer(t, pc, nil), "If-Match", `"ice-1"`).want(t, http.StatusOK)
	if x.Header.Get("ETag") != `"ice-1"` || x.Header.Get("Content-Type") != typeSDP {
		t.Errorf("headers %v", x.Header)
	}
	accept(t, pc, x.text)
	second := await(t, "second track", tracks)
	read(t, second.Track, 10)

	// It stops the first track and restarts ICE.
	check(t, pc.Transceivers()[0].Stop())
	x = s.do("PATCH", location(r), typeSDP, offer(t, pc, &webrtc.OfferOptions{ICERestart: true})).want(t, http.StatusOK)
	if x.Header.Get("ETag") != `"ice-2"` {
		t.Errorf("headers %v", x.Header)
	}
	accept(t, pc, x.text)
	read(t, second.Track, 400)
	s.do("PATCH", location(r), typeSDP, offer(t, pc, nil), "If-Match", `"ice-1"`).want(t, http.StatusPreconditionFailed)
}

// statusCase is a request and what it is answered with.
type statusCase struct {
	what, method, path, typ, body string
	headers                       []string
	want                          int
	detail                        string // contained in the body
}

// statusCases are for a site on which "live" is published with simulcast, by
// the session at the location.
func statusCases(media, simulcast, session string) []statusCase {
	receive := strings.ReplaceAll(simulcast, "a=sendonly", "a=recvonly")
	ufrag := attribute(simulcast, "ice-ufrag")
	const other = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\n"
	return []statusCase{
		{"nonsense", "POST", "/whip/x", typeSDP, "hello", nil, 400, "line 1"},
		{"empty body", "POST", "/whip/x", typeSDP, "", nil, 400, "v=0"},
		{"empty echo", "POST", "/echo", typeSDP, "", nil, 400, ""},
		{"nonsense for an echo", "POST", "/echo", typeSDP, "v=0\r\nx", nil, 400, "line 2"},
		{"bad name", "POST", "/whip/a%20b", typeSDP, media, nil, 400, "invalid stream name"},
		{"markup as a name", "POST", "/whep/%3Cscript%3E", typeSDP, media, nil, 400, "invalid stream name"},
		{"unknown stream", "POST", "/whep/nothing", typeSDP, receive, nil, 404, `\"nothing\"`},
		{"unknown layer", "POST", "/whep/live?rid=z", typeSDP, receive, nil, 404, `\"q\" \"h\" \"f\"`},
		{"layer", "POST", "/whep/live?rid=q", typeSDP, receive, nil, 201, ""},
		{"second publisher", "POST", "/whip/live", typeSDP, media, nil, 409, "publisher"},
		{"too large", "POST", "/whip/x", typeSDP, strings.Repeat("x", maxOffer+1), nil, 413, ""},
		{"line too long", "POST", "/whip/x", typeSDP, "v=0\r\na=" + strings.Repeat("x", 9000), nil, 413, ""},
		{"wrong type", "POST", "/whip/x", "text/plain", media, nil, 415, "application/sdp"},
		{"no type", "POST", "/whep/live", "", media, nil, 415, "application/sdp"},
		{"type with parameters", "POST", "/echo", "Application/SDP; charset=utf-8", media, nil, 201, ""},
		{"no fingerprint", "POST", "/whip/x", typeSDP, strings.ReplaceAll(media, "a=fingerprint", "a=x"), nil, 422, "fingerprint"},
		{"unreadable format", "POST", "/whip/x", typeSDP, strings.ReplaceAll(simulcast, "a=rtpmap:", "a=rtpmap:x"), nil, 400, "line"},
		{"unknown formats", "POST", "/whip/x", typeSDP, formats.ReplaceAllString(simulcast, "a=rtpmap:$1 theora/90000"), nil, 422, "section 0 (audio)"},
		{"nothing to publish", "POST", "/whip/x", typeSDP, receive, nil, 422, "publisher"},
		{"nothing to play", "POST", "/whep/live", typeSDP, simulcast, nil, 422, "sendonly"},

		{"GET", "GET", "/whip/live", "", "", nil, 405, "POST"},
		{"PUT", "PUT", "/whep/live", typeSDP, media, nil, 405, "POST"},
		{"PATCH", "PATCH", "/echo", typeSDP, media, nil, 405, "POST"},
		{"POST to a session", "POST", session, typeSDP, media, nil, 405, "PATCH, DELETE"},
		{"GET of a session", "GET", session, "", "", nil, 405, "PATCH, DELETE"},
		{"no stream", "POST", "/whip/", typeSDP, media, nil, 404, ""},
		{"deep path", "POST", "/whip/a/b", typeSDP, media, nil, 404, ""},

		{"unknown session", "DELETE", "/session/ABC", "", "", nil, 404, "never was"},
		{"patch of an unknown session", "PATCH", "/session/ABC", typeFragment, fragmentText, nil, 404, ""},
		{"patch of a wrong type", "PATCH", session, "text/plain", "x", nil, 415, typeFragment},
		{"stale entity tag", "PATCH", session, typeFragment, "a=ice-ufrag:" + ufrag + "\r\n", []string{"If-Match", `"ice-9"`}, 412, "ice-1"},
		{"stale entity tag of an offer", "PATCH", session, typeSDP, simulcast, []string{"If-Match", `"ice-9"`}, 412, "ice-1"},
		{"candidates", "PATCH", session, typeFragment, "a=ice-ufrag:" + ufrag + "\r\na=end-of-candidates\r\n", []string{"If-Match", `"ice-1"`}, 204, ""},
		{"candidates to any", "PATCH", session, typeFragment, "a=ice-ufrag:" + ufrag + "\r\na=end-of-candidates\r\n", []string{"If-Match", `*`}, 204, ""},
		{"candidates without a tag", "PATCH", session, typeFragment, "a=end-of-candidates\r\n", nil, 204, ""},
		{"another ufrag without a tag", "PATCH", session, typeFragment, other, nil, 428, "If-Match"},
		{"another ufrag with the tag", "PATCH", session, typeFragment, other, []string{"If-Match", `"ice-1"`}, 412, ""},
		{"restart without a password", "PATCH", session, typeFragment, "a=ice-ufrag:other\r\n", []string{"If-Match", "*"}, 400, "ice-pwd"},
		{"broken fragment", "PATCH", session, typeFragment, "hello", nil, 400, "line 1"},
		{"broken candidate", "PATCH", session, typeFragment, "a=candidate:x\r\n", nil, 400, ""},
		{"candidate of no section", "PATCH", session, typeFragment, "a=mid:9\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", nil, 422, `\"9\"`},
		{"large fragment", "PATCH", session, typeFragment, strings.Repeat("a=x:y\r\n", maxFragment/7+1), nil, 413, ""},
		{"broken offer", "PATCH", session, typeSDP, "hello", nil, 400, "line 1"},
		{"offer of another", "PATCH", session, typeSDP, media, nil, 422, ""},
		{"offer of fewer sections", "PATCH", session, typeSDP, simulcast[:strings.Index(simulcast, "m=video")], nil, 422, "fewer"},
		{"restart", "PATCH", session, typeFragment, other, []string{"If-Match", "*"}, 200, "a=ice-ufrag:"},
		{"DELETE ignores the tag", "DELETE", session, "", "", []string{"If-Match", `"ice-1"`}, 200, ""},
	}
}

func TestStatuses(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	media, simulcast := capture(t, "chromium-echo.sdp"), capture(t, "chromium-simulcast.sdp")
	r := s.do("POST", "/whip/live", typeSDP, simulcast).want(t, http.StatusCreated)
	for _, c := range statusCases(media, simulcast, location(r)) {
		r := s.do(c.method, c.path, c.typ, c.body, c.headers...)
		if r.StatusCode != c.want {
			t.Errorf("%s: status %d, not %d: %s", c.what, r.StatusCode, c.want, r.text)
			continue
		}
		r.want(t, c.want)
		if !strings.Contains(r.text, c.detail) {
			t.Errorf("%s: %q is not in %s", c.what, c.detail, r.text)
		}
		if c.want == 405 && (r.Header.Get("Allow") == "" || !strings.Contains(r.Header.Get("Allow"), c.detail)) {
			t.Errorf("%s: Allow %q", c.what, r.Header.Get("Allow"))
		}
		if c.want == 415 && r.Header.Get("Accept-Post")+r.Header.Get("Accept-Patch") == "" {
			t.Errorf("%s: no word of what is accepted", c.what)
		}
	}
}

func TestFullAndClosingServers(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{MaxSessions: 1})
	media := capture(t, "chromium-echo.sdp")
	s.do("POST", "/echo", typeSDP, media).want(t, http.StatusCreated)
	if r := s.do("POST", "/echo", typeSDP, media).want(t, http.StatusServiceUnavailable); r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	check(t, s.sfu.Close(t.Context()))
	if r := s.do("POST", "/echo", typeSDP, media).want(t, http.StatusServiceUnavailable); !strings.Contains(r.text, "shutting down") {
		t.Error(r.text)
	}
}

func TestDeleteAfterThePeersGoodbye(t *testing.T) {
	s := newSite(t, Config{}, sfu.Config{})
	pc := client(t)
	pump(t, pc)
	r := s.open(pc, "/echo")
	x, ok := s.sfu.Session(location(r)[len("/session/"):])
	if !ok {
		t.Fatal("no session")
	}
	check(t, pc.Close())
	await(t, "end of the session", x.Done())
	s.do("PATCH", location(r), typeFragment, fragmentText).want(t, http.StatusNotFound)
	s.do("DELETE", location(r), "", "").want(t, http.StatusOK)
	s.do("DELETE", location(r), "", "").want(t, http.StatusNotFound)
}

func TestConfigurationsAreChecked(t *testing.T) {
	server := sfu.New(sfu.Config{Engine: newEngine(t), Logger: quiet()})
	for what, cfg := range map[string]Config{
		"no server":        {},
		"http server":      {Server: server, ICEServers: []ICEServer{{URL: "http://x"}}},
		"header injection": {Server: server, ICEServers: []ICEServer{{URL: "stun:x>\r\n"}}},
		"quote":            {Server: server, ICEServers: []ICEServer{{URL: "turn:x", Username: "u", Credential: `"`}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
