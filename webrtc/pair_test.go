package webrtc

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
)

// patience bounds waits that end early whenever the code is right.
const patience = 20 * time.Second

func newEngine(t testing.TB, shards int) *dataplane.Engine {
	t.Helper()
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: shards})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func newPC(t testing.TB, cfg Config) *PeerConnection {
	t.Helper()
	pc, err := NewPeerConnection(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// negotiate runs one offer and answer, with all candidates inside.
func negotiate(t testing.TB, a, b *PeerConnection, options *OfferOptions) {
	t.Helper()
	offer := must(a.CreateOffer(options))(t)
	if err := a.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-a.GatheringComplete()
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	answer := must(b.CreateAnswer())(t)
	if err := b.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	<-b.GatheringComplete()
	if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
		t.Fatal(err)
	}
}

// await waits for a value that a handler sends.
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

func connected(pc *PeerConnection) <-chan struct{} {
	c := make(chan struct{}, 1)
	check := func(s PeerConnectionState) {
		if s == PeerConnectionConnected {
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

func TestDataChannelsBothWays(t *testing.T) {
	for _, shards := range []int{1, 3} {
		for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
			t.Run(fmt.Sprintf("%d shards, role %d", shards, role), func(t *testing.T) {
				ea, eb := newEngine(t, shards), newEngine(t, shards)
				a, b := newPC(t, Config{Engine: ea}), newPC(t, Config{Engine: eb, DTLSRole: role})
				incoming := make(chan *DataChannel, 1)
				b.OnDataChannel(func(dc *DataChannel) {
					dc.OnMessage(func(m Message) {
						var err error
						if m.Text {
							err = dc.SendText(string(m.Data))
						} else {
							err = dc.Send(m.Data)
						}
						if err != nil {
							t.Error(err)
						}
					})
					incoming <- dc
				})
				dc := must(a.CreateDataChannel("chat", &DataChannelInit{Protocol: "p"}))(t)
				open := make(chan struct{}, 1)
				dc.OnOpen(func() { open <- struct{}{} })
				back := make(chan Message, 100)
				dc.OnMessage(func(m Message) { back <- m })
				negotiate(t, a, b, nil)
				await(t, "open", open)
				if in := await(t, "incoming channel", incoming); in.Label() != "chat" || in.Protocol() != "p" || !in.Ordered() {
					t.Fatalf("%q %q %v", in.Label(), in.Protocol(), in.Ordered())
				}
				big := bytes.Repeat([]byte("0123456789abcdef"), 65536/16)
				for _, m := range []Message{{true, []byte("hello")}, {false, []byte{1}}, {false, nil}, {true, nil}, {false, big}} {
					var err error
					if m.Text {
						err = dc.SendText(string(m.Data))
					} else {
						err = dc.Send(m.Data)
					}
					if err != nil {
						t.Fatal(err)
					}
					got := await(t, "echo", back)
					if got.Text != m.Text || !bytes.Equal(got.Data, m.Data) {
						t.Fatalf("sent %v %d bytes, got %v %d bytes", m.Text, len(m.Data), got.Text, len(got.Data))
					}
				}
				closed := make(chan struct{}, 1)
				dc.OnClose(func() { closed <- struct{}{} })
				dc.Close()
				await(t, "close", closed)
			})
		}
	}
}

func TestMediaIsForwardedFromPublisherToViewer(t *testing.T) {
	for _, c := range []struct {
		shards int
		later  bool // media is negotiated when data channels are open already
	}{{1, false}, {3, false}, {1, true}, {3, true}} {
		t.Run(fmt.Sprintf("%d shards, later %v", c.shards, c.later), func(t *testing.T) {
			server, client := newEngine(t, c.shards), newEngine(t, 1)
			pub, in := newPC(t, Config{Engine: client}), newPC(t, Config{Engine: server})
			if c.later {
				dc := must(pub.CreateDataChannel("chat", nil))(t)
				open := make(chan struct{}, 1)
				dc.OnOpen(func() { open <- struct{}{} })
				negotiate(t, pub, in, nil)
				await(t, "open", open)
				for _, pc := range []*PeerConnection{pub, in} {
					pc.lane.Do(func(mono.Time) {
						if pc.transports[0].media {
							t.Error("keys of media where there is none")
						}
					})
				}
			}
			track := must(NewTrack(Codec{MimeType: "video/VP8", ClockRate: 90000}, "cam", "s"))(t)
			must(pub.AddTrack(track))(t)
			tracks := make(chan TrackEvent, 1)
			in.OnTrack(func(e TrackEvent) { tracks <- e })
			negotiate(t, pub, in, nil)
			ev := await(t, "track", tracks)
			await(t, "publisher", connected(pub))
			await(t, "ingest", connected(in))

			// Its own engine: two connections between one pair of ports would share
			// an address, by which packets are told apart.
			out, view := newPC(t, Config{Engine: server}), newPC(t, Config{Engine: newEngine(t, 1)})
			must(out.AddTrack(ev.Track))(t)
			viewed := make(chan TrackEvent, 1)
			view.OnTrack(func(e TrackEvent) { viewed <- e })
			negotiate(t, out, view, nil)
			got := await(t, "viewer's track", viewed)
			await(t, "viewer", connected(view))

			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for seq := uint16(0); ; seq++ {
					h := rtp.Header{PayloadType: 96, Seq: seq, Timestamp: uint32(seq) * 3000, SSRC: 7, Marker: true}
					// VP8: a key frame each time.
					pkt := append(h.Append(nil), 0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, byte(seq>>8), byte(seq))
					if err := track.WriteRTP(pkt); err != nil {
						t.Error(err)
						return
					}
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
				}
			}()
			buf := make([]byte, 1500)
			var last rtp.View
			for i := range 100 {
				n, err := got.Track.ReadRTP(ctx, buf)
				if err != nil {
					t.Fatal(err)
				}
				v, ok := rtp.Parse(bytes.Clone(buf[:n]))
				if !ok {
					t.Fatal("not RTP")
				}
				if i > 0 && (v.Seq != last.Seq+1 || v.Timestamp != last.Timestamp+3000 || v.SSRC != last.SSRC) {
					t.Fatalf("after %d/%d comes %d/%d", last.Seq, last.Timestamp, v.Seq, v.Timestamp)
				}
				last = v
			}
		})
	}
}
