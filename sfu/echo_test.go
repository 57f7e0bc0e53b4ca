package sfu

import (
	"bytes"
	"testing"

	"github.com/sluicertc/sluice/webrtc"
)

// echo connects a client that has readied its offer.
func echo(t testing.TB, s *Server, pc *webrtc.PeerConnection) *Session {
	t.Helper()
	x, answer, err := s.Echo(t.Context(), offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	await(t, "echo", connected(pc))
	return x
}

func TestEchoSendsTracksBackOnTheirSections(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t)
	tracks := make(chan webrtc.TrackEvent, 2)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	mids := map[webrtc.Kind]*webrtc.RTPSender{webrtc.Audio: pump(t, pc, opus), webrtc.Video: pump(t, pc, vp8)}
	echo(t, s, pc)
	for range 2 {
		e := await(t, "track", tracks)
		if e.Transceiver.Sender() != mids[e.Track.Kind()] {
			t.Errorf("%s comes back on another section", e.Track.Kind())
		}
		packets(t, e.Track, 50)
	}
}

func TestEchoTakesASectionMore(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t)
	tracks := make(chan webrtc.TrackEvent, 2)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e })
	_, err := pc.CreateDataChannel("d", nil)
	check(t, err)
	x := echo(t, s, pc)
	pump(t, pc, vp8)
	answer, err := x.Reoffer(t.Context(), offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	packets(t, await(t, "track", tracks).Track, 50)
}

func TestEchoSendsMessagesBackAsTheyCame(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t)
	dc, err := pc.CreateDataChannel("chat", nil)
	check(t, err)
	back := make(chan webrtc.Message, 16)
	dc.OnMessage(func(m webrtc.Message) { back <- m })
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	echo(t, s, pc)
	await(t, "channel", open)
	for _, m := range []webrtc.Message{
		{Text: true, Data: []byte("hello")}, {Text: true, Data: []byte("é€😀")}, {Data: []byte{0}}, {Data: nil}, {Text: true},
		{Data: bytes.Repeat([]byte("x"), 200_000)},
	} {
		if m.Text {
			check(t, dc.SendText(string(m.Data)))
		} else {
			check(t, dc.Send(m.Data))
		}
		if got := await(t, "message", back); got.Text != m.Text || !bytes.Equal(got.Data, m.Data) {
			t.Errorf("sent text %v, %d bytes; got text %v, %d bytes", m.Text, len(m.Data), got.Text, len(got.Data))
		}
	}
}

// A client that sends without reading what comes back must be stopped by flow
// control, not by a full buffer, and lose nothing.
func TestEchoWaitsForASlowReader(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t)
	dc, err := pc.CreateDataChannel("bulk", nil)
	check(t, err)
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	echo(t, s, pc)
	await(t, "channel", open)
	conn := dc.Detach()
	const size, count = 60_000, 500 // 30 MB: more than all buffers together
	sent := make(chan error, 1)
	go func() {
		b := make([]byte, size)
		for i := range count {
			b[0], b[1] = byte(i), byte(i>>8)
			if _, err := conn.Write(b); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	// Nobody reads, so that the writer must come to a stop.
	eventually(t, "a writer that waits", func() bool { return dc.BufferedAmount() > restMark })
	b := make([]byte, 1<<18)
	for i := range count {
		text, n, err := conn.ReadMessage(b)
		check(t, err)
		if text || n != size || b[0] != byte(i) || b[1] != byte(i>>8) {
			t.Fatalf("message %d: text %v, %d bytes, number %d", i, text, n, int(b[0])|int(b[1])<<8)
		}
	}
	check(t, await(t, "end of writing", sent))
}

// restMark is what a writer that waits leaves buffered at least: it stops above
// a mark, and goes on only below half of it.
const restMark = 1 << 19

// An echo that has to wait keeps no other handler of the connection waiting.
func TestFullEchoHoldsUpNoEvents(t *testing.T) {
	s := newServer(t, Config{})
	pc := client(t)
	dc, err := pc.CreateDataChannel("bulk", nil)
	check(t, err)
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	x := echo(t, s, pc)
	await(t, "channel", open)
	conn := dc.Detach() // reads nothing
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 60_000); ; {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}()
	eventually(t, "a writer that waits", func() bool { return dc.BufferedAmount() > restMark })
	stable := make(chan struct{}, 8)
	x.pc.OnSignalingStateChange(func(state webrtc.SignalingState) {
		if state == webrtc.SignalingStable {
			stable <- struct{}{}
		}
	})
	pump(t, pc, opus)
	answer, err := x.Reoffer(t.Context(), offer(t, pc, nil))
	check(t, err)
	accept(t, pc, answer)
	await(t, "event of the server's", stable)
	check(t, pc.Close())
	await(t, "end of writing", done)
}
