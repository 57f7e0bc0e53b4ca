package webrtc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// PeerConnection is RTCPeerConnection. Its methods may be called from any
// goroutine.
type PeerConnection struct {
	// Immutable.
	cfg          Config
	engine       *dataplane.Engine
	lane         *dataplane.Lane
	log          *slog.Logger
	id           string
	cname        string
	feedbackSSRC uint32
	certificate  *dtls.Certificate
	stunServers  []netip.AddrPort
	events       eventQueue
	gathered     chan struct{} // closed when gathering is complete for the first time
	closedCh     chan struct{}

	onTrack              handler[TrackEvent]
	onCandidate          handler[*ICECandidate]
	onConnectionState    handler[PeerConnectionState]
	onICEConnectionState handler[ICEConnectionState]
	onICEGatheringState  handler[ICEGatheringState]
	onSignalingState     handler[SignalingState]
	onNegotiationNeeded  handler[struct{}]
	onDataChannel        handler[*DataChannel]

	// Snapshots: written by the ctl lane, read by anyone.
	signaling  atomic.Uint32
	connection atomic.Uint32
	iceState   atomic.Uint32
	gathering  atomic.Uint32
	maxMessage atomic.Int64 // the largest message that the peer takes, in bytes

	// Ctl lane.
	closed         bool
	stranded       bool // the engine is closed
	lastOffer      string
	lastAnswer     string // what CreateOffer and CreateAnswer have made last
	gatheredOnce   sync.Once
	sections       []*section
	stable         []stableSection // as of the last stable state
	transceivers   []*RTPTransceiver
	transports     []*transport
	currentLocal   *description
	pendingLocal   *description
	currentRemote  *description
	pendingRemote  *description
	sessionID      uint64
	sessionVersion uint64
	nextMID        int
	needed         bool // negotiation is needed and the event has been queued
	payloadTypes   payloadTypes
	extensionIDs   map[string]uint16
	wantChannels   bool
	sctpTransport  *transport
	sctpInit       string         // what our descriptions say of the association; Config.SNAP
	peerInit       string         // what the peer's say
	announced      *sctp.Channels // that association, before it starts
	sctpState      SCTPTransportState
	channels       map[uint16]*DataChannel
	opening        []*DataChannel // made before the association
	starting       []*DataChannel // given to the association, without an id yet
	lateCandidates []lateCandidate
	dataChannels   uint64 // that have been open
}

var connections atomic.Uint64

// NewPeerConnection makes a connection. It fails when the configuration
// cannot work, or the default engine cannot bind a socket.
func NewPeerConnection(cfg Config) (*PeerConnection, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	engine, err := cfg.engine()
	if err != nil {
		return nil, err
	}
	servers, err := cfg.stunServers()
	if err != nil {
		return nil, err
	}
	if cfg.Codecs == nil {
		cfg.Codecs = defaultCodecs
	}
	if cfg.Certificate == nil {
		if cfg.Certificate, err = cfg.newCertificate(); err != nil {
			return nil, fmt.Errorf("webrtc: certificate: %w", err)
		}
	}
	if err := cfg.validateDTLS(); err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	pc := &PeerConnection{
		cfg: cfg, engine: engine, lane: engine.Lane(), log: log,
		id:    fmt.Sprintf("pc-%d", connections.Add(1)),
		cname: randomHex(8), feedbackSSRC: randomSSRC(), certificate: cfg.Certificate,
		sessionID: randomUint64() >> 2, gathered: make(chan struct{}), closedCh: make(chan struct{}),
		channels: map[uint16]*DataChannel{}, extensionIDs: map[string]uint16{},
	}
	pc.payloadTypes.init()
	pc.maxMessage.Store(65536)
	pc.stunServers = resolve(servers, log)
	pc.enrol()
	return pc, nil
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}

