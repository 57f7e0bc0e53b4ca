package webrtc

// SignalingState is RTCSignalingState.
type SignalingState uint8

// The signaling states of the W3C recommendation, §4.3.1.
const (
	SignalingStable SignalingState = iota
	SignalingHaveLocalOffer
	SignalingHaveRemoteOffer
	SignalingHaveLocalPranswer
	SignalingHaveRemotePranswer
	SignalingClosed
)

func (s SignalingState) String() string {
	return [...]string{"stable", "have-local-offer", "have-remote-offer", "have-local-pranswer", "have-remote-pranswer", "closed"}[s]
}

// ICEGatheringState is RTCIceGatheringState.
type ICEGatheringState uint8

// The gathering states, §4.3.2.
const (
	ICEGatheringNew ICEGatheringState = iota
	ICEGatheringGathering
	ICEGatheringComplete
)

func (s ICEGatheringState) String() string { return [...]string{"new", "gathering", "complete"}[s] }

// PeerConnectionState is RTCPeerConnectionState.
type PeerConnectionState uint8

// The connection states, §4.3.3.
const (
	PeerConnectionNew PeerConnectionState = iota
	PeerConnectionConnecting
	PeerConnectionConnected
	PeerConnectionDisconnected
	PeerConnectionFailed
	PeerConnectionClosed
)

func (s PeerConnectionState) String() string {
	return [...]string{"new", "connecting", "connected", "disconnected", "failed", "closed"}[s]
}

// ICEConnectionState is RTCIceConnectionState, and RTCIceTransportState.
type ICEConnectionState uint8

// The ICE connection states, §4.3.4.
const (
	ICEConnectionNew ICEConnectionState = iota
	ICEConnectionChecking
	ICEConnectionConnected
	ICEConnectionCompleted
	ICEConnectionDisconnected
	ICEConnectionFailed
	ICEConnectionClosed
)

func (s ICEConnectionState) String() string {
	return [...]string{"new", "checking", "connected", "completed", "disconnected", "failed", "closed"}[s]
}

// DTLSTransportState is RTCDtlsTransportState.
type DTLSTransportState uint8

// The DTLS transport states, §5.5.1.
const (
	DTLSTransportNew DTLSTransportState = iota
	DTLSTransportConnecting
	DTLSTransportConnected
	DTLSTransportClosed
	DTLSTransportFailed
)

func (s DTLSTransportState) String() string {
	return [...]string{"new", "connecting", "connected", "closed", "failed"}[s]
}

// SCTPTransportState is RTCSctpTransportState.
type SCTPTransportState uint8

// The SCTP transport states, §6.1.2.
const (
	SCTPTransportConnecting SCTPTransportState = iota
	SCTPTransportConnected
	SCTPTransportClosed
)

func (s SCTPTransportState) String() string {
	return [...]string{"connecting", "connected", "closed"}[s]
}

// DataChannelState is RTCDataChannelState.
type DataChannelState uint8

// The data channel states, §6.2.
const (
	DataChannelConnecting DataChannelState = iota
	DataChannelOpen
	DataChannelClosing
	DataChannelClosed
)

func (s DataChannelState) String() string {
	return [...]string{"connecting", "open", "closing", "closed"}[s]
}

// SDPType is RTCSdpType.
type SDPType uint8

// The types of descriptions, §4.6.1.
const (
	SDPOffer SDPType = iota + 1
	SDPPranswer
	SDPAnswer
	SDPRollback
)

func (t SDPType) String() string {
	return [...]string{"", "offer", "pranswer", "answer", "rollback"}[t]
}

// SessionDescription is RTCSessionDescription.
type SessionDescription struct {
	Type SDPType
	SDP  string
}
