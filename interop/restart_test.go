package interop

import (
	"errors"
	"fmt"
	"testing"
)

var errNotYet = errors.New("not yet")

type reoffered struct {
	Status                     int
	Restarted, RemoteRestarted bool
	Changed                    bool
	Fragment                   string
}

func TestICERestart(t *testing.T) {
	ways := map[string]func(*session) reoffered{
		"offer": func(e *session) (r reoffered) {
			e.call("reoffer", options{"iceRestart": true}, &r)
			if !r.Restarted || !r.RemoteRestarted {
				e.p.t.Errorf("restarted here %v, there %v", r.Restarted, r.RemoteRestarted)
			}
			return r
		},
		"fragment": func(e *session) (r reoffered) {
			e.call("restartByFragment", nil, &r)
			if !r.Changed {
				e.p.t.Errorf("the server kept its credentials:\n%s", r.Fragment)
			}
			return r
		},
	}
	for way, restart := range ways {
		t.Run(way, func(t *testing.T) {
			eachBrowser(t, func(t *testing.T, b browser) {
				s := startServer(t)
				e := b.open(t).start("echo", s.url+"/echo", options{"audio": true, "video": true, "channels": []options{{"label": "c"}}})
				e.awaitMedia(5, 10, summary{})
				for i := range 3 {
					before := e.now()
					if r := restart(e); r.Status != 200 {
						t.Errorf("PATCH was answered with %d", r.Status)
					}
					e.awaitMedia(10, 10, before)
					var got echoed
					e.call("messages", options{"label": "c", "kinds": []options{{"size": 1000, "count": 50}}}, &got)
					got.check(t, fmt.Sprintf("after restart %d", i+1))
				}
				if v := e.now(); v.State != "connected" {
					t.Errorf("connection %s after %v", v.State, v.States)
				}
				s.awaitSessions(t, 1)
			})
		})
	}
}

// Viewers keep their picture while the publisher restarts ICE.
func TestPublisherRestartsICE(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		pg := b.open(t)
		p := pg.start("publish", s.url+"/whip/room", options{"audio": true, "video": true})
		v := pg.start("view", s.url+"/whep/room", options{"audio": true, "video": true})
		before := v.awaitMedia(5, 10, summary{})
		p.call("reoffer", options{"iceRestart": true}, nil)
		before = v.awaitMedia(20, 20, before)
		v.call("reoffer", options{"iceRestart": true}, nil)
		v.awaitMedia(20, 20, before)
	})
}

func TestRenegotiation(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		e := b.open(t).start("echo", s.url+"/echo", options{"audio": true, "video": true})
		before := e.awaitMedia(5, 10, summary{})

		var r reoffered
		e.call("reoffer", options{"addVideo": "sendrecv", "source": "canvas"}, &r)
		if r.Restarted || r.RemoteRestarted {
			t.Error("ICE restarted unasked")
		}
		awaitMID(t, e, "2", before)
		e.awaitMedia(20, 20, e.now())

		// The first video ends; the second goes on.
		e.call("reoffer", options{"stopMid": "1"}, &r)
		before = e.now()
		awaitMID(t, e, "2", before)

		// Its place is taken again (RFC 8829 §5.2.2).
		e.call("reoffer", options{"addVideo": "sendrecv", "source": "canvas"}, &r)
		eventually(t, "second picture again", func() error {
			v, err := e.stats()
			if err != nil {
				return err
			}
			live := 0
			for _, in := range v.Inbound {
				if in.Kind == "video" && in.Frames > 10 && in.MID != "1" {
					live++
				}
			}
			if live < 2 {
				return fmt.Errorf("%d pictures: %+v", live, v.Inbound)
			}
			return nil
		})
		s.awaitSessions(t, 1)
	})
}

// awaitMID waits for frames in one section.
func awaitMID(t *testing.T, e *session, mid string, before summary) {
	t.Helper()
	frames := func(v summary) (n float64) {
		for _, in := range v.Inbound {
			if in.MID == mid {
				n = in.Frames
			}
		}
		return n
	}
	eventually(t, "frames in section "+mid, func() error {
		v, err := e.stats()
		if err == nil && frames(v) < frames(before)+20 {
			err = fmt.Errorf("%.0f frames after %.0f: %+v", frames(v), frames(before), v.Inbound)
		}
		return err
	})
}

// A publisher that starts with sound and adds its camera later.
func TestPublisherAddsVideo(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		pg := b.open(t)
		p := pg.start("publish", s.url+"/whip/room", options{"audio": true})
		p.call("reoffer", options{"addVideo": "sendonly", "source": "canvas"}, nil)
		v := pg.start("view", s.url+"/whep/room", options{"audio": true, "video": true})
		v.awaitMedia(20, 20, summary{})
	})
}
