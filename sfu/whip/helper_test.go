package whip

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/webrtc"
)

// patience bounds waits that end early whenever the code is right.
const patience = 30 * time.Second

var vp8 = webrtc.Codec{MimeType: "video/VP8", ClockRate: 90000}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newEngine(t testing.TB) *dataplane.Engine {
	t.Helper()
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1})
	check(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// site is a handler on a server, as someone would use it.
type site struct {
	t   testing.TB
	url string
	sfu *sfu.Server
}

func newSite(t testing.TB, cfg Config, sc sfu.Config) *site {
	t.Helper()
	sc.Engine = newEngine(t)
	if sc.Logger == nil {
		sc.Logger = quiet()
	}
	cfg.Server, cfg.Logger = sfu.New(sc), sc.Logger
	h, err := New(cfg)
	check(t, err)
	mux := http.NewServeMux()
	mux.Handle(cfg.Prefix+"/", http.StripPrefix(cfg.Prefix, h))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		check(t, cfg.Server.Close(context.Background()))
	})
	return &site{t, srv.URL, cfg.Server}
}

type response struct {
	*http.Response
	text string
}

// do sends a request; headers are name and value in turn.
func (s *site) do(method, path, typ, body string, headers ...string) response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	check(s.t, err)
	if typ != "" {
		r.Header.Set("Content-Type", typ)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	check(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(s.t, err)
	return response{resp, string(b)}
}

// want checks a status, and that errors are problems which say so.
func (r response) want(t testing.TB, status int) response {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d, not %d: %s", r.StatusCode, status, r.text)
	}
	if status >= 400 {
		var p Problem
		if err := json.Unmarshal([]byte(r.text), &p); err != nil {
			t.Fatalf("%v in %q", err, r.text)
		}
		if p.Status != status || p.Title == "" || p.Type == "" || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("problem %+v as %s", p, r.Header.Get("Content-Type"))
		}
	}
	return r
}

func client(t testing.TB) *webrtc.PeerConnection {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: newEngine(t), Logger: quiet()})
	check(t, err)
	t.Cleanup(func() { pc.Close() })
	return pc
}

// offer is a client's offer, with its candidates or, to trickle, without.
func offer(t testing.TB, pc *webrtc.PeerConnection, o *webrtc.OfferOptions) string {
	t.Helper()
	d, err := pc.CreateOffer(o)
	check(t, err)
	check(t, pc.SetLocalDescription(d))
	await(t, "gathering", pc.GatheringComplete())
	return pc.LocalDescription().SDP
}

func accept(t testing.TB, pc *webrtc.PeerConnection, answer string) {
	t.Helper()
	check(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPAnswer, SDP: answer}))
}

func await[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func connected(pc *webrtc.PeerConnection) <-chan struct{} {
	c := make(chan struct{}, 1)
	check := func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionConnected {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	pc.OnConnectionStateChange(check)
	check(pc.ConnectionState())
	return c
}

// pump adds a video track and writes key frames to it until the test ends.
func pump(t testing.TB, pc *webrtc.PeerConnection) *webrtc.RTPSender {
	t.Helper()
	track, err := webrtc.NewTrack(vp8, "", "")
	check(t, err)
	sender, err := pc.AddTrack(track)
	check(t, err)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(0); ; seq++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			h := rtp.Header{PayloadType: 96, Seq: seq, Timestamp: uint32(seq) * 3000, SSRC: 7, Marker: true}
			if err := track.WriteRTP(append(h.Append(nil), 0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 1, 2)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	return sender
}

func read(t testing.TB, track *webrtc.MediaStreamTrack, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	buf := make([]byte, 1500)
	for range n {
		k, err := track.ReadRTP(ctx, buf)
		check(t, err)
		if v, ok := rtp.Parse(bytes.Clone(buf[:k])); !ok || len(v.Payload()) != 9 {
			t.Fatal("another packet")
		}
	}
}

func capture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "captures", name))
	check(t, err)
	return string(b)
}
