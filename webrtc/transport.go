package webrtc

import (
	"errors"
	"net/netip"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/srtp"
	"github.com/sluicertc/sluice/stun"
)

// transport is the ICE agent, the DTLS machine and the dataplane transport of
// one bundle, or of one section that is not bundled. Ctl lane.
type transport struct {
	pc    *PeerConnection
	agent *ice.Agent
	conn  *dtls.Conn           // nil until the roles are known
	data  *dataplane.Transport // nil until a check has been authenticated
	timer *dataplane.Timer
	port  *port

	ufrags     []string // registered, the current one last
	role       dtls.Role
	gathering  ICEGatheringState
	iceState   ICEConnectionState
	dtlsState  DTLSTransportState
	candidates []ice.Candidate // local ones of this generation

	remoteUfrag, remotePwd string
	nextUfrag, nextPwd     string      // of a restart that has been offered
	prior                  *generation // in force before the restart under negotiation
	remoteFingerprints     []dtls.Fingerprint
	selected               ice.Path
	usable                 ice.Path         // the first pair that worked, before one is selected
	heard                  ice.Path         // where DTLS last came from
	via                    *dataplane.Shard // of the packet being handled
	settled                bool             // what comes from the selected pair finds us by its address
	early                  [][]byte         // DTLS before conn exists, or may begin
	pass                   *dataplane.Pass  // of the handshake
	begun                  bool             // the handshake
	sped                   *courier         // nil: not agreed on
	waiting                bool             // the handshake is complete, and waits for a path
	channels               *sctp.Channels   // made when data was negotiated
	media                  bool             // the data lane has the keys of media
	closed                 bool
}

// newTransport makes the agent. Controlling is the role of the offerer.
func (pc *PeerConnection) newTransport(controlling bool) (*transport, error) {
	t := &transport{pc: pc}
	t.port = &port{t: t, lane: pc.lane}
	role := ice.Controlled
	if controlling {
		role = ice.Controlling
	}
	cfg := pc.cfg.ICETimers.agent()
	cfg.Role, cfg.Lite, cfg.Hosts, cfg.Announced, cfg.STUNServers = role, pc.cfg.ICELite, pc.hosts(), pc.cfg.AnnouncedAddresses, pc.stunServers
	cfg.UfragPrefix, cfg.Carry = pc.lane.UfragPrefix(), pc.cfg.SPED
	agent, err := ice.New(cfg)
	if err != nil {
		return nil, err
	}
	t.agent = agent
	t.timer = pc.lane.NewTimer(func(now mono.Time) {
		t.agent.HandleTimeout(now)
		if t.conn != nil {
			t.conn.HandleTimeout(now)
		}
		t.pump(now)
	})
	if err := t.register(); err != nil {
		return nil, err
	}
	return t, nil
}

// register makes the agent's user fragment known to the engine. The one
// before stays known: its checks may still be on the way.
func (t *transport) register() error {
	ufrag, _ := t.agent.LocalCredentials()
	if err := t.pc.engine.Register(ufrag, t.pc.lane, t.port); err != nil {
		return err
	}
	t.ufrags = append(t.ufrags, ufrag)
	if len(t.ufrags) > 2 {
		t.pc.engine.Unregister(t.ufrags[0])
		t.ufrags = t.ufrags[1:]
	}
	return nil
}

// port is what the engine knows of a transport. It outlives the transport for
// as long as responses to its STUN requests may come, and then leads nowhere.
type port struct {
	t       *transport // ctl lane
	lane    *dataplane.Lane
	hearing hearing // data lane
}

// HandlePacket implements dataplane.Endpoint.
func (p *port) HandlePacket(now mono.Time, pkt *dataplane.Packet) {
	if p.t != nil {
		p.t.handlePacket(now, pkt)
	}
}

// HandleFailure implements dataplane.Endpoint.
func (p *port) HandleFailure(_ mono.Time, err error) {
	if p.t != nil {
		p.t.pc.log.Error("transport failed", "id", p.t.pc.id, "err", err)
		p.t.setDTLS(DTLSTransportFailed)
	}
}

