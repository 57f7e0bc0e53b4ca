package sfu

import (
	"context"

	"github.com/sluicertc/sluice/webrtc"
)

// Echo answers any offer with what sends everything back: each track on its
// own section, each data-channel message as the same kind of message.
func (s *Server) Echo(ctx context.Context, offer string) (*Session, string, error) {
	x, err := s.admit(Echo, "")
	if err != nil {
		return nil, "", err
	}
	answer, err := x.open(ctx, offer)
	if err != nil {
		return nil, "", err
	}
	return x, answer, nil
}

// echoTracks has each transceiver send what it receives; of a simulcast the
// last layer, which is the largest.
func echoTracks(pc *webrtc.PeerConnection) error {
	for _, tr := range pc.Transceivers() {
		tracks := tr.Receiver().Tracks()
		if len(tracks) == 0 {
			continue
		}
		if err := tr.Sender().ReplaceTrack(tracks[len(tracks)-1]); err != nil {
			return err
		}
	}
	return nil
}

// echoQueue sends the messages of a channel back. While much is buffered they wait
// here, and count against the receive window, so that the peer has to wait. It
// belongs to the handlers, which are called one at a time.
type echoQueue struct {
	dc      *webrtc.DataChannel
	waiting []webrtc.Message
}

func echoChannel(dc *webrtc.DataChannel) {
	e := &echoQueue{dc: dc}
	dc.SetBufferedAmountLowThreshold(echoLow)
	dc.OnBufferedAmountLow(e.flush)
	dc.OnClose(e.drop)
	dc.OnMessageKept(func(m webrtc.Message) {
		e.waiting = append(e.waiting, m)
		e.flush()
	})
}

// flush sends what waits, as long as there is room.
func (e *echoQueue) flush() {
	for len(e.waiting) > 0 && e.dc.BufferedAmount() <= echoHigh {
		m := e.waiting[0]
		send := e.dc.Send
		if m.Text {
			send = func(b []byte) error { return e.dc.SendText(string(b)) }
		}
		if err := send(m.Data); err != nil {
			_ = e.dc.Close() // an echo that would miss messages is none
			e.drop()
			return
		}
		e.dc.Consume(len(m.Data))
		e.waiting[0] = webrtc.Message{}
		e.waiting = e.waiting[1:]
	}
	if len(e.waiting) == 0 {
		e.waiting = nil
	}
}

// drop gives up what waits: the window is that of all channels.
func (e *echoQueue) drop() {
	for _, m := range e.waiting {
		e.dc.Consume(len(m.Data))
	}
	e.waiting = nil
}
