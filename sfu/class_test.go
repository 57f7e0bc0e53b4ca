package sfu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/webrtc"
)

// few is how many sessions a test opens: all, or a part where time counts.
func few(all int) int {
	if testing.Short() || raceEnabled {
		return all / 20
	}
	return all
}

func TestClass33_SessionThatNeverConnectsEnds(t *testing.T) {
	s := newServer(t, Config{ConnectTimeout: 20 * time.Millisecond})
	x, _, err := s.Publish(t.Context(), "ghost", capture(t, "chromium-echo.sdp"))
	if !errors.Is(err, ErrEnded) { // before its answer, on a slow machine
		check(t, err)
		await(t, "end", x.Done())
	}
	eventually(t, "nothing that remains", func() bool { return s.Len() == 0 && len(s.Streams()) == 0 })
}

func TestClass33_TwinConnectedSessionStays(t *testing.T) {
	s := newServer(t, Config{ConnectTimeout: patience})
	x, _ := publish(t, s, "lobby", vp8)
	eventually(t, "a stopped timer", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return x.connected && !x.timer.Stop()
	})
	if _, ok := s.Session(x.ID()); !ok {
		t.Error("the session has ended")
	}
}

func TestClass38_CloseIsBounded(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, "lobby", vp8)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background()) }()
	check(t, await(t, "end of Close", done))
	if s.Len() != 0 {
		t.Error("sessions remain")
	}
}

func TestClass38_CloseAfterTheEngine(t *testing.T) {
	e := newEngine(t)
	s := New(Config{Engine: e, Logger: quiet()})
	_, _, err := s.Echo(t.Context(), capture(t, "chromium-echo.sdp"))
	check(t, err)
	check(t, e.Close())
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background()) }()
	check(t, await(t, "end of Close", done))
}

func heap() (bytes uint64, goroutines int) {
	for range 3 { // finalizers and what they free
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

// descriptors is how many the process has open, where the system tells.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

func TestClass39_SessionsLeaveNothing(t *testing.T) {
	s := newServer(t, Config{})
	offers := map[Role]string{Publisher: capture(t, "chromium-simulcast.sdp"), Echo: capture(t, "firefox-echo.sdp")}
	offers[Viewer] = strings.ReplaceAll(offers[Publisher], "a=sendonly", "a=recvonly")
	round := func(n int) {
		var open []*Session
		for i := range n {
			name := fmt.Sprint("s", i/10)
			var x *Session
			var err error
			switch i % 10 {
			case 0:
				x, _, err = s.Publish(t.Context(), name, offers[Publisher])
			case 1, 2, 3:
				x, _, err = s.Echo(t.Context(), offers[Echo])
			default:
				x, _, err = s.Play(t.Context(), name, offers[Viewer], "")
			}
			check(t, err)
			open = append(open, x)
		}
		if n := s.Len(); n != len(open) {
			t.Fatalf("%d sessions", n)
		}
		for _, x := range open {
			check(t, x.Close())
		}
	}
	n := few(1000)
	round(n) // what is made once, and maps that keep their size
	eventually(t, "no watch", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.watching })
	before, goroutines := heap()
	files := descriptors()
	round(n)
	if s.Len() != 0 || len(s.Streams()) != 0 {
		t.Fatalf("%d sessions, %d streams", s.Len(), len(s.Streams()))
	}
	eventually(t, "goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors as before", func() bool { return descriptors() <= files })
	limit := before + 1<<20
	eventually(t, "the heap as before", func() bool { after, _ := heap(); return after <= limit })
}

func TestClass39_SessionsHaveNoGoroutines(t *testing.T) {
	s := newServer(t, Config{})
	text := capture(t, "firefox-echo.sdp")
	_, _, err := s.Echo(t.Context(), text)
	check(t, err)
	_, before := heap()
	for range few(200) {
		_, _, err := s.Echo(t.Context(), text)
		check(t, err)
	}
	eventually(t, "goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

func TestClass41_StormOfSessions(t *testing.T) {
	s := newServer(t, Config{PublisherGrace: time.Millisecond, MaxSessions: 20})
	pub, sub := capture(t, "chromium-simulcast.sdp"), strings.ReplaceAll(capture(t, "chromium-simulcast.sdp"), "a=sendonly", "a=recvonly")
	expected := []error{ErrLimit, ErrPublished, ErrNoStream, ErrEnded, ErrClosed, ErrNoLayer}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range few(400) / 8 {
				name := fmt.Sprint("s", (g+i)%3)
				var x *Session
				var err error
				switch (g + i) % 4 {
				case 0:
					x, _, err = s.Publish(t.Context(), name, pub)
				case 1:
					x, _, err = s.Echo(t.Context(), sub)
				default:
					x, _, err = s.Play(t.Context(), name, sub, []string{"", "q"}[i%2])
				}
				if err == nil && i%3 == 0 {
					_, err = x.Reoffer(t.Context(), map[bool]string{true: pub, false: sub}[x.Role() == Publisher])
				}
				if err == nil && i%5 == 0 {
					_, err = x.Restart(t.Context(), fmt.Sprint("ufrag", i), "0123456789012345678901", nil)
				}
				if x != nil && i%7 != 0 {
					x.Close()
				}
				ok := err == nil
				for _, e := range expected {
					ok = ok || errors.Is(err, e)
				}
				if !ok {
					t.Error(err)
				}
				s.Streams()
				for _, y := range s.Sessions() {
					if i%11 == 0 {
						y.Close()
					}
				}
			}
		})
	}
	wg.Wait()
	check(t, s.Close(context.Background()))
	eventually(t, "nothing", func() bool { return s.Len() == 0 && len(s.Streams()) == 0 })
}

func TestClass41_PeersThatCloseTogether(t *testing.T) {
	s := newServer(t, Config{PublisherGrace: -1})
	_, pub := publish(t, s, "lobby", vp8)
	var peers []*webrtc.PeerConnection
	for range max(2, few(40)) {
		_, pc, _ := view(t, s, "lobby", webrtc.Video)
		peers = append(peers, pc)
	}
	var wg sync.WaitGroup
	for _, pc := range append(peers, pub) {
		wg.Go(func() {
			if err := pc.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, "nothing", func() bool { return s.Len() == 0 && len(s.Streams()) == 0 })
}