// handlePacket takes STUN and DTLS.
func (t *transport) handlePacket(now mono.Time, p *dataplane.Packet) {
	if t.closed {
		return
	}
	t.via = p.Shard
	switch {
	case p.ContentType != 0:
		if t.conn != nil {
			// What is wrong with a record is counted by the machine.
			_ = t.conn.HandleRecord(now, p.ContentType, p.Buf)
		}
	case stun.Is(p.Buf):
		path := ice.Path{Local: p.Local, Remote: p.Remote}
		_ = t.agent.HandlePacketAt(now, arrival(p), p.Buf, path)
		if !p.Known && t.data != nil && t.agent.Validated(path) {
			t.data.AddRemote(p.Shard, p.Remote)
		}
		if path == t.selected {
			t.settled = p.Known
		}
	case p.Known:
		t.heard = ice.Path{Local: p.Local, Remote: p.Remote}
		if t.isRepeated(p.Buf) {
			break
		}
		if t.handleDTLS(now, p.Buf) == dtls.ErrHandedOver {
			// It came up before the keys went down.
			t.data.Redeliver(p)
		}
	}
	t.pump(now)
}

// arrival is when a packet came. A turn's now is the same for a request and
// its response.
func arrival(p *dataplane.Packet) mono.Time {
	if p.At != 0 {
		return p.At
	}
	return mono.Now()
}

// handleDTLS takes a handshake datagram from an address that ICE has
// authenticated.
func (t *transport) handleDTLS(now mono.Time, b []byte) error {
	if t.conn != nil {
		if t.role == dtls.Client && !t.begun && t.sped == nil {
			return nil // of an earlier connection from there: nobody speaks before the client
		}
		// A client may begin as soon as its own pair works, before ours is
		// nominated.
		t.beginDTLS(now)
		if t.begun {
			return t.conn.HandlePacket(now, b)
		}
	}
	if len(t.early) < maxEarly {
		t.early = append(t.early, append([]byte(nil), b...))
	}
	return nil
}

// startDTLS makes the handshake machine, once both sides' roles are known.
func (t *transport) startDTLS(now mono.Time, role dtls.Role) error {
	if t.conn != nil {
		t.conn.SetRemoteFingerprints(t.remoteFingerprints)
	} else if err := t.makeDTLS(role); err != nil {
		return err
	}
	t.maybeStartDTLS(now)
	t.handleEarly(now)
	t.pump(now)
	return nil
}

func (t *transport) makeDTLS(role dtls.Role) error {
	conn, err := dtls.New(t.pc.cfg.dtlsConfig(role, t.pc.certificate, t.remoteFingerprints))
	if err != nil {
		return err
	}
	t.conn, t.role = conn, role
	return nil
}

// handleEarly takes what came before the handshake could begin.
func (t *transport) handleEarly(now mono.Time) {
	early := t.early
	t.early = nil
	for _, b := range early {
		_ = t.handleDTLS(now, b) // counted by the machine
	}
}

// maybeStartDTLS starts the machine when there is a path to speak on: it does
// not wait for the nomination (RFC 8445 §12.1).
func (t *transport) maybeStartDTLS(now mono.Time) {
	if t.conn != nil && t.dtlsPath().Remote.IsValid() {
		t.beginDTLS(now)
	}
}

func (t *transport) beginDTLS(now mono.Time) {
	if t.dtlsState == DTLSTransportNew {
		t.setDTLS(DTLSTransportConnecting)
		var ok bool
		if t.pass, ok = t.pc.lane.Enter(now, t.admitted); ok {
			t.begun = true
			t.conn.Start(now)
		}
	}
}

// admitted begins a handshake that has waited for others.
func (t *transport) admitted(now mono.Time) {
	if t.closed || t.dtlsState != DTLSTransportConnecting {
		t.pass.Leave(now)
		return
	}
	t.begun = true
	t.conn.Start(now)
	t.handleEarly(now)
	t.pump(now)
}

// dtlsPath is where handshake datagrams go: the selected pair, or before there
// is one, where the peer's have come from, or the first pair that works.
func (t *transport) dtlsPath() ice.Path {
	switch {
	case t.selected.Remote.IsValid():
		return t.selected
	case t.heard.Remote.IsValid():
		return t.heard
	}
	return t.usable
}

// pump drains the machines: events first, because what they lead to (an
// address admitted to the dataplane) must be in place before the peer can
// answer what is sent afterwards.
func (t *transport) pump(now mono.Time) {
	if t.closed {
		return
	}
	for {
		ev, ok := t.agent.Event()
		if !ok {
			break
		}
		t.iceEvent(now, ev)
	}
	direct := t.carryDTLS(now)
	buf := t.pc.lane.Scratch()
	for {
		// A round trip begins here, not at the turn's beginning.
		n, path := t.agent.Transmit(mono.Now(), buf)
		if n == 0 {
			break
		}
		t.writeSTUN(now, buf[:n], path)
	}
	t.writeDTLS(direct)
	if t.conn != nil {
		t.pumpDTLS(now)
	}
	if t.closed {
		return
	}
	next := t.agent.Timeout()
	if t.conn != nil {
		next = mono.Earliest(next, t.conn.Timeout())
	}
	t.timer.Set(next)
}

