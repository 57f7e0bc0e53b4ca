package sfu

import (
	"context"
	"time"

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

// echoChannel sends each message back. While much is buffered it does not
// return, so that the receive window closes and the peer has to wait: a
// message counts against the window until its handler has returned. The events
// which would tell of room wait behind this handler, so it looks by itself.
func echoChannel(dc *webrtc.DataChannel) {
	dc.OnMessage(func(m webrtc.Message) {
		for dc.BufferedAmount() > echoHigh && dc.ReadyState() == webrtc.DataChannelOpen {
			time.Sleep(echoPoll)
		}
		var err error
		if m.Text {
			err = dc.SendText(string(m.Data))
		} else {
			err = dc.Send(m.Data)
		}
		if err != nil {
			_ = dc.Close() // an echo that would miss messages is none
		}
	})
}
