package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/webrtc"
)

// patience bounds waits that end early whenever the code is right.
const patience = 30 * time.Second

// logBuffer is a log that many write to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a server that serves.
type running struct {
	*instance
	t    testing.TB
	url  string
	log  *logBuffer
	stop func() // sends the signal
	done chan error
}

func start(t testing.TB, args ...string) *running {
	t.Helper()
	o, err := parseOptions(append([]string{"--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log-level", "debug"}, args...), func(string) string { return "" })
	check(t, err)
	r := &running{t: t, log: &logBuffer{}, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	ready := make(chan *instance, 1)
	go func() { r.done <- serve(ctx, o, o.logger(r.log), func(in *instance) { ready <- in }) }()
	select {
	case r.instance = <-ready:
	case err := <-r.done:
		t.Fatal(err)
	}
	r.url = "http://" + r.listener.Addr().String()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.done:
			check(t, err)
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *running) do(method, path, typ, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	q, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	check(r.t, err)
	q.Header.Set("Content-Type", typ)
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			q.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(q)
	check(r.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(r.t, err)
	return resp, string(b)
}

func (r *running) get(path string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	return r.do("GET", path, "", "", headers...)
}

func TestEndpoints(t *testing.T) {
	r := start(t)
	r.do("POST", "/echo", "application/sdp", capture(t, "chromium-echo.sdp"))
	r.do("POST", "/whip/lobby", "application/sdp", capture(t, "chromium-simulcast.sdp"))
	for _, c := range []struct {
		path, accept, typ string
		status            int
		contains          string
	}{
		{"/", "", "text/html; charset=utf-8", 200, "<h2 id=\"publish-title\">"},
		{"/app.js", "", "text/javascript; charset=utf-8", 200, "Session"},
		{"/client.js", "", "text/javascript; charset=utf-8", 200, "trickle"},
		{"/chart.js", "", "text/javascript; charset=utf-8", 200, "Chart"},
		{"/pattern.js", "", "text/javascript; charset=utf-8", 200, "captureStream"},
		{"/debug.js", "", "text/javascript; charset=utf-8", 200, "tick"},
		{"/style.css", "", "text/css; charset=utf-8", 200, "prefers-color-scheme"},
		{"/icon.svg", "", "image/svg+xml", 200, "<svg"},
		{"/index.html", "", "application/problem+json", 404, "nothing"},
		{"/web/index.html", "", "application/problem+json", 404, "nothing"},
		{"/healthz", "", "application/json", 200, `"ok"`},
		{"/api/streams", "", "application/json", 200, `"layers":["q","h","f"]`},
		{"/debug/sessions", "", "application/json", 200, `"sessions":2`},
		{"/debug/sessions?verbose", "", "application/json", 200, `"role":"publisher"`},
		{"/debug/webrtc", "text/html", "text/html; charset=utf-8", 200, "debug.js"},
		{"/debug/webrtc", "application/json", "application/json", 200, `"engine"`},
		{"/debug/webrtc?format=json", "text/html", "application/json", 200, `"type":"peer-connection"`},
		{"/debug/pprof/", "", "text/html; charset=utf-8", 200, "goroutine"},
		{"/debug/pprof/goroutine?debug=1", "", "text/plain; charset=utf-8", 200, "goroutine profile"},
		{"/debug/pprof/cmdline", "", "application/problem+json", 404, "secret"},
		{"/metrics", "", "", 200, "sluice_sessions{role=\"publisher\"} 1"},
		{"/metrics", "", "", 200, "sluice_drops_total{cause=\"auth\"} 0"},
		{"/metrics", "", "", 200, "go_goroutines"},
		{"/metrics", "", "", 200, "sluice_socket_run_datagrams_bucket{le=\"64\"}"},
		{"/metrics", "", "", 200, "sluice_steered_datagrams_total{by=\"flow\"}"},
		{"/metrics", "", "", 200, "sluice_stage_sampled_nanoseconds_total{stage=\"protect\"}"},
		{"/metrics", "", "", 200, "sluice_sctp_associations"},
		{"/metrics", "", "", 200, "sluice_burst_waits_total{gained=\"no\"} 0"},
		{"/nothing", "", "application/problem+json", 404, "/nothing"},
		{"/whip/", "", "application/problem+json", 404, "nothing"},
	} {
		resp, body := r.get(c.path, "Accept", c.accept)
		if resp.StatusCode != c.status || c.typ != "" && resp.Header.Get("Content-Type") != c.typ || !strings.Contains(body, c.contains) {
			t.Errorf("%s: %d %s %.300s", c.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if h := resp.Header; h.Get("Content-Security-Policy") != csp || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: headers %v", c.path, h)
		}
	}
	for _, path := range []string{"/", "/api/streams", "/healthz", "/metrics", "/debug/sessions", "/debug/webrtc"} {
		resp, body := r.do("POST", path, "", "")
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %s", path, resp.StatusCode, body)
		}
	}
	var v struct{ Sessions *int }
	if _, body := r.get("/debug/sessions"); json.Unmarshal([]byte(body), &v) != nil || v.Sessions == nil {
		t.Error(body)
	}
}

func capture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "captures", name))
	check(t, err)
	return string(b)
}

