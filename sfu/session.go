package sfu

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

// Role is what a session is there for.
type Role uint8

// The roles.
const (
	Publisher Role = iota + 1
	Viewer
	Echo
)

func (r Role) String() string { return [...]string{"", "publisher", "viewer", "echo"}[r] }

// Session is one peer. Its methods may be called from any goroutine.
type Session struct {
	// Immutable.
	srv      *Server
	id       string
	role     Role
	created  time.Time
	stream   *stream // nil for echo
	done     chan struct{}
	gathered chan struct{} // signals that gathering has completed

	negotiating sync.Mutex // one description at a time; taken before srv.mu

	// Guarded by srv.mu.
	pc         *webrtc.PeerConnection // nil until start
	ended      bool
	connected  bool
	timer      *time.Timer // until connected
	outputs    []*output   // of a viewer
	rid        string      // the layer a viewer asked for, empty: the best
	remote     string      // the peer's ICE user fragment
	generation int         // of ICE, from 1
}

// ID is 130 bits that cannot be guessed: who knows it may change the session.
// It belongs in no log.
func (x *Session) ID() string { return x.id }

// Role tells what the session is there for.
func (x *Session) Role() Role { return x.role }

// Stream is the name of the stream, empty for an echo.
func (x *Session) Stream() string {
	if x.stream == nil {
		return ""
	}
	return x.stream.name
}

// Created is when the session began.
func (x *Session) Created() time.Time { return x.created }

// Done is closed when the session has ended.
func (x *Session) Done() <-chan struct{} { return x.done }

// PeerConnection is the session's connection, nil while it is being made.
func (x *Session) PeerConnection() *webrtc.PeerConnection {
	x.srv.mu.Lock()
	defer x.srv.mu.Unlock()
	return x.pc
}

// Generation counts the session's ICE generations, from 1. A restart begins a
// new one.
func (x *Session) Generation() int {
	x.srv.mu.Lock()
	defer x.srv.mu.Unlock()
	return x.generation
}

// RemoteUfrag is the peer's ICE user fragment.
func (x *Session) RemoteUfrag() string {
	x.srv.mu.Lock()
	defer x.srv.mu.Unlock()
	return x.remote
}

// RID is the layer that a viewer asked for, empty for the best there is.
func (x *Session) RID() string {
	x.srv.mu.Lock()
	defer x.srv.mu.Unlock()
	return x.rid
}

// Close ends the session.
func (x *Session) Close() error {
	x.end("closed")
	return nil
}

// start makes the connection of an admitted session.
func (x *Session) start() (*webrtc.PeerConnection, error) {
	cfg := x.srv.cfg.WebRTC
	var err error
	if cfg.Certificate, err = x.srv.certificate(time.Now()); err != nil {
		return nil, err
	}
	pc, err := webrtc.NewPeerConnection(cfg)
	if err != nil {
		return nil, err
	}
	x.srv.mu.Lock()
	x.pc = pc
	ended := x.ended
	if !ended {
		x.timer = time.AfterFunc(x.srv.cfg.ConnectTimeout, func() { x.end("never connected") })
	}
	x.srv.mu.Unlock()
	if ended {
		pc.Close()
		return nil, x.why()
	}
	pc.OnConnectionStateChange(x.stateChanged)
	pc.OnICEGatheringStateChange(func(webrtc.ICEGatheringState) {
		select {
		case x.gathered <- struct{}{}:
		default:
		}
	})
	if x.role == Echo {
		pc.OnDataChannel(echoChannel)
	}
	return pc, nil
}

// why is the error for what comes too late.
func (x *Session) why() error {
	if x.srv.Closing() {
		return ErrClosed
	}
	return ErrEnded
}

func (x *Session) stateChanged(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionConnected:
		x.srv.mu.Lock()
		first := !x.connected
		x.connected = true
		if x.timer != nil {
			x.timer.Stop()
		}
		x.srv.mu.Unlock()
		if first {
			x.srv.log.Info("session connected", "session", x.pc.ID(), "role", x.role, "stream", x.Stream())
		}
	case webrtc.PeerConnectionFailed:
		x.end("connection failed")
	case webrtc.PeerConnectionClosed:
		x.end(byPeer)
	}
}

// byPeer is the reason of an end that the peer's close_notify has brought.
const byPeer = "closed by the peer"

