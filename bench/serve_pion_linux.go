package main

import (
	"errors"
	"sync"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// pionSFU is Pion's own broadcast example: the packets of a TrackRemote are
// written to a TrackLocalStaticRTP.
type pionSFU struct {
	api   *webrtc.API
	mu    sync.Mutex
	local *webrtc.TrackLocalStaticRTP
	pcs   []*webrtc.PeerConnection
}

// newPionSFU has the default interceptors, or none.
func newPionSFU(interceptors bool) (forwarder, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if interceptors {
		if err := webrtc.RegisterDefaultInterceptors(m, registry); err != nil {
			return nil, err
		}
	}
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	return &pionSFU{api: webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(se))}, nil
}

func (s *pionSFU) publish(kind, offer string) (string, error) {
	capability := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
	if kind == "audio" {
		capability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	}
	local, err := webrtc.NewTrackLocalStaticRTP(capability, kind, "load")
	if err != nil {
		return "", err
	}
	pc, err := s.connection()
	if err != nil {
		return "", err
	}
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		b := make([]byte, 1500)
		for {
			n, _, err := remote.Read(b)
			if err != nil {
				return
			}
			// A viewer that left is reported here; the others were served.
			_, _ = local.Write(b[:n])
		}
	})
	s.mu.Lock()
	s.local = local
	s.mu.Unlock()
	return s.answer(pc, offer)
}

func (s *pionSFU) view(offer string) (string, error) {
	s.mu.Lock()
	local := s.local
	s.mu.Unlock()
	if local == nil {
		return "", errors.New("nobody publishes")
	}
	pc, err := s.connection()
	if err != nil {
		return "", err
	}
	sender, err := pc.AddTrack(local)
	if err != nil {
		return "", err
	}
	go func() { // interceptors see RTCP only when it is read
		b := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(b); err != nil {
				return
			}
		}
	}()
	return s.answer(pc, offer)
}

func (s *pionSFU) connection() (*webrtc.PeerConnection, error) {
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pcs = append(s.pcs, pc)
	return pc, nil
}

func (s *pionSFU) answer(pc *webrtc.PeerConnection, offer string) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

func (s *pionSFU) counters() map[string]float64 { return nil }