func TestPrivatePagesAreForThisMachine(t *testing.T) {
	for _, public := range []bool{false, true} {
		r := start(t, map[bool][]string{true: {"--debug-public"}}[public]...)
		h := r.instance.http.Handler
		for path, private := range map[string]bool{
			"/debug/sessions": true, "/debug/webrtc?format=json": true, "/metrics": true, "/debug/pprof/": true,
			"/": false, "/healthz": false, "/api/streams": false,
		} {
			for _, c := range []struct {
				remote, header string
				local          bool
			}{
				{"127.0.0.1:1", "", true}, {"[::1]:1", "", true}, {"[::ffff:127.0.0.1]:1", "", true},
				{"192.0.2.1:1", "", false}, {"[2001:db8::1]:1", "", false}, {"127.0.0.1:1", "X-Forwarded-For", false}, {"127.0.0.1:1", "Forwarded", false},
			} {
				q := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
				q.RemoteAddr = c.remote
				if c.header != "" {
					q.Header.Set(c.header, "192.0.2.1")
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, q)
				want := http.StatusOK
				if private && !public && !c.local {
					want = http.StatusForbidden
				}
				if w.Code != want {
					t.Errorf("public %v, %s from %s %s: %d", public, path, c.remote, c.header, w.Code)
				}
			}
		}
	}
}

func TestListOfStreamsNeedsTheToken(t *testing.T) {
	r := start(t, "--token", "s3cret")
	if resp, _ := r.get("/api/streams"); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("status %d", resp.StatusCode)
	}
	if resp, _ := r.get("/api/streams", "Authorization", "Bearer s3cret"); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	if resp, _ := r.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("the page: %d", resp.StatusCode)
	}
}

func TestClass42_OtherNamesAndOriginsAreRefused(t *testing.T) {
	r := start(t, "--origin", "https://app.example")
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"evil.example", "", http.StatusMisdirectedRequest}, // a name made to point here
		{"evil.example", "http://evil.example", http.StatusMisdirectedRequest},
		{"localhost.evil.example:80", "", http.StatusMisdirectedRequest},
		{"localhost:8080", "http://evil.example", http.StatusForbidden},
		{"localhost:8080", "http://localhost:9090", http.StatusForbidden},
		// Twins.
		{"localhost:8080", "http://localhost:8080", http.StatusCreated},
		{"127.0.0.1", "", http.StatusCreated},
		{"[::1]:8080", "", http.StatusCreated},
		{"app.example", "https://app.example", http.StatusCreated},
		{"localhost:8080", "https://app.example", http.StatusCreated},
	} {
		h := []string{"Host", c.host}
		if c.origin != "" {
			h = append(h, "Origin", c.origin)
		}
		if resp, body := r.do("POST", "/echo", "application/sdp", capture(t, "chromium-echo.sdp"), h...); resp.StatusCode != c.status {
			t.Errorf("%+v: %d %s", c, resp.StatusCode, body)
		}
	}
}

