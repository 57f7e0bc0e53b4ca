package whip

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluicertc/sluice/sfu"
)

func TestTokens(t *testing.T) {
	s := newSite(t, Config{Access: Access{Token: "s3cret"}}, sfu.Config{})
	media := capture(t, "chromium-echo.sdp")
	r := s.do("POST", "/echo", typeSDP, media, "Authorization", "Bearer s3cret").want(t, http.StatusCreated)
	for _, c := range []struct{ method, path, typ, body string }{
		{"POST", "/whip/x", typeSDP, media}, {"POST", "/whep/x", typeSDP, media}, {"POST", "/echo", typeSDP, media},
		{"PATCH", location(r), typeFragment, fragmentText}, {"DELETE", location(r), "", ""}, {"DELETE", "/session/unknown", "", ""},
	} {
		for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret",
			"Bearer " + strings.Repeat("s", maxToken+1)} {
			x := s.do(c.method, c.path, c.typ, c.body, "Authorization", auth).want(t, http.StatusUnauthorized)
			challenge := x.Header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer realm="sluice"`) {
				t.Errorf("challenge %q", challenge)
			}
			wrong := strings.HasPrefix(auth, "Bearer ") && len(auth) > len("Bearer ")
			if strings.Contains(challenge, "invalid_token") != wrong {
				t.Errorf("%q: challenge %q", auth, challenge)
			}
		}
	}
	// A preflight bears none; the scheme's case does not matter.
	s.do("OPTIONS", "/whip/x", "", "", "Origin", s.url).want(t, http.StatusOK)
	s.do("DELETE", location(r), "", "", "Authorization", "bearer s3cret").want(t, http.StatusOK)
}

func TestClass42_PagesOfOtherOriginsMayNothing(t *testing.T) {
	media := capture(t, "chromium-echo.sdp")
	for _, c := range []struct {
		origins []string
		origin  string
		allow   string // Access-Control-Allow-Origin; empty: refused
	}{
		{nil, "https://evil.example", ""},
		{nil, "null", ""},
		{nil, "same", "same"}, // twin
		{[]string{"https://app.example"}, "https://evil.example", ""},
		{[]string{"https://app.example"}, "http://app.example", ""},
		{[]string{"https://app.example"}, "https://app.example.evil.example", ""},
		{[]string{"https://app.example"}, "https://app.example", "https://app.example"},
		{[]string{"https://app.example"}, "same", "same"},
		{[]string{"*"}, "https://any.example", "*"},
	} {
		s := newSite(t, Config{Access: Access{Origins: c.origins}}, sfu.Config{})
		if c.origin == "same" {
			c.origin, c.allow = s.url, s.url
		}
		created, preflight := http.StatusCreated, http.StatusOK
		if c.allow == "" {
			created, preflight = http.StatusForbidden, http.StatusForbidden
		}
		r := s.do("POST", "/echo", typeSDP, media, "Origin", c.origin).want(t, created)
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != c.allow || r.Header.Get("Vary") != "Origin" {
			t.Errorf("%v, %s: allowed %q, vary %q", c.origins, c.origin, got, r.Header.Get("Vary"))
		}
		if n := s.sfu.Len(); (n == 1) != (c.allow != "") {
			t.Errorf("%v, %s: %d sessions", c.origins, c.origin, n)
		}
		r = s.do("OPTIONS", "/whip/x", "", "", "Origin", c.origin, "Access-Control-Request-Method", "POST").want(t, preflight)
		if c.allow == "" {
			continue
		}
		for h, want := range map[string]string{
			"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "If-Match", "Access-Control-Allow-Origin": c.allow,
			"Access-Control-Expose-Headers": "Location", "Accept-Post": typeSDP, "Allow": "POST, OPTIONS",
		} {
			if !strings.Contains(r.Header.Get(h), want) {
				t.Errorf("%s: %q", h, r.Header.Get(h))
			}
		}
	}
}

// syncBuffer is a log that many write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestClass43_SecretsReachNoLog(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newSite(t, Config{Access: Access{Token: "tok-s3cret"}, ICEServers: []ICEServer{{URL: "turn:x", Username: "u", Credential: "turn-s3cret"}}}, sfu.Config{Logger: logger})
	auth := []string{"Authorization", "Bearer tok-s3cret"}
	pc := client(t)
	pump(t, pc)
	r := s.open(pc, "/whip/lobby", auth...)
	secrets := []string{
		"tok-s3cret", "wrong-s3cret", "turn-s3cret", strings.TrimPrefix(location(r), "/session/"),
		attribute(pc.LocalDescription().SDP, "ice-pwd"), attribute(r.text, "ice-pwd"),
	}
	bodies := s.do("POST", "/echo", typeSDP, capture(t, "chromium-echo.sdp"), "Authorization", "Bearer wrong-s3cret").want(t, http.StatusUnauthorized).text
	bodies += s.do("POST", "/whip/lobby", typeSDP, offer(t, pc, nil), auth...).want(t, http.StatusConflict).text
	bodies += s.do("POST", "/echo", typeSDP, "v=0\r\nbroken", auth...).want(t, http.StatusBadRequest).text
	bodies += s.do("PATCH", location(r), typeFragment, "a=ice-ufrag:x\r\n", auth...).want(t, http.StatusBadRequest).text
	s.do("DELETE", location(r), "", "", auth...).want(t, http.StatusOK)
	bodies += s.do("DELETE", location(r), "", "", auth...).want(t, http.StatusNotFound).text
	if !strings.Contains(log.String(), "session ended") {
		t.Fatal("nothing was logged: the test looks in the wrong place")
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(log.String(), secret) || strings.Contains(bodies, secret) {
			t.Errorf("%q is in the log or in an error:\n%s%s", secret, &log, bodies)
		}
	}
}
