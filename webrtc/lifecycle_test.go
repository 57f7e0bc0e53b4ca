package webrtc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/stun"
)

func TestLocalDescriptionMustBeTheOneCreatedLast(t *testing.T) {
	a, b := couple(t)
	must(a.CreateDataChannel("x", nil))(t)
	must(a.AddTransceiver(Video, ""))(t)
	offer := func(f func(string) string) SessionDescription {
		d := must(a.CreateOffer(nil))(t)
		return SessionDescription{SDPOffer, f(d.SDP)}
	}
	same := func(s string) string { return s }
	stale := offer(same)
	refused := func(pc *PeerConnection, d SessionDescription, says string) {
		t.Helper()
		before := pc.SignalingState()
		err := pc.SetLocalDescription(d)
		if !errors.Is(err, ErrInvalidModification) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%v, want %q", err, says)
		}
		if pc.SignalingState() != before {
			t.Errorf("%v, was %v", pc.SignalingState(), before)
		}
	}
	refused(b, stale, "no offer has been created")
	refused(a, offer(func(s string) string { return strings.Replace(s, "a=sendrecv", "a=sendonly", 1) }), `"a=sendrecv" as created`)
	secret := offer(func(s string) string { return strings.Replace(s, "a=ice-pwd:", "a=ice-pwd:hunter2", 1) })
	refused(a, secret, `"a=ice-pwd" as created`)
	if err := a.SetLocalDescription(secret); strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	refused(a, offer(func(s string) string { return s + "a=extra\r\n" }), "were added")
	refused(a, offer(func(s string) string { return s[:len(s)-10] }), "differs")
	offer(same)
	refused(a, stale, "differs") // made before the last one
	d := offer(same)
	for range 2 { // once more changes nothing
		if err := a.SetLocalDescription(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	refused(b, SessionDescription{SDPAnswer, d.SDP}, "no answer has been created")
	answer := must(b.CreateAnswer())(t)
	refused(b, SessionDescription{SDPPranswer, answer.SDP + "\r\n"}, "added")
	for _, typ := range []SDPType{SDPPranswer, SDPAnswer} {
		if err := b.SetLocalDescription(SessionDescription{typ, answer.SDP}); err != nil {
			t.Fatal(err)
		}
	}
	// What a rollback has given up is not set again.
	d = must(b.CreateOffer(nil))(t)
	if err := errors.Join(b.SetLocalDescription(d), b.SetLocalDescription(SessionDescription{Type: SDPRollback})); err != nil {
		t.Fatal(err)
	}
	refused(b, d, "no offer has been created")
}

func TestTimersOutOfRangeAreRefused(t *testing.T) {
	e := newEngine(t, 1)
	for _, cfg := range []Config{
		{ICETimers: ICETimers{Pacing: time.Millisecond}}, {ICETimers: ICETimers{ConsentInterval: time.Second}},
		{ICETimers: ICETimers{FailedTimeout: -1}}, {ICETimers: ICETimers{MaxRequests: -1}}, {ICETimers: ICETimers{Retransmission: 1}},
		{DTLSTimers: DTLSTimers{Handshake: -1}}, {DTLSTimers: DTLSTimers{Retransmission: -1}},
	} {
		cfg.Engine = e
		if _, err := NewPeerConnection(cfg); !errors.Is(err, ErrType) {
			t.Errorf("%+v: %v", cfg.ICETimers, err)
		}
	}
}

func TestTimersAreKept(t *testing.T) {
	t.Run("FailedTimeout, though a check is unanswered", func(t *testing.T) {
		a := newPC(t, Config{Engine: newEngine(t, 1), ICETimers: ICETimers{FailedTimeout: 100 * time.Millisecond}})
		b := newPC(t, Config{Engine: newEngine(t, 1), ICELite: true})
		must(a.CreateDataChannel("x", nil))(t)
		sa := states(a)
		// The peer is gone before we know where it was.
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(a.SetLocalDescription(must(a.CreateOffer(nil))(t)))
		<-a.GatheringComplete()
		check(b.SetRemoteDescription(a.LocalDescription()))
		check(b.SetLocalDescription(must(b.CreateAnswer())(t)))
		<-b.GatheringComplete()
		answer := b.LocalDescription()
		b.Close()
		check(a.SetRemoteDescription(answer))
		awaitState(t, sa, PeerConnectionFailed, PeerConnectionConnected)
	})
	t.Run("DTLS handshake", func(t *testing.T) {
		a := newPC(t, Config{Engine: newEngine(t, 1), DTLSTimers: DTLSTimers{Handshake: 1}})
		b := newPC(t, Config{Engine: newEngine(t, 1)})
		must(a.CreateDataChannel("x", nil))(t)
		sa := states(a)
		negotiate(t, a, b, nil)
		awaitState(t, sa, PeerConnectionFailed, PeerConnectionConnected)
	})
}

func TestEngineCloseEndsItsConnections(t *testing.T) {
	for _, also := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed meanwhile %v", also), func(t *testing.T) {
			e := newEngine(t, 2)
			idle := newPC(t, Config{Engine: e})
			pc, other := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: newEngine(t, 1)})
			dc, in := link(t, pc, other, "x", nil)
			detached := in.Detach()
			var ends, closes atomic.Int32
			for _, pc := range []*PeerConnection{idle, pc} {
				pc.OnConnectionStateChange(func(s PeerConnectionState) {
					if s == PeerConnectionClosed {
						ends.Add(1)
					}
				})
			}
			dc.OnClose(func() { closes.Add(1) })
			var wg sync.WaitGroup
			wg.Go(func() { e.Close() })
			if also {
				wg.Go(func() { pc.Close() })
			}
			bounded(t, wg.Wait)
			for _, pc := range []*PeerConnection{idle, pc} {
				isClosed(t, pc)
				last := make(chan struct{})
				pc.events.push(func() { close(last) })
				await(t, "end of the events", last)
				bounded(t, func() { pc.Close() })
			}
			if ends.Load() != 2 || closes.Load() != 1 || dc.ReadyState() != DataChannelClosed {
				t.Errorf("%d of 2 closed, the channel %d times", ends.Load(), closes.Load())
			}
			other.Close()
			if _, err := detached.Read(make([]byte, 1)); err == nil {
				t.Error("a message")
			}
			// Too late for this engine.
			late := newPC(t, Config{Engine: e})
			await(t, "end of a late connection", late.Done())
		})
	}
}