// The pages must write names as text, and load nothing from elsewhere.
func TestClass42_PagesAreInert(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|\son\w+=|style="|javascript:|<script>`)
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z]`)
	check(t, fs.WalkDir(webFiles, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := webFiles.ReadFile(path)
		if err != nil {
			return err
		}
		if m := markup.Find(b); m != nil {
			t.Errorf("%s has %q", path, m)
		}
		for _, m := range elsewhere.FindAllString(strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", ""), -1) {
			t.Errorf("%s has %q", path, m)
		}
		return nil
	}))
}

func TestClass43_TokenReachesNoLog(t *testing.T) {
	var out logBuffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	env := func(k string) string {
		return map[string]string{"SLUICE_TOKEN": "env-s3cret", "SLUICE_HTTP": "127.0.0.1:0", "SLUICE_UDP": "127.0.0.1:0", "SLUICE_LOG_LEVEL": "debug"}[k]
	}
	for _, args := range [][]string{nil, {"--token", "flag-s3cret"}, {"--token"}, {"--ice-server", "turn:user:turn-s3cret@x", "--nope"}, {"--ice-server", "turn:turn-s3cret"}} {
		run(ctx, args, env, &out, &out)
	}
	if !strings.Contains(out.String(), "sluice is ready") || strings.Contains(out.String(), "s3cret") {
		t.Errorf("log:\n%s", &out)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	r := start(t)
	if resp, _ := r.get("/healthz", "X-Large", strings.Repeat("x", 64<<10)); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestSignalDrains(t *testing.T) {
	r := start(t)
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1})
	check(t, err)
	defer e.Close()
	pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: e, Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	_, err = pc.CreateDataChannel("d", nil)
	check(t, err)
	connected := make(chan struct{}, 4)
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionConnected {
			connected <- struct{}{}
		}
	})
	check(t, pc.SetLocalDescription(webrtc.SessionDescription{}))
	<-pc.GatheringComplete()
	resp, answer := r.do("POST", "/echo", "application/sdp", pc.LocalDescription().SDP)
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(answer)
	}
	check(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPAnswer, SDP: answer}))
	within(t, "connection", connected)

	// What the signal begins, up to where HTTP stops listening.
	check(t, r.sfu.Close(t.Context()))
	if resp, body := r.get("/healthz"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("healthz: %d %s", resp.StatusCode, body)
	}
	if resp, body := r.do("POST", "/echo", "application/sdp", capture(t, "chromium-echo.sdp")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an offer: %d %s", resp.StatusCode, body)
	}
	within(t, "goodbye at the peer", pc.Done())
	r.stop()
	err = within(t, "end of the server", r.done)
	check(t, err)
	r.done <- err // for the cleanup
	if _, err := net.Dial("tcp", r.listener.Addr().String()); err == nil {
		t.Error("HTTP still listens")
	}
}

func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func TestTakenUDPPort(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	defer c.Close()
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	taken := netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if e, err := listenUDP(&options{udp: taken.String(), udpAddr: taken, udpGiven: true}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--udp") {
		t.Errorf("a port that was named: %v, %v", e, err)
	}
	var log logBuffer
	e, err := listenUDP(&options{udp: taken.String(), udpAddr: taken, shards: 2}, slog.New(slog.NewTextHandler(&log, nil)))
	check(t, err)
	defer e.Close()
	if e.LocalAddr().Port() == taken.Port() || !strings.Contains(log.String(), "--udp") {
		t.Errorf("default port: %v, log %s", e.LocalAddr(), &log)
	}
}

func TestTwoServersDoNotShareAPort(t *testing.T) {
	r := start(t)
	addr := r.engine.LocalAddr()
	if e, err := listenUDP(&options{udp: addr.String(), udpAddr: addr, udpGiven: true, shards: 2}, slog.New(slog.DiscardHandler)); err == nil {
		e.Close()
		t.Error("the second server got the port of the first")
	}
}

func TestOpenServerWarns(t *testing.T) {
	for _, c := range []struct {
		args  []string
		warns int
	}{
		{nil, 0}, {[]string{"--http", "0.0.0.0:0"}, 2}, {[]string{"--http", "0.0.0.0:0", "--token", "x"}, 1},
	} {
		r := start(t, c.args...)
		if n := strings.Count(r.log.String(), "level=WARN"); n != c.warns {
			t.Errorf("%v: %d warnings in\n%s", c.args, n, r.log)
		}
	}
}

func TestErrorsOfTheEngineNameTheirFlag(t *testing.T) {
	o := &options{udp: ":1", filter: "eth9"}
	for err, want := range map[error]string{
		fmt.Errorf("dataplane: %w: no such interface", bpf.ErrFilter): "--filter eth9",
		errors.New("in use"): "--udp :1",
	} {
		if got := cannotListen(o, err); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v", got)
		}
	}
}
