package interop

import (
	"fmt"
	"testing"
)

func TestSimulcastLayers(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		pg := b.open(t)
		p := pg.start("publish", s.url+"/whip/room", options{"audio": true, "video": true, "simulcast": true, "source": "canvas", "width": 960, "height": 540})
		eventually(t, "three layers at the publisher", func() error {
			v, err := p.stats()
			if err != nil {
				return err
			}
			n := 0
			for _, o := range v.Outbound {
				if o.Kind == "video" && o.Frames > 10 {
					n++
				}
			}
			if n < 3 {
				return fmt.Errorf("%d layers: %+v", n, v.Outbound)
			}
			return nil
		})
		// Another browser watches: it decodes what this one encodes.
		for _, w := range browsers {
			watching := pg // a canvas in a hidden page stands still
			if w.name != b.name {
				watching = w.open(t)
			}
			widths := map[string]float64{}
			for _, rid := range []string{"q", "h", "f"} {
				v := watching.start("view", s.url+"/whep/room?rid="+rid, options{"audio": true, "video": true})
				got := v.awaitMedia(31, 20, summary{})
				for _, in := range got.Inbound {
					if in.Kind == "video" {
						widths[rid] = in.Width
						t.Logf("%s sees %s: %.0fx%.0f, %.0f frames, %.0f lost, %.0f PLI", w.name, rid, in.Width, in.Height, in.Frames, in.Lost, in.PLIs)
						if in.Lost > 0 {
							t.Errorf("%s: %.0f lost", rid, in.Lost)
						}
					}
				}
				v.call("close", nil, nil)
			}
			if !(widths["q"] < widths["h"] && widths["h"] < widths["f"]) {
				t.Errorf("%s sees widths %v", w.name, widths)
			}
		}
		for _, o := range p.now().Outbound {
			if o.Kind == "video" {
				t.Logf("layer %s: %.0fx%.0f %.0f frames, %.0f key frames, target %.0f, limited by %s", o.RID, o.Width, o.Height, o.Frames, o.KeyFrames, o.Target, o.Limited)
			}
		}
	})
}
