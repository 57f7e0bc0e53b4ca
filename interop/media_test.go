package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// pairings are who publishes and who watches.
func pairings(t *testing.T, f func(t *testing.T, pub, view browser)) {
	for _, p := range browsers {
		for _, v := range browsers {
			t.Run(p.name+" to "+v.name, func(t *testing.T) { f(t, p, v) })
		}
	}
}

func TestPublishAndWatch(t *testing.T) {
	pairings(t, func(t *testing.T, pub, view browser) {
		s := startServer(t)
		p := pub.open(t).start("publish", s.url+"/whip/room", options{"audio": true, "video": true})
		p.logTransport("publisher")
		first := p.now().Pair.Available
		watching := view.open(t)
		var viewers []*session
		for range 2 {
			v := watching.start("view", s.url+"/whep/room", options{"audio": true, "video": true})
			viewers = append(viewers, v)
		}
		viewers[0].logTransport("viewer")
		s.awaitSessions(t, 3)
		for i, v := range viewers {
			got := v.awaitMedia(31, 50, summary{})
			for _, in := range got.Inbound {
				t.Logf("viewer %d: %s %s %.0fx%.0f: %.0f packets, %.0f lost, %.0f frames, %.0f key frames, energy %.2g, %.0f PLI", i, in.Kind, in.Codec, in.Width, in.Height,
					in.Packets, in.Lost, in.Frames, in.KeyFrames, in.Energy, in.PLIs)
				if in.Lost > 0 {
					t.Errorf("viewer %d lost %.0f packets of %s", i, in.Lost, in.Kind)
				}
			}
		}
		bandwidth(t, p, first)
		s.transports(t)
	})
}

// bandwidth checks that the publisher is told of its packets' arrival, so that
// it sends what it would like to. first is what it had at the beginning.
func bandwidth(t *testing.T, p *session, first float64) {
	t.Helper()
	if p.p.b.kind != "chromium" {
		eventually(t, "report about the publisher's packets", func() error {
			v, err := p.stats()
			if err == nil && len(v.RemoteInbound) < 2 {
				err = fmt.Errorf("%d remote-inbound-rtp", len(v.RemoteInbound))
			}
			for _, r := range v.RemoteInbound {
				if r.Lost > 0 {
					t.Errorf("%s: %.0f lost", r.Kind, r.Lost)
				}
			}
			return err
		})
		return
	}
	eventually(t, "bandwidth of 1 Mbit/s for the publisher", func() error {
		v, err := p.stats()
		if err != nil {
			return err
		}
		for _, o := range v.Outbound {
			if o.Kind == "video" && v.Pair.Available >= 1e6 && o.Target >= 1e6 && o.Limited != "bandwidth" {
				t.Logf("available bandwidth rose from %.0f to %.0f bit/s, target %.0f, limited by %s", first, v.Pair.Available, o.Target, o.Limited)
				return nil
			}
			err = fmt.Errorf("%.0f bit/s available, target %.0f, limited by %s", v.Pair.Available, o.Target, o.Limited)
		}
		return err
	})
	v := p.now()
	for _, r := range v.RemoteInbound {
		if r.Lost > 0 {
			t.Errorf("%s: %.0f of the publisher's packets lost", r.Kind, r.Lost)
		}
	}
}

// A viewer that comes late waits for no key frame of the publisher's own: the
// server asks for one.
func TestLateViewerSeesAPictureAtOnce(t *testing.T) {
	pairings(t, func(t *testing.T, pub, view browser) {
		s := startServer(t)
		p := pub.open(t).start("publish", s.url+"/whip/room", options{"audio": true, "video": true})
		first := view.open(t).start("view", s.url+"/whep/room", options{"audio": true, "video": true})
		first.awaitMedia(60, 0, summary{})
		for i := range 3 {
			v := first.p.start("view", s.url+"/whep/room", options{"audio": true, "video": true})
			within(t, 2*time.Second, "picture of a late viewer", func() error {
				got, err := v.stats()
				if err == nil && got.frames() < 1 {
					err = fmt.Errorf("%.0f frames of %.0f packets", got.frames(), got.packets("video"))
				}
				return err
			})
			t.Logf("viewer %d was connected after %.0f ms", i, v.ConnectedAfter)
		}
		for _, o := range p.now().Outbound {
			if o.Kind == "video" {
				t.Logf("the publisher got %.0f PLI and %.0f FIR, and made %.0f key frames", o.PLIs, o.FIRs, o.KeyFrames)
				if o.PLIs+o.FIRs == 0 {
					t.Error("nobody asked the publisher for a key frame")
				}
			}
		}
	})
}

// Formats that not every browser encodes; each is watched by every browser
// that can decode it.
func TestCodecs(t *testing.T) {
	for _, c := range []struct {
		codec string
		pub   browser
		view  []browser
	}{
		{"VP8", chromium, browsers},
		{"VP9", chromium, browsers},
		{"H264", chromium, []browser{chromium}},
		{"AV1", chromium, browsers},
		{"VP9", firefox, browsers},
	} {
		t.Run(c.codec+" from "+c.pub.name, func(t *testing.T) {
			s := startServer(t)
			c.pub.open(t).start("publish", s.url+"/whip/room", options{"video": true, "codec": c.codec, "width": 320, "height": 240})
			for _, b := range c.view {
				v := b.open(t).start("view", s.url+"/whep/room", options{"video": true})
				got := v.awaitMedia(31, 0, summary{})
				for _, in := range got.Inbound {
					t.Logf("%s: %s %.0fx%.0f, %.0f frames, %.0f key frames, %.0f lost", b.name, in.Codec, in.Width, in.Height, in.Frames, in.KeyFrames, in.Lost)
					if !strings.EqualFold(in.Codec, "video/"+c.codec) {
						t.Errorf("%s watches %s", b.name, in.Codec)
					}
				}
			}
		})
	}
}
