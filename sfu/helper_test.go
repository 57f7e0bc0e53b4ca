package sfu

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/webrtc"
)

// patience bounds waits that end early whenever the code is right.
const patience = 30 * time.Second

var (
	vp8  = webrtc.Codec{MimeType: "video/VP8", ClockRate: 90000}
	h264 = webrtc.Codec{MimeType: "video/H264", ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}
	opus = webrtc.Codec{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}
)

func newEngine(t testing.TB) *dataplane.Engine {
	t.Helper()
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Engine, cfg.Logger = newEngine(t), quiet()
	s := New(cfg)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a peer with a port of its own, as peers have.
func client(t testing.TB, codecs ...webrtc.Codec) *webrtc.PeerConnection {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: newEngine(t), Codecs: codecs, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// offer is a client's offer with its candidates.
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

// state is closed when a connection has been in a state.
func state(pc *webrtc.PeerConnection, want webrtc.PeerConnectionState) <-chan struct{} {
	c := make(chan struct{})
	var once sync.Once
	check := func(s webrtc.PeerConnectionState) {
		if s == want {
			once.Do(func() { close(c) })
		}
	}
	pc.OnConnectionStateChange(check)
	check(pc.ConnectionState())
	return c
}

func connected(pc *webrtc.PeerConnection) <-chan struct{} {
	return state(pc, webrtc.PeerConnectionConnected)
}

// publish publishes tracks of these formats, and writes key frames to each
// until the test ends.
func publish(t testing.TB, s *Server, name string, codecs ...webrtc.Codec) (*Session, *webrtc.PeerConnection) {
	t.Helper()
	pc := client(t, codecs...)
	for _, c := range codecs {
		pump(t, pc, c)
	}
	x, answer, err := s.Publish(t.Context(), name, offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	await(t, "publisher", connected(pc))
	ready(t, x)
	return x, pc
}

// ready waits until the server's side is connected too: a goodbye that
// overtakes the end of the handshake is lost, as any datagram may be.
func ready(t testing.TB, x *Session) {
	t.Helper()
	eventually(t, "a connected session", func() bool {
		return x.PeerConnection().ConnectionState() == webrtc.PeerConnectionConnected
	})
}

// pump adds a track and writes key frames to it until the test ends.
func pump(t testing.TB, pc *webrtc.PeerConnection, c webrtc.Codec) *webrtc.RTPSender {
	t.Helper()
	track, err := webrtc.NewTrack(c, "", "")
	check(t, err)
	sender, err := pc.AddTrack(track)
	check(t, err)
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(0); ; seq++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			h := rtp.Header{PayloadType: 96, Seq: seq, Timestamp: uint32(seq) * 3000, SSRC: 7, Marker: true}
			// VP8: a key frame each time; H264: an IDR.
			payload := []byte{0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 1, 2}
			if c.Name() == "H264" {
				payload = []byte{0x65, 1, 2, 3}
			}
			if err := track.WriteRTP(append(h.Append(nil), payload...)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); done.Wait() })
	return sender
}

// view plays a stream with sections of these kinds.
func view(t testing.TB, s *Server, name string, kinds ...webrtc.Kind) (*Session, *webrtc.PeerConnection, <-chan webrtc.TrackEvent) {
	t.Helper()
	pc := client(t)
	tracks := make(chan webrtc.TrackEvent, 8)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	for _, k := range kinds {
		_, err := pc.AddTransceiver(k, webrtc.RecvOnly)
		check(t, err)
	}
	x, answer, err := s.Play(t.Context(), name, offer(t, pc, nil), "")
	check(t, err)
	accept(t, pc, answer)
	await(t, "viewer", connected(pc))
	ready(t, x)
	return x, pc, tracks
}

// packets reads n packets of a track.
func packets(t testing.TB, track *webrtc.MediaStreamTrack, n int) []rtp.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var list []rtp.View
	buf := make([]byte, 1500)
	for range n {
		k, err := track.ReadRTP(ctx, buf)
		check(t, err)
		v, ok := rtp.Parse(bytes.Clone(buf[:k]))
		if !ok {
			t.Fatal("not RTP")
		}
		list = append(list, v)
	}
	return list
}

func capture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "captures", name))
	check(t, err)
	return string(b)
}

// eventually looks until a condition holds that has no event.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !f(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}