func randomSSRC() uint32 { return uint32(randomUint64() | 1) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// do runs f on the ctl lane and waits. After Close it does not run f.
func (pc *PeerConnection) do(f func(now mono.Time) error) error {
	err := errClosedConnection
	pc.lane.Do(func(now mono.Time) {
		if !pc.closed {
			err = f(now)
		}
	})
	return err
}

var errClosedConnection = fmt.Errorf("%w: the connection is closed", ErrInvalidState)

// ID names the connection in logs and statistics.
func (pc *PeerConnection) ID() string { return pc.id }

// SignalingState is the current signaling state.
func (pc *PeerConnection) SignalingState() SignalingState { return SignalingState(pc.signaling.Load()) }

// ConnectionState is the current state of the connection.
func (pc *PeerConnection) ConnectionState() PeerConnectionState {
	return PeerConnectionState(pc.connection.Load())
}

// ICEConnectionState is the current state of ICE.
func (pc *PeerConnection) ICEConnectionState() ICEConnectionState {
	return ICEConnectionState(pc.iceState.Load())
}

// ICEGatheringState is the current state of gathering.
func (pc *PeerConnection) ICEGatheringState() ICEGatheringState {
	return ICEGatheringState(pc.gathering.Load())
}

// GatheringComplete is closed when the local description has all its
// candidates for the first time.
func (pc *PeerConnection) GatheringComplete() <-chan struct{} { return pc.gathered }

// Done is closed when the connection is: by Close, by the peer, or with its
// engine.
func (pc *PeerConnection) Done() <-chan struct{} { return pc.closedCh }

// OnTrack is called for each remote track that a description announces: once
// for a section, or once for each rid of a simulcast.
func (pc *PeerConnection) OnTrack(f func(TrackEvent)) { pc.onTrack.set(f) }

// OnICECandidate is called for each local candidate, and with nil at the end.
func (pc *PeerConnection) OnICECandidate(f func(*ICECandidate)) { pc.onCandidate.set(f) }

// OnConnectionStateChange is called with each new state.
func (pc *PeerConnection) OnConnectionStateChange(f func(PeerConnectionState)) {
	pc.onConnectionState.set(f)
}

// OnICEConnectionStateChange is called with each new state.
func (pc *PeerConnection) OnICEConnectionStateChange(f func(ICEConnectionState)) {
	pc.onICEConnectionState.set(f)
}

// OnICEGatheringStateChange is called with each new state.
func (pc *PeerConnection) OnICEGatheringStateChange(f func(ICEGatheringState)) {
	pc.onICEGatheringState.set(f)
}

// OnSignalingStateChange is called with each new state.
func (pc *PeerConnection) OnSignalingStateChange(f func(SignalingState)) { pc.onSignalingState.set(f) }

// OnNegotiationNeeded is called when an offer should be made.
func (pc *PeerConnection) OnNegotiationNeeded(f func()) {
	pc.onNegotiationNeeded.set(func(struct{}) { f() })
}

// OnDataChannel is called for each channel that the peer opens.
func (pc *PeerConnection) OnDataChannel(f func(*DataChannel)) { pc.onDataChannel.set(f) }

func (pc *PeerConnection) setSignaling(s SignalingState) {
	if pc.signaling.Swap(uint32(s)) != uint32(s) {
		pc.events.push(func() { pc.onSignalingState.call(s) })
	}
}

// updateState recomputes the aggregate states (W3C §4.3.3 and §4.3.4).
func (pc *PeerConnection) updateState() {
	iceState, conn := ICEConnectionNew, PeerConnectionNew
	if pc.closed {
		iceState, conn = ICEConnectionClosed, PeerConnectionClosed
	} else {
		iceState, conn = pc.aggregate()
	}
	if pc.iceState.Swap(uint32(iceState)) != uint32(iceState) {
		pc.events.push(func() { pc.onICEConnectionState.call(iceState) })
	}
	if pc.connection.Swap(uint32(conn)) != uint32(conn) {
		pc.log.Debug("connection state", "id", pc.id, "state", conn)
		pc.events.push(func() { pc.onConnectionState.call(conn) })
	}
}

func (pc *PeerConnection) aggregate() (ICEConnectionState, PeerConnectionState) {
	var ices [7]int
	var dtlss [5]int
	n := 0
	for _, t := range pc.transports {
		if !t.closed {
			n++
			ices[t.iceState]++
			dtlss[t.dtlsState]++
		}
	}
	iceState := ICEConnectionConnected
	switch {
	case ices[ICEConnectionFailed] > 0:
		iceState = ICEConnectionFailed
	case ices[ICEConnectionDisconnected] > 0:
		iceState = ICEConnectionDisconnected
	case ices[ICEConnectionNew] == n:
		iceState = ICEConnectionNew
	case ices[ICEConnectionNew]+ices[ICEConnectionChecking] > 0:
		iceState = ICEConnectionChecking
	case ices[ICEConnectionCompleted] == n:
		iceState = ICEConnectionCompleted
	}
	conn := PeerConnectionConnected
	switch {
	case ices[ICEConnectionFailed] > 0 || dtlss[DTLSTransportFailed] > 0:
		conn = PeerConnectionFailed
	case ices[ICEConnectionDisconnected] > 0:
		conn = PeerConnectionDisconnected
	case ices[ICEConnectionNew] == n && dtlss[DTLSTransportNew] == n:
		conn = PeerConnectionNew
	case dtlss[DTLSTransportConnected]+dtlss[DTLSTransportClosed] < n || iceState == ICEConnectionChecking:
		conn = PeerConnectionConnecting
	}
	return iceState, conn
}

func (pc *PeerConnection) updateGathering() {
	state := ICEGatheringComplete
	for _, t := range pc.transports {
		if t.closed {
			continue
		}
		if t.gathering == ICEGatheringGathering {
			state = ICEGatheringGathering
			break
		}
		if t.gathering == ICEGatheringNew {
			state = ICEGatheringNew
		}
	}
	if pc.gathering.Swap(uint32(state)) == uint32(state) {
		return
	}
	pc.events.push(func() { pc.onICEGatheringState.call(state) })
	if state == ICEGatheringComplete {
		pc.events.push(func() { pc.onCandidate.call(nil) })
		pc.gatheredOnce.Do(func() { close(pc.gathered) })
	}
}

// Close ends the connection: the peer gets a close_notify, every channel and
// track ends. It always returns, and does nothing the second time.
func (pc *PeerConnection) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	pc.lane.Post(pc.closeOnLane)
	select {
	case <-pc.closedCh:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("webrtc: close goes on in the background: %w", ctx.Err())
	}
}