func TestHandlerThatEndsItsGoroutineEndsNothingElse(t *testing.T) {
	a, b, dc, in := linked(t)
	got := make(chan string, 10)
	in.OnMessage(func(m Message) {
		got <- string(m.Data)
		if string(m.Data) == "fatal" {
			runtime.Goexit() // as t.FailNow does
		}
	})
	for _, s := range []string{"one", "fatal", "two", "fatal", "three"} {
		if err := dc.SendText(s); err != nil {
			t.Fatal(err)
		}
		if m := await(t, "message", got); m != s {
			t.Errorf("%q, want %q", m, s)
		}
	}
	end := closedOf(in)
	a.Close()
	await(t, "close", end)
	await(t, "end", b.Done())
}

// Messages that came before OnMessage was set are handled before what came
// after them, whether their turn has passed or not.
func TestMessagesBeforeOnMessageKeepTheirOrder(t *testing.T) {
	for _, passed := range []bool{false, true} {
		_, b, dc, in := linked(t)
		gate := make(chan struct{})
		block := func() { b.events.push(func() { <-gate }) }
		if !passed {
			block()
		}
		for i := range 3 {
			if err := dc.SendText(strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
		if passed {
			eventually(t, "three turns", func() bool {
				in.mu.Lock()
				defer in.mu.Unlock()
				return len(in.putOff) == 3
			})
			block()
		}
		dc.Close()
		eventually(t, "close", func() bool { return in.ReadyState() == DataChannelClosed })
		got := make(chan string, 10)
		in.OnClose(func() { got <- "closed" })
		in.OnMessage(func(m Message) { got <- string(m.Data) })
		close(gate)
		for _, want := range []string{"0", "1", "2", "closed"} {
			if s := await(t, "event", got); s != want {
				t.Errorf("turn passed %v: %q, want %q", passed, s, want)
			}
		}
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); tick() {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// Until Consume, a message counts against the window, and no handler waits.
func TestKeptMessagesHoldTheSenderBack(t *testing.T) {
	_, _, dc, in := linked(t)
	var mu sync.Mutex
	var kept []Message
	arrived := 0
	in.OnMessageKept(func(m Message) {
		mu.Lock()
		kept = append(kept, m)
		arrived += len(m.Data)
		mu.Unlock()
	})
	conn := dc.Detach()
	const size, count = 50_000, 400 // 20 MB
	sent := make(chan error, 1)
	go func() {
		for range count {
			if _, err := conn.Write(make([]byte, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	// Where it comes to rest is between the two marks.
	eventually(t, "sender that waits", func() bool { return dc.BufferedAmount() > detachedLow })
	select {
	case <-sent:
		t.Error("everything was sent")
	default:
	}
	eventually(t, "all", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range kept {
			in.Consume(len(m.Data))
		}
		kept = nil
		return arrived == size*count
	})
	if err := await(t, "end of writing", sent); err != nil {
		t.Error(err)
	}
}

// Who finds BufferedAmount above the threshold after Send is told of its fall,
// however the messages reach the association.
func TestBufferedAmountLowIsNeverMissed(t *testing.T) {
	_, _, dc, in := linked(t)
	in.OnMessage(func(Message) {})
	low := make(chan struct{}, 1)
	dc.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	msg := make([]byte, 1000)
	for _, threshold := range []int{0, 1, 3000, 40_000} {
		dc.SetBufferedAmountLowThreshold(threshold)
		settled(t, dc.pc)
		for range 300 {
			for range threshold/len(msg) + 2 {
				if err := dc.Send(msg); err != nil {
					t.Fatal(err)
				}
			}
			for dc.BufferedAmount() > int64(threshold) {
				await(t, "BufferedAmountLow", low)
			}
		}
	}
}

// Two messages, together above the threshold and each below it, reach the
// association one after the other.
func TestBufferedAmountLowThoughTheAssociationNeverHasMore(t *testing.T) {
	a, _, dc, _ := linked(t)
	data := transportsOf(a)[0].data
	// gate stops the data lane until it is opened; nothing is sent after it.
	gate := func() (_, _ chan struct{}) {
		entered, open := make(chan struct{}), make(chan struct{})
		data.Post(func(*dataplane.Shard, monoTime) { close(entered); <-open })
		return entered, open
	}
	low := make(chan struct{}, 9)
	dc.OnBufferedAmountLow(func() { low <- struct{}{} })
	dc.SetBufferedAmountLowThreshold(1500)
	if err := a.do(func(monoTime) error { return nil }); err != nil {
		t.Fatal(err)
	}
	entered, open := gate()
	await(t, "data lane", entered)
	close(open) // what was to be done with the threshold has been
	entered, open = gate()
	await(t, "data lane", entered)
	if err := dc.Send(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	entered, next := gate()
	close(open)
	await(t, "data lane", entered)
	if err := dc.Send(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if n := dc.BufferedAmount(); n != 2000 {
		t.Errorf("%d bytes are buffered", n)
	}
	close(next)
	await(t, "BufferedAmountLow", low)
}

func TestRoundTripTimeIsNeverZero(t *testing.T) {
	a, b, _, _ := linked(t)
	for _, pc := range []*PeerConnection{a, b} {
		n := 0
		for _, s := range must(pc.GetStats())(t) {
			if p, ok := s.(*CandidatePairStats); ok && p.State == "succeeded" {
				n++
				if p.CurrentRoundTripTime <= 0 || p.TotalRoundTripTime < p.CurrentRoundTripTime || p.CurrentRoundTripTime > patience.Seconds() {
					t.Errorf("%v of %v", p.CurrentRoundTripTime, p.TotalRoundTripTime)
				}
			}
		}
		if n == 0 {
			t.Error("no pair")
		}
	}
}

// middle is a man in the middle of two connections: each has one of its
// addresses as the other's.
type middle struct {
	conns [2]*net.UDPConn
	peers [2]*net.UDPAddr

	mu   sync.Mutex
	hold func(b []byte) bool
	held []func()
}

func newMiddle(t testing.TB, a, b *PeerConnection) *middle {
	m := &middle{}
	for i, pc := range []*PeerConnection{a, b} {
		m.peers[i] = net.UDPAddrFromAddrPort(pc.engine.LocalAddr())
		m.conns[i] = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))))(t)
	}
	var wg sync.WaitGroup
	for i := range m.conns {
		wg.Go(func() {
			for buf := make([]byte, 2048); ; {
				n, _, err := m.conns[i].ReadFrom(buf)
				if err != nil {
					return
				}
				b := bytes.Clone(buf[:n])
				forward := func() { _, _ = m.conns[1-i].WriteTo(b, m.peers[1-i]) }
				m.mu.Lock()
				if m.hold(b) {
					m.held = append(m.held, forward)
				} else {
					forward()
				}
				m.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() {
		for _, c := range m.conns {
			c.Close()
		}
		wg.Wait()
	})
	return m
}

// pass gives end i the other's description, with the address in the middle.
func (m *middle) pass(i int, d SessionDescription) SessionDescription {
	port := m.conns[i].LocalAddr().(*net.UDPAddr).Port
	d.SDP = regexp.MustCompile(`(a=candidate:.* 127\.0\.0\.1) \d+ `).ReplaceAllString(d.SDP, "$1 "+strconv.Itoa(port)+" ")
	return d
}

// DTLS and data channels begin on the first pair that works, and it is a connection:
// nominations that are held back on the way hold nothing up.
func TestDTLSDoesNotWaitForTheNomination(t *testing.T) {
	for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
		a, b := newPC(t, Config{Engine: newEngine(t, 1)}), newPC(t, Config{Engine: newEngine(t, 1), DTLSRole: role})
		m := newMiddle(t, a, b)
		var nominations atomic.Int32
		m.mu.Lock()
		m.hold = func(b []byte) bool {
			msg, err := stun.Parse(b)
			if err != nil || !msg.UseCandidate() {
				return false
			}
			nominations.Add(1)
			return true
		}
		m.mu.Unlock()
		dc := must(a.CreateDataChannel("x", nil))(t)
		open := opened(dc)
		if err := a.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		<-a.GatheringComplete()
		if err := errors.Join(b.SetRemoteDescription(m.pass(1, a.LocalDescription())), b.SetLocalDescription(SessionDescription{})); err != nil {
			t.Fatal(err)
		}
		<-b.GatheringComplete()
		if err := a.SetRemoteDescription(m.pass(0, b.LocalDescription())); err != nil {
			t.Fatal(err)
		}
		await(t, "data channel", open)
		if nominations.Load() == 0 {
			t.Error("nobody nominates")
		}
		for _, pc := range []*PeerConnection{a, b} {
			await(t, "connection", connected(pc))
			_ = pc.do(func(monoTime) error {
				if tr := pc.transports[0]; tr.dtlsState != DTLSTransportConnected || tr.selected != (ice.Path{}) {
					t.Errorf("DTLS %v, selected %v", tr.dtlsState, tr.selected)
				}
				return nil
			})
		}
		m.mu.Lock()
		m.hold = func([]byte) bool { return false }
		for _, forward := range m.held {
			forward()
		}
		m.mu.Unlock()
		for _, pc := range []*PeerConnection{a, b} {
			eventually(t, "nomination", func() (selected bool) {
				_ = pc.do(func(monoTime) error {
					selected = pc.transports[0].selected.Remote.IsValid()
					return nil
				})
				return selected && pc.ConnectionState() == PeerConnectionConnected
			})
		}
	}
}