func (t *transport) writeSTUN(now mono.Time, b []byte, path ice.Path) {
	if t.expects(b, path) {
		t.pc.engine.Expect(now, stun.TransactionID(b[8:20]), t.pc.lane, t.port)
	}
	t.pc.lane.Write(t.shard(), b, path.Local.Addr(), path.Remote)
}

// expects reports whether b, sent to path, is a request whose response would not
// find us unless the engine knows of it: it bears no name, and may come from an
// address, or to a shard, where nobody knows us.
func (t *transport) expects(b []byte, path ice.Path) bool {
	request := b[0]&1 == 0 && b[1]&0x10 == 0
	return request && !(t.settled && path == t.selected)
}

// shard is the one whose socket sends control packets: every shard's has the
// same port.
func (t *transport) shard() *dataplane.Shard {
	if t.data != nil {
		return t.data.Shard()
	}
	return t.pc.lane.Shard()
}

func (t *transport) pumpDTLS(now mono.Time) {
	t.finishWaiting(now)
	buf := t.pc.lane.Scratch()
	for path := t.dtlsPath(); path.Remote.IsValid(); {
		n := t.conn.Transmit(now, buf)
		if n == 0 {
			break
		}
		t.pc.lane.Write(t.shard(), buf[:n], path.Local.Addr(), path.Remote)
	}
	for t.data != nil && t.dtlsState != DTLSTransportNew {
		n, contentType := t.conn.TransmitRecord(now, buf)
		if n == 0 {
			break
		}
		t.data.SendRecord(contentType, buf[:n])
	}
	for {
		ev, ok := t.conn.Event()
		if !ok {
			return
		}
		switch ev := ev.(type) {
		case dtls.Connected:
			t.handshaken(now)
		case dtls.Closed:
			t.dtlsClosed(ev.Err)
			return
		}
	}
}

// connected hands the keys to the data lane.
func (t *transport) connected(now mono.Time) {
	t.data.SetRecords(t.conn.Records())
	t.setDTLS(DTLSTransportConnected)
	t.pc.startChannels(t)
	buf := t.pc.lane.Scratch()
	for {
		n := t.conn.EarlyData(buf)
		if n == 0 {
			break
		}
		b := append([]byte(nil), buf[:n]...)
		t.data.Channels(func(c *sctp.Channels, now mono.Time) { _ = c.HandlePacket(now, b) })
	}
	t.pc.program()
}

// startMedia hands the keys of media to the data lane (RFC 5764 §4.2). A
// connection that carries data channels alone needs none.
func (t *transport) startMedia() {
	profile, localKey, localSalt, remoteKey, remoteSalt, err := t.conn.SRTPKeys()
	if errors.Is(err, dtls.ErrNoSRTP) {
		return // the peer wants none
	}
	var in, out *srtp.Context
	if err == nil {
		in, err = srtp.NewContext(srtp.Profile(profile), remoteKey, remoteSalt)
	}
	if err == nil {
		out, err = srtp.NewContext(srtp.Profile(profile), localKey, localSalt)
	}
	if err != nil {
		t.pc.log.Warn("no SRTP keys", "id", t.pc.id, "err", err)
		t.setDTLS(DTLSTransportFailed)
		return
	}
	t.media = true
	t.data.SetSRTP(in, out)
}

func (t *transport) dtlsClosed(err error) {
	t.timer.Set(0)
	if errors.Is(err, dtls.ErrCloseNotify) {
		t.setDTLS(DTLSTransportClosed)
		// Nothing can be carried any more; W3C has no state for "the other
		// side has left", so the connection closes as by Close.
		t.pc.closeOnLane(mono.Now())
		return
	}
	if errors.Is(err, dtls.ErrClosed) {
		return
	}
	t.pc.log.Info("DTLS failed", "id", t.pc.id, "err", err)
	t.setDTLS(DTLSTransportFailed)
}

func (t *transport) setDTLS(s DTLSTransportState) {
	if t.dtlsState != s {
		t.dtlsState = s
		if s != DTLSTransportConnecting {
			t.pass.Leave(mono.Now())
		}
		if s == DTLSTransportFailed || s == DTLSTransportClosed {
			t.agent.StopCarry()
		}
		t.pc.updateState()
	}
}