func (pc *PeerConnection) closeOnLane(now mono.Time) {
	if pc.closed {
		return
	}
	pc.closed = true
	for _, tr := range pc.transceivers {
		tr.end()
	}
	for _, dc := range pc.channels {
		dc.ended(nil)
	}
	for _, dc := range append(pc.opening, pc.starting...) {
		dc.ended(nil)
	}
	clear(pc.channels)
	pc.opening, pc.starting = nil, nil
	for _, t := range pc.transports {
		t.close(now)
	}
	pc.setSignaling(SignalingClosed)
	pc.updateState()
	pc.gatheredOnce.Do(func() { close(pc.gathered) })
	pc.leave()
	close(pc.closedCh)
}

// ICECandidate is RTCIceCandidate. An empty Candidate says that there are no
// more.
type ICECandidate struct {
	Candidate        string // "candidate:..." as in SDP, without "a="
	SDPMid           string
	SDPMLineIndex    *uint16
	UsernameFragment string
}

func (pc *PeerConnection) localCandidate(t *transport, c *ice.Candidate) {
	ufrag, _ := t.agent.LocalCredentials()
	for i, s := range pc.sections {
		if s.transport == t {
			index := uint16(i)
			ev := &ICECandidate{Candidate: c.String(), SDPMid: s.mid, SDPMLineIndex: &index, UsernameFragment: ufrag}
			pc.events.push(func() { pc.onCandidate.call(ev) })
			return
		}
	}
}

// lateCandidate waits for the description it belongs to.
type lateCandidate struct {
	c ICECandidate
}

// AddICECandidate takes a candidate of the peer's. Before its description is
// set, it fails with ErrInvalidState.
func (pc *PeerConnection) AddICECandidate(c ICECandidate) error {
	if c.Candidate != "" {
		if err := checkCandidate(c.Candidate); err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
	}
	return pc.do(func(now mono.Time) error {
		remote := pc.pendingRemote
		if remote == nil {
			remote = pc.currentRemote
		}
		if remote == nil {
			return fmt.Errorf("%w: set the remote description before its candidates", ErrInvalidState)
		}
		s := pc.sectionOf(c)
		if s == nil {
			return fmt.Errorf("%w: candidate for section %q, which does not exist", ErrOperation, c.SDPMid)
		}
		if s.transport == nil {
			return nil // of a rejected section
		}
		if remote == pc.pendingRemote && !s.transport.hasRemote() {
			if len(pc.lateCandidates) >= maxLate {
				return fmt.Errorf("%w: %d candidates wait for the answer", ErrOperation, maxLate)
			}
			pc.lateCandidates = append(pc.lateCandidates, lateCandidate{c})
			return nil
		}
		return s.transport.addCandidate(now, c.Candidate, c.UsernameFragment)
	})
}

func (pc *PeerConnection) sectionOf(c ICECandidate) *section {
	for i, s := range pc.sections {
		switch {
		case c.SDPMid != "":
			if s.mid == c.SDPMid {
				return s
			}
		case c.SDPMLineIndex != nil:
			if i == int(*c.SDPMLineIndex) {
				return s
			}
		default:
			return s
		}
	}
	return nil
}

func (t *transport) hasRemote() bool { return t.remoteUfrag != "" }

// addCandidate gives a signalled candidate to the agent.
func (t *transport) addCandidate(now mono.Time, text, ufrag string) error {
	if ufrag != "" && ufrag != t.remoteUfrag {
		return nil // of another generation
	}
	if text == "" {
		t.agent.EndOfRemoteCandidates(now)
		t.pump(now)
		return nil
	}
	c, err := ice.ParseCandidate(text)
	switch {
	case errors.Is(err, ice.ErrUnknownTransport), errors.Is(err, ice.ErrUnknownType):
		return nil // RFC 8839 §5.1: ignored
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	err = t.agent.AddRemoteCandidate(now, c)
	t.pump(now)
	if errors.Is(err, ice.ErrTooMany) || errors.Is(err, ice.ErrStale) || errors.Is(err, ice.ErrAddress) {
		t.pc.log.Debug("candidate ignored", "id", t.pc.id, "err", err)
		return nil
	}
	return err
}

func (t *transport) roundTrip() time.Duration {
	for _, p := range t.agent.Stats().Pairs {
		if p.Selected {
			return p.CurrentRTT
		}
	}
	return 0
}