// end ends the session, once.
func (x *Session) end(reason string) {
	s := x.srv
	s.mu.Lock()
	if x.ended {
		s.mu.Unlock()
		return
	}
	x.ended = true
	delete(s.sessions, x.id)
	if reason == byPeer {
		s.parted[s.nparted%maxParted] = x.id
		s.nparted++
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	if x.stream != nil {
		x.stream.leave(x)
	}
	pc := x.pc
	s.mu.Unlock()
	if pc != nil {
		s.log.Info("session ended", "session", pc.ID(), "role", x.role, "stream", x.Stream(), "reason", reason)
		if err := pc.Close(); err != nil {
			s.log.Warn("session closes slowly", "session", pc.ID(), "err", err)
		}
	}
	close(x.done)
}

// open makes the connection of an admitted session and answers its offer. A
// session that cannot be opened is gone when it returns.
func (x *Session) open(ctx context.Context, offer string) (answer string, err error) {
	defer func() {
		if err != nil {
			x.end("refused")
		}
	}()
	d, done, err := parse(offer)
	if err != nil {
		return "", err
	}
	defer done()
	x.negotiating.Lock()
	defer x.negotiating.Unlock()
	pc, err := x.start()
	if err != nil {
		return "", err
	}
	return x.negotiate(ctx, pc, offer, d)
}

// Reoffer answers another offer of the peer's on the same connection: it may
// add and stop tracks, and restart ICE. After an error the session is as it
// was before.
func (x *Session) Reoffer(ctx context.Context, offer string) (answer string, err error) {
	d, done, err := parse(offer)
	if err != nil {
		return "", err
	}
	defer done()
	x.negotiating.Lock()
	defer x.negotiating.Unlock()
	pc, err := x.live()
	if err != nil {
		return "", err
	}
	return x.negotiate(ctx, pc, offer, d)
}

func (x *Session) live() (*webrtc.PeerConnection, error) {
	x.srv.mu.Lock()
	pc, ended := x.pc, x.ended
	x.srv.mu.Unlock()
	if ended || pc == nil {
		return nil, x.why()
	}
	return pc, nil
}

// negotiate runs one offer and answer.
func (x *Session) negotiate(ctx context.Context, pc *webrtc.PeerConnection, offer string, d *sdp.Session) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPOffer, SDP: offer}); err != nil {
		return "", x.explain(err)
	}
	undo, err := x.prepare(pc, d)
	var answer webrtc.SessionDescription
	if err == nil {
		answer, err = pc.CreateAnswer()
	}
	if err == nil {
		err = x.check(answer.SDP)
	}
	if err == nil {
		err = pc.SetLocalDescription(answer)
	}
	if err != nil {
		undo()
		_ = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPRollback})
		return "", x.explain(err)
	}
	x.noteRemote(d)
	if err := x.apply(pc, answer.SDP); err != nil {
		return "", x.explain(err)
	}
	x.waitGathered(ctx, pc)
	local := pc.LocalDescription().SDP
	if local == "" {
		return "", x.why()
	}
	return local, nil
}

// explain replaces the error of a connection that was closed meanwhile.
func (x *Session) explain(err error) error {
	if _, gone := x.live(); gone != nil && errors.Is(err, webrtc.ErrInvalidState) {
		return gone
	}
	return err
}

// noteRemote keeps the peer's user fragment, and counts the generations.
func (x *Session) noteRemote(d *sdp.Session) {
	for i := range d.Media {
		m := &d.Media[i]
		if m.Rejected() || m.ICEUfrag == "" {
			continue
		}
		x.srv.mu.Lock()
		if x.remote != m.ICEUfrag {
			x.remote = m.ICEUfrag
			x.generation++
		}
		x.srv.mu.Unlock()
		return
	}
}

// prepare readies the transceivers of an offer that is set. undo takes back
// what prevents a rollback.
func (x *Session) prepare(pc *webrtc.PeerConnection, d *sdp.Session) (undo func(), err error) {
	switch x.role {
	case Publisher:
		return func() {}, x.preparePublisher(pc, d)
	case Viewer:
		return x.prepareViewer(pc, d)
	}
	sectionsOf(pc, webrtc.SendRecv)
	return func() {}, nil
}

// check refuses an answer with which nothing would flow.
func (x *Session) check(answer string) error {
	d, done, err := parse(answer)
	if err != nil {
		return err
	}
	defer done()
	for i := range d.Media {
		m := &d.Media[i]
		switch {
		case m.Rejected():
		case x.role == Publisher && isMedia(m) && m.Direction.Receives(),
			x.role == Viewer && isMedia(m) && m.Direction.Sends(),
			x.role == Echo:
			return nil
		}
	}
	if x.PeerConnection().CurrentRemoteDescription().SDP != "" {
		return nil // a peer may pause everything
	}
	return fmt.Errorf("%w: no section of the offer can be used by a %v", webrtc.ErrUnsupported, x.role)
}

// apply puts to use what was negotiated.
func (x *Session) apply(pc *webrtc.PeerConnection, answer string) error {
	switch x.role {
	case Publisher:
		return x.applyPublisher(pc, answer)
	case Viewer:
		x.srv.sync(x.stream)
		return nil
	}
	return echoTracks(pc)
}

// waitGathered waits for the candidates of this generation.
func (x *Session) waitGathered(ctx context.Context, pc *webrtc.PeerConnection) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	for pc.ICEGatheringState() != webrtc.ICEGatheringComplete {
		select {
		case <-x.gathered:
		case <-pc.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}