func (t *transport) iceEvent(now mono.Time, ev ice.Event) {
	switch ev.Kind {
	case ice.EventCandidate:
		t.candidates = append(t.candidates, ev.Candidate)
		t.pc.localCandidate(t, &ev.Candidate)
	case ice.EventGatheringDone:
		t.gathering = ICEGatheringComplete
		t.pc.updateGathering()
	case ice.EventState:
		t.iceStateChanged(ev.State)
	case ice.EventValidated:
		t.admit(now, ev.Path)
	case ice.EventCarried:
		t.handleCarried(now, ev.Data, ev.Path)
	case ice.EventUsable:
		if t.usable.Remote.IsValid() || t.selected.Remote.IsValid() {
			break
		}
		t.usable = ev.Path
		t.admit(now, ev.Path)
		t.data.SetRemote(ev.Path.Local.Addr(), ev.Path.Remote)
		t.maybeStartDTLS(now)
	case ice.EventSelected:
		t.selected, t.settled = ev.Path, false
		t.admit(now, ev.Path)
		t.data.SetRemote(ev.Path.Local.Addr(), ev.Path.Remote)
		t.tellRTT()
		t.maybeStartDTLS(now)
	}
}

// admit lets the dataplane take packets from an address that ICE has
// authenticated. The first one decides where the transport lives: on the
// shard to which the kernel's hash sends that address.
func (t *transport) admit(now mono.Time, path ice.Path) {
	via := t.via
	if via == nil {
		via = t.pc.lane.Shard()
	}
	if t.data == nil {
		t.data = t.pc.engine.NewTransport(via, dataplane.TransportConfig{
			Since: now, Lane: t.pc.lane, Endpoint: t.port, CNAME: t.pc.cname, SSRC: t.pc.feedbackSSRC,
		})
	}
	t.data.AddRemote(via, path.Remote)
}

// tellRTT gives the data lane the round trip time of the selected pair.
func (t *transport) tellRTT() {
	if rtt := t.roundTrip(); rtt > 0 {
		t.data.SetRTT(rtt)
	}
}

func (t *transport) iceStateChanged(s ice.State) {
	t.iceState = [...]ICEConnectionState{
		ice.StateNew: ICEConnectionNew, ice.StateChecking: ICEConnectionChecking,
		ice.StateConnected: ICEConnectionConnected, ice.StateCompleted: ICEConnectionCompleted,
		ice.StateDisconnected: ICEConnectionDisconnected, ice.StateFailed: ICEConnectionFailed,
		ice.StateClosed: ICEConnectionClosed,
	}[s]
	if t.data != nil {
		if _, ok := t.agent.Selected(); !ok && (t.selected.Remote.IsValid() || s == ice.StateFailed) {
			// Without consent nothing may be sent (RFC 7675 §5.1).
			t.selected, t.usable, t.heard = ice.Path{}, ice.Path{}, ice.Path{}
			t.data.SetRemote(netip.Addr{}, netip.AddrPort{})
		} else if ok {
			t.tellRTT()
		}
	}
	t.pc.updateState()
}

// setRemote applies the peer's ICE parameters and fingerprints. It reports
// whether the peer restarted ICE.
func (t *transport) setRemote(now mono.Time, ufrag, pwd string) error {
	t.remoteUfrag, t.remotePwd = ufrag, pwd
	err := t.agent.SetRemoteCredentials(now, ufrag, pwd)
	t.pump(now)
	return err
}

// restart begins a new generation of ICE credentials.
func (t *transport) restart(now mono.Time) error { return t.restartAs(now, "", "") }

func (t *transport) gather(now mono.Time) {
	if t.gathering == ICEGatheringNew {
		t.gathering = ICEGatheringGathering
		t.pc.updateGathering()
		t.agent.Gather(now)
		t.pump(now)
	}
}

// close ends everything; the peer learns of it by a close_notify.
func (t *transport) close(now mono.Time) {
	if t.closed {
		return
	}
	if t.conn != nil && !t.pc.stranded {
		t.conn.Close(now)
		t.pumpDTLS(now)
	}
	port := t.port
	t.closed, port.t = true, nil
	t.pass.Leave(now)
	t.timer.Set(0)
	t.agent.Close()
	for _, u := range t.ufrags {
		t.pc.engine.Unregister(u)
	}
	if t.data != nil && !t.pc.stranded {
		t.data.Close(func() { port.hearing = hearing{} }) // which leads to the channels, and by them to all
	}
	t.iceState = ICEConnectionClosed
	if t.dtlsState != DTLSTransportFailed {
		t.dtlsState = DTLSTransportClosed
	}
}
