package webrtc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// bounded fails the test when f does not return.
func bounded(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	await(t, "return of Close", done)
}

// isClosed awaits the end of a connection, after which no method works.
func isClosed(t *testing.T, pc *PeerConnection) {
	t.Helper()
	await(t, "Done", pc.Done())
	if s := pc.ConnectionState(); s != PeerConnectionClosed || pc.SignalingState() != SignalingClosed || pc.ICEConnectionState() != ICEConnectionClosed {
		t.Errorf("%v %v %v", s, pc.SignalingState(), pc.ICEConnectionState())
	}
	if _, err := pc.CreateOffer(nil); !errors.Is(err, ErrInvalidState) {
		t.Errorf("CreateOffer: %v", err)
	}
	if err := pc.AddICECandidate(ICECandidate{}); !errors.Is(err, ErrInvalidState) {
		t.Errorf("AddICECandidate: %v", err)
	}
}

// Class 38: Close returns, whatever the connection is doing, and what it was
// doing ends too.
func TestClass38_CloseNeverBlocks(t *testing.T) {
	t.Run("new", func(t *testing.T) {
		pc := newPC(t, Config{Engine: newEngine(t, 1)})
		bounded(t, func() { pc.Close(); pc.Close() })
		isClosed(t, pc)
	})
	t.Run("concurrently", func(t *testing.T) {
		a, _, _, _ := linked(t)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		bounded(t, wg.Wait)
		isClosed(t, a)
	})
	t.Run("in a handler", func(t *testing.T) {
		a, b := couple(t)
		done := make(chan error, 1)
		a.OnConnectionStateChange(func(s PeerConnectionState) {
			if s == PeerConnectionConnected {
				done <- a.Close()
			}
		})
		must(a.CreateDataChannel("x", nil))(t)
		negotiate(t, a, b, nil)
		if err := await(t, "close in a handler", done); err != nil {
			t.Error(err)
		}
		isClosed(t, a)
		await(t, "end of the peer", b.Done())
	})
	t.Run("in a message handler", func(t *testing.T) {
		a, b, dc, in := linked(t)
		done := make(chan error, 1)
		in.OnMessage(func(Message) { done <- b.Close() })
		if err := dc.SendText("x"); err != nil {
			t.Fatal(err)
		}
		if err := await(t, "close in a handler", done); err != nil {
			t.Error(err)
		}
		await(t, "end of the peer", a.Done())
	})
}

func TestClass38_CloseOfABusyConnection(t *testing.T) {
	t.Run("while negotiating", func(t *testing.T) {
		for step := range 5 {
			a, b := couple(t)
			must(a.AddTransceiver(Video, ""))(t)
			must(a.CreateDataChannel("x", nil))(t)
			steps := []func() error{
				func() error { return a.SetLocalDescription(SessionDescription{}) },
				func() error { return b.SetRemoteDescription(a.LocalDescription()) },
				func() error { return b.SetLocalDescription(SessionDescription{}) },
				func() error { return a.SetRemoteDescription(b.LocalDescription()) },
			}
			for _, f := range steps[:step] {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}
			bounded(t, func() { a.Close() })
			isClosed(t, a)
			bounded(t, func() { b.Close() })
			isClosed(t, b)
			select {
			case <-a.GatheringComplete():
			default:
				t.Error("who waits for gathering waits for ever")
			}
		}
	})
	t.Run("while gathering", func(t *testing.T) {
		// A server that never answers keeps gathering going for seconds.
		e := newEngine(t, 1)
		server := newWire(t, e)
		pc := newPC(t, Config{Engine: e, ICEServers: []ICEServer{{URLs: []string{"stun:" + server.conn.LocalAddr().String()}}}})
		must(pc.CreateDataChannel("x", nil))(t)
		if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if s := pc.ICEGatheringState(); s != ICEGatheringGathering {
			t.Fatal(s)
		}
		bounded(t, func() { pc.Close() })
		isClosed(t, pc)
		await(t, "end of gathering", pc.GatheringComplete())
	})
	t.Run("while sending", func(t *testing.T) {
		a, b, dc, in := linked(t)
		var wg sync.WaitGroup
		for _, dc := range []*DataChannel{dc, in} {
			wg.Go(func() {
				for {
					err := dc.Send(make([]byte, 10000))
					if errors.Is(err, ErrInvalidState) {
						return
					} else if err != nil && !errors.Is(err, ErrOperation) {
						t.Error(err)
						return
					}
				}
			})
		}
		bounded(t, func() { a.Close() })
		await(t, "end of the peer", b.Done())
		bounded(t, wg.Wait)
	})
}

func TestClass38_CloseAfterAndWithTheEngine(t *testing.T) {
	t.Run("after the engine", func(t *testing.T) {
		e := newEngine(t, 2)
		pc, other := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: newEngine(t, 1)})
		link(t, pc, other, "x", nil)
		bounded(t, func() { e.Close() })
		bounded(t, func() { pc.Close() })
		if _, err := pc.CreateOffer(nil); !errors.Is(err, ErrInvalidState) {
			t.Errorf("CreateOffer: %v", err)
		}
		if _, err := pc.GetStats(); !errors.Is(err, ErrInvalidState) {
			t.Errorf("GetStats: %v", err)
		}
		bounded(t, func() { e.Close() })
	})
	t.Run("with the engine", func(t *testing.T) {
		e := newEngine(t, 2)
		pc, other := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: newEngine(t, 1)})
		link(t, pc, other, "x", nil)
		var wg sync.WaitGroup
		wg.Go(func() { e.Close() })
		wg.Go(func() { pc.Close() })
		wg.Go(func() { _, _ = pc.GetStats() })
		bounded(t, wg.Wait)
	})
}

