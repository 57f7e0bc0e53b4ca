package interop

import (
	"fmt"
	"testing"
)

// removeAndClose ends a session from both sides. The server may have noticed
// the close before the DELETE, which then finds nothing.
func removeAndClose(t *testing.T, s *session) {
	t.Helper()
	var v struct{ Status int }
	s.call("remove", options{"andClose": true}, &v)
	if v.Status != 200 && v.Status != 404 {
		t.Errorf("DELETE was answered with %d", v.Status)
	}
}

func TestEndings(t *testing.T) {
	ends := []struct {
		name string
		end  func(t *testing.T, s *session)
	}{
		{"pc.close", func(t *testing.T, s *session) { s.call("close", nil, nil) }},
		{"DELETE", func(t *testing.T, s *session) {
			var v struct{ Status int }
			s.call("remove", nil, &v)
			if v.Status != 200 {
				t.Errorf("DELETE was answered with %d", v.Status)
			}
			s.call("closedByPeer", nil, nil)
		}},
		{"both", func(t *testing.T, s *session) {
			removeAndClose(t, s)
		}},
	}
	for _, e := range ends {
		t.Run(e.name, func(t *testing.T) {
			eachBrowser(t, func(t *testing.T, b browser) {
				s := startServer(t)
				pg := b.open(t)
				media := options{"audio": true, "video": true}
				p := pg.start("publish", s.url+"/whip/room", media)
				v := pg.start("view", s.url+"/whep/room", media)
				x := pg.start("echo", s.url+"/echo", options{"video": true, "channels": []options{{"label": "c"}}})
				v.awaitMedia(5, 5, summary{})
				s.awaitSessions(t, 3)
				for i, one := range []*session{x, v, p} {
					e.end(t, one)
					s.awaitSessions(t, 2-i)
				}
			})
		})
	}
}

// A publisher that goes and comes back: the viewer of before must not hold on
// to what has gone, and the new one sees the new picture.
func TestPublisherComesBack(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		pg := b.open(t)
		media := options{"audio": true, "video": true}
		for range 3 {
			p := pg.start("publish", s.url+"/whip/room", media)
			v := pg.start("view", s.url+"/whep/room", media)
			v.awaitMedia(10, 10, summary{})
			p.call("close", nil, nil)
			v.call("close", nil, nil)
			s.awaitSessions(t, 0)
		}
	})
}

func TestTwentySessionsInARow(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		pg := b.open(t)
		for i := range 20 {
			e := pg.start("echo", s.url+"/echo", options{"audio": i%2 == 0, "video": i%4 == 0, "source": "canvas", "channels": []options{{"label": "a"}, {"label": "b"}}})
			var got echoed
			for _, label := range []string{"a", "b"} {
				e.call("messages", options{"label": label, "kinds": []options{{"size": 100, "count": 10}}}, &got)
				got.check(t, fmt.Sprintf("session %d, %s", i, label))
			}
			if i%3 != 0 { // sometimes the channels are still open
				e.call("closeChannel", options{"label": "a"}, nil)
				// Its stream is free again (RFC 6525).
				e.call("addChannel", options{"label": "again"}, nil)
				e.call("messages", options{"label": "again", "kinds": []options{{"size": 10, "count": 5}}}, &got)
				got.check(t, fmt.Sprintf("session %d, again", i))
				e.call("closeChannel", options{"label": "again"}, nil)
			}
			if i%2 == 0 {
				e.call("close", nil, nil)
			} else {
				removeAndClose(t, e)
			}
		}
		s.awaitSessions(t, 0)
	})
}
