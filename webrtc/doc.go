// Package webrtc is the API of the W3C's WebRTC recommendation for servers,
// with its names and states, over Sluice's dataplane: PeerConnection,
// RTPTransceiver, RTPSender, RTPReceiver, MediaStreamTrack, DataChannel and
// the transports below them.
//
//	pc, err := webrtc.NewPeerConnection(webrtc.Config{})
//
// works without any preparation. All PeerConnections of one Engine share its
// UDP port. Each lives on a ctl lane of the Engine: its methods run there, one
// after the other, and may be called from any goroutine. Handlers are called
// one at a time, in the order of the events, on a goroutine that exists only
// while there are any; they may call every method.
//
// A remote track given to another connection's AddTrack is forwarded by the
// dataplane: its packets pass through no goroutine of the application's.
//
// It neither encodes nor decodes media, offers no plan B, no SDES and no
// identity, and bundles what it offers on one transport.
package webrtc