func TestPeersCloseNotifyEndsTracksAndChannels(t *testing.T) {
	a, b, dc, in := linked(t)
	must(a.AddTrack(vp8Track(t)))(t)
	tracks := make(chan TrackEvent, 1)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	negotiate(t, a, b, nil)
	track := await(t, "track", tracks).Track
	ca, cb := closedOf(dc), closedOf(in)
	sb := states(b)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	awaitState(t, sb, PeerConnectionClosed, PeerConnectionFailed)
	await(t, "close", ca)
	await(t, "close", cb)
	drained(t, track)
	if dc.ReadyState() != DataChannelClosed || in.ReadyState() != DataChannelClosed {
		t.Error(dc.ReadyState(), in.ReadyState())
	}
}

// Classes 40 and 41: connections that are closed at any moment, by either
// side, while others on the same engine go on.
func TestClass40_41_CloseStorm(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	server := newEngine(t, 2)
	stays, peer := newPC(t, Config{Engine: server}), newPC(t, Config{Engine: newEngine(t, 1)})
	dc, _ := link(t, stays, peer, "stays", nil)
	client := newEngine(t, 2)
	rng := rand.New(rand.NewPCG(40, 41))
	for round := range rounds {
		// Its own pair of engines' ports is shared by all rounds: one after
		// the other, each takes the address from the one before.
		a, b := newPC(t, Config{Engine: client, ICETimers: hasty}), newPC(t, Config{Engine: server, ICETimers: hasty})
		cam := vp8Track(t)
		must(a.AddTrack(cam))(t)
		x := must(a.CreateDataChannel("x", nil))(t)
		x.OnOpen(func() { _ = x.SendText("hello") })
		b.OnDataChannel(func(in *DataChannel) {
			in.OnMessage(func(m Message) { _ = in.Send(m.Data) })
		})
		when := rng.IntN(4)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range uint32(50) {
				_ = cam.WriteRTP(vp8(i))
			}
		})
		negotiate(t, a, b, nil)
		switch when {
		case 1:
			await(t, "connection", connected(a))
		case 2:
			await(t, "connection", connected(b))
		case 3:
			await(t, "connection", connected(a))
			await(t, "connection", connected(b))
		}
		wg.Go(func() { a.Close() })
		wg.Go(func() { _, _ = b.GetStats() })
		if round%2 == 0 {
			wg.Go(func() { b.Close() })
		}
		wg.Go(func() { _ = x.SendText("more") })
		wg.Wait()
		b.Close()
	}
	echo(t, peer, dc)
	awaitTransports(t, server, 1)
	awaitTransports(t, client, 0)
	if n := server.Stats().Panics + client.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
}

// hasty makes checks follow each other as fast as they may.
var hasty = ICETimers{Pacing: 5 * time.Millisecond}

// heap is the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// awaitGoroutines waits until no more than n goroutines are left.
func awaitGoroutines(t testing.TB, n int) {
	t.Helper()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > n; tick() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, not %d:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
		}
	}
}

// Class 39: what was opened and closed leaves nothing behind.
func TestClass39_OpenedAndClosedLeavesNothing(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 40
	}
	server, client := newEngine(t, 2), newEngine(t, 2)
	// Of one certificate, so that the time goes into connections.
	cert := newPC(t, Config{Engine: server}).certificate
	once := func() {
		a := must(NewPeerConnection(Config{Engine: client, Certificate: cert, ICETimers: hasty}))(t)
		b := must(NewPeerConnection(Config{Engine: server, Certificate: cert, ICETimers: hasty}))(t)
		must(a.AddTrack(vp8Track(t)))(t)
		dc := must(a.CreateDataChannel("x", nil))(t)
		open := opened(dc)
		negotiate(t, a, b, nil)
		await(t, "open", open)
		a.Close()
		await(t, "end of the peer", b.Done())
	}
	for range 5 {
		once()
	}
	awaitTransports(t, server, 0)
	goroutines, before := runtime.NumGoroutine(), heap()
	for range n {
		once()
	}
	awaitTransports(t, server, 0)
	awaitTransports(t, client, 0)
	awaitGoroutines(t, goroutines)
	// The engine remembers the ids of STUN requests for a while, a hundred
	// bytes each, and queues grow to what they had to hold once. A pair of
	// connections is some 100 KiB.
	if left := heap() - before; left > 512<<10+int64(n)<<10 {
		t.Errorf("%d bytes are left of %d pairs of connections", left, n)
	}
}

func TestIdleConnectionsHaveNoGoroutines(t *testing.T) {
	n := 100
	if testing.Short() {
		n = 20
	}
	server := newEngine(t, 2)
	cert := newPC(t, Config{Engine: server}).certificate
	var pcs []*PeerConnection
	for i := range n {
		pcs = append(pcs, newPC(t, Config{Engine: server, Certificate: cert}))
		must(pcs[i].AddTransceiver(Video, ""))(t)
		must(pcs[i].CreateDataChannel("x", nil))(t)
		if err := pcs[i].SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		settled(t, pcs[i])
	}
	before := runtime.NumGoroutine()
	peers := make([]*PeerConnection, n)
	engines := 0
	for i, pc := range pcs {
		peers[i] = newPC(t, Config{Engine: newEngine(t, 1), Certificate: cert})
		engines++
		if err := peers[i].SetRemoteDescription(pc.LocalDescription()); err != nil {
			t.Fatal(err)
		}
		if err := peers[i].SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if err := pc.SetRemoteDescription(peers[i].LocalDescription()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range pcs {
		await(t, fmt.Sprint("connection ", i), connected(pcs[i]))
		await(t, fmt.Sprint("connection of peer ", i), connected(peers[i]))
	}
	// Two lanes and a watch for each engine, and nothing for a connection.
	awaitGoroutines(t, before+3*engines)
}
