package main

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/webrtc"
)

// sluiceSFU is package webrtc as an application would use it.
type sluiceSFU struct {
	engine *dataplane.Engine
	mu     sync.Mutex
	track  *webrtc.MediaStreamTrack
}

func newSluiceSFU() (sfu, error) {
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	return &sluiceSFU{engine: e}, err
}

func (s *sluiceSFU) publish(_, offer string) (string, error) {
	pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: s.engine})
	if err != nil {
		return "", err
	}
	tracks := make(chan *webrtc.MediaStreamTrack, 1)
	pc.OnTrack(func(e webrtc.TrackEvent) { tracks <- e.Track })
	answer, err := s.answer(pc, offer)
	if err != nil {
		return "", err
	}
	track := <-tracks
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track = track
	return answer, nil
}

func (s *sluiceSFU) view(offer string) (string, error) {
	s.mu.Lock()
	track := s.track
	s.mu.Unlock()
	if track == nil {
		return "", errors.New("nobody publishes")
	}
	pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: s.engine})
	if err != nil {
		return "", err
	}
	if _, err := pc.AddTrack(track); err != nil {
		return "", errors.Join(err, pc.Close())
	}
	return s.answer(pc, offer)
}

func (s *sluiceSFU) answer(pc *webrtc.PeerConnection, offer string) (string, error) {
	err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPOffer, SDP: offer})
	if err == nil {
		err = pc.SetLocalDescription(webrtc.SessionDescription{})
	}
	if err != nil {
		return "", errors.Join(err, pc.Close())
	}
	<-pc.GatheringComplete()
	return pc.LocalDescription().SDP, nil
}

func (s *sluiceSFU) counters() map[string]float64 {
	st := s.engine.Stats()
	m := socketCounters(st.Sockets)
	for cause, n := range st.Drops {
		if n > 0 {
			m["dropped "+cause] = float64(n)
		}
	}
	return m
}

func socketCounters(st sockets.Stats) map[string]float64 {
	return map[string]float64{
		"reads": float64(st.Reads), "writes": float64(st.Writes), "wakeups": float64(st.Wakeups),
		"gso_runs": float64(st.GSORuns), "would_block": float64(st.WouldBlock),
	}
}
