package webrtc

import (
	"fmt"
	"slices"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sdp"
)

// SetRemoteDescription applies the peer's offer, answer or rollback. An error
// that is ErrSyntax or ErrUnsupported tells what in it cannot be taken.
func (pc *PeerConnection) SetRemoteDescription(d SessionDescription) error {
	return pc.do(func(now mono.Time) error {
		state := pc.SignalingState()
		switch d.Type {
		case SDPOffer, SDPPranswer, SDPAnswer:
		case SDPRollback:
			err := pc.rollback(now)
			pc.checkNegotiation()
			return err
		default:
			return fmt.Errorf("%w: description of type %d", ErrType, d.Type)
		}
		s, err := sdp.Parse(d.SDP)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		inheritBundle(s)
		inheritOptions(s)
		if err := validateRemote(s); err != nil {
			return err
		}
		switch {
		case d.Type == SDPOffer && (state == SignalingStable || state == SignalingHaveLocalOffer || state == SignalingHaveRemoteOffer):
			return pc.setRemoteOffer(now, &description{SDPOffer, d.SDP, s})
		case (d.Type == SDPAnswer || d.Type == SDPPranswer) && (state == SignalingHaveLocalOffer || state == SignalingHaveRemotePranswer):
			return pc.setRemoteAnswer(now, &description{d.Type, d.SDP, s})
		}
		return errSignaling(fmt.Sprintf("SetRemoteDescription(%v)", d.Type), state)
	})
}

func (pc *PeerConnection) setRemoteOffer(now mono.Time, d *description) error {
	if len(d.sdp.Media) < len(pc.stable) {
		return fmt.Errorf("%w: the offer has %d sections, fewer than the %d before", ErrInvalidAccess, len(d.sdp.Media), len(pc.stable))
	}
	for i, s := range pc.stable {
		if m := &d.sdp.Media[i]; m.Kind != s.was.kind && !s.was.rejected {
			return fmt.Errorf("%w: section %d was %s and is now %s", ErrInvalidAccess, i, s.was.kind, m.Kind)
		}
	}
	if err := pc.checkFingerprints(d.sdp); err != nil {
		return err
	}
	// An offer of ours that was created, or set and not answered, gives way
	// (W3C §4.4.1.5), and so does an earlier one of the peer's.
	if pc.SignalingState() == SignalingHaveLocalOffer {
		if err := pc.rollback(now); err != nil {
			return err
		}
	} else if err := pc.unwind(now); err != nil {
		return err
	}
	pc.learn(d.sdp)
	bundle := d.sdp.Bundle()
	for i := range d.sdp.Media {
		m := &d.sdp.Media[i]
		if m.MID == "" {
			m.MID = fmt.Sprintf("section-%d", i) // peers without RFC 5888
		}
		if i == len(pc.sections) {
			pc.sections = append(pc.sections, &section{mid: m.MID, kind: m.Kind})
		}
		if err := pc.offeredSection(now, pc.sections[i], m, slices.Contains(bundle, m.MID)); err != nil {
			return err
		}
	}
	pc.pendingRemote = d
	pc.setSignaling(SignalingHaveRemoteOffer)
	return nil
}

// checkFingerprints refuses another certificate for a live association: a new
// fingerprint means a new one (RFC 8827 §5.1.4), for which a new connection
// is the way.
func (pc *PeerConnection) checkFingerprints(s *sdp.Session) error {
	for i := range s.Media {
		if i >= len(pc.sections) {
			return nil
		}
		t := pc.sections[i].transport
		if t == nil || t.conn == nil || s.Media[i].Rejected() {
			continue
		}
		list, err := fingerprints(&s.Media[i])
		if err != nil {
			continue
		}
		same := slices.ContainsFunc(list, func(f dtls.Fingerprint) bool {
			return slices.ContainsFunc(t.remoteFingerprints, func(g dtls.Fingerprint) bool { return f.String() == g.String() })
		})
		if !same {
			return fmt.Errorf("%w: media section %d has another DTLS fingerprint; make a new connection for another certificate", ErrUnsupported, i)
		}
	}
	return nil
}

// offeredSection associates a section of a remote offer with a transceiver
// and a transport (RFC 8829 §5.10).
func (pc *PeerConnection) offeredSection(now mono.Time, sec *section, m *sdp.Media, bundled bool) error {
	sec.mid = m.MID
	if m.Rejected() || !isMedia(m) && !isData(m) {
		sec.rejected = true
		return nil
	}
	sec.rejected, sec.kind = false, m.Kind
	if isData(m) {
		sec.tr = nil
	} else if sec.tr == nil || sec.tr.stopped {
		pc.associate(sec, m)
	}
	if sec.transport == nil || sec.transport.closed {
		var err error
		sec.bundled = bundled
		if bundled {
			sec.transport, err = pc.bundleTransport(false)
		} else {
			sec.transport, err = pc.addTransport(false)
		}
		if err != nil {
			return err
		}
	}
	t := sec.transport
	// In a bundle the first section's credentials count (RFC 8843 §9.1).
	if pc.firstOf(t) == sec && t.remoteUfrag != "" && (t.remoteUfrag != m.ICEUfrag || t.remotePwd != m.ICEPwd) {
		return t.restart(now)
	}
	return nil
}

// associate finds the transceiver for a new remote section: one that AddTrack
// made and that has no section yet, or a new one.
func (pc *PeerConnection) associate(sec *section, m *sdp.Media) {
	kind := Kind(m.Kind)
	for _, tr := range pc.transceivers {
		if tr.section == nil && tr.kind == kind && tr.byAddTrack && !tr.stopped {
			tr.section, sec.tr = sec, tr
			return
		}
	}
	tr := pc.newTransceiver(kind, sdp.RecvOnly)
	tr.fromRemote = true
	tr.section, sec.tr = sec, tr
}

func (pc *PeerConnection) setRemoteAnswer(now mono.Time, d *description) error {
	if len(d.sdp.Media) != len(pc.pendingLocal.sdp.Media) {
		return fmt.Errorf("%w: the answer has %d sections and the offer %d", ErrInvalidAccess, len(d.sdp.Media), len(pc.pendingLocal.sdp.Media))
	}
	if err := pc.checkFingerprints(d.sdp); err != nil {
		return err
	}
	for i := range d.sdp.Media {
		d.sdp.Media[i].MID = pc.sections[i].mid
	}
	if err := pc.negotiated(now, pc.pendingLocal.sdp, d.sdp, true); err != nil {
		return err
	}
	if d.typ == SDPPranswer {
		pc.pendingRemote = d
		pc.setSignaling(SignalingHaveRemotePranswer)
	} else {
		pc.currentLocal, pc.currentRemote = pc.pendingLocal, d
		pc.settle()
	}
	pc.flushLate(now)
	pc.checkNegotiation()
	return nil
}

// negotiated puts an offer and its answer into force. offerer tells whether
// the offer was ours.
func (pc *PeerConnection) negotiated(now mono.Time, local, remote *sdp.Session, offerer bool) error {
	answer := local
	if offerer {
		answer = remote
	}
	for i := range answer.Media {
		sec, l, r := pc.sections[i], &local.Media[i], &remote.Media[i]
		if answer.Media[i].Rejected() {
			pc.rejectSection(sec)
			continue
		}
		if err := pc.applyTransport(now, sec, l, r, remote.ICELite, offerer); err != nil {
			return err
		}
		if sec.tr != nil {
			sec.tr.negotiated(l, r, &answer.Media[i])
		} else {
			pc.applyData(sec, r)
		}
	}
	pc.closeUnused(now)
	pc.program()
	pc.updateState()
	return nil
}

func (pc *PeerConnection) rejectSection(sec *section) {
	was := sec.transport
	sec.rejected, sec.transport = true, nil
	if sec.tr != nil {
		sec.tr.end()
	} else if sec.kind == "application" && was != nil {
		pc.endData()
	}
}

// applyTransport gives the peer's parameters to the section's transport. In a
// bundle the first section's count (RFC 8843 §9.1).
func (pc *PeerConnection) applyTransport(now mono.Time, sec *section, l, r *sdp.Media, lite, offerer bool) error {
	t := sec.transport
	if t == nil || t.closed || pc.firstOf(t) != sec {
		return nil
	}
	fps, err := fingerprints(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	t.remoteFingerprints = fps
	t.agent.SetRemoteLite(lite)
	if t.remoteUfrag == "" && t.iceState == ICEConnectionNew && !lite && !pc.cfg.ICELite {
		role := ice.Controlled
		if offerer {
			role = ice.Controlling
		}
		t.agent.SetRole(role)
	}
	if err := t.prepareSPED(now, agreedSPED(l, r), dtlsRole(l, r, offerer)); err != nil {
		return err
	}
	if err := t.setRemote(now, r.ICEUfrag, r.ICEPwd); err != nil {
		return fmt.Errorf("%w: ICE credentials: %w", ErrSyntax, err)
	}
	for _, c := range r.Candidates {
		if err := t.addCandidate(now, c, ""); err != nil {
			return err
		}
	}
	if r.EndOfCandidates {
		t.agent.EndOfRemoteCandidates(now)
	}
	t.pump(now)
	return t.startDTLS(now, dtlsRole(l, r, offerer))
}

// firstOf is the first section that uses a transport and is in use.
func (pc *PeerConnection) firstOf(t *transport) *section {
	for _, s := range pc.sections {
		if s.transport == t && !s.rejected {
			return s
		}
	}
	return nil
}

// dtlsRole reads the roles off the answer (RFC 5763 §5).
func dtlsRole(l, r *sdp.Media, offerer bool) dtls.Role {
	active := l.Setup == sdp.SetupActive
	if offerer {
		// An answer of "active", or none, makes the peer the client.
		active = r.Setup == sdp.SetupPassive
	}
	if active {
		return dtls.Client
	}
	return dtls.Server
}

func (t *transport) isClient() bool { return t.role == dtls.Client }

// closeUnused closes transports whose sections have all been rejected or
// bundled away.
func (pc *PeerConnection) closeUnused(now mono.Time) {
	pc.transports = slices.DeleteFunc(pc.transports, func(t *transport) bool {
		used := slices.ContainsFunc(pc.sections, func(s *section) bool { return s.transport == t })
		if !used {
			t.close(now)
		}
		return !used
	})
}

// program brings the dataplane in line with what has been negotiated.
func (pc *PeerConnection) program() {
	for _, t := range pc.transports {
		if t.dtlsState != DTLSTransportConnected {
			continue
		}
		if !t.media && pc.carriesMedia(t) {
			t.startMedia()
		}
		if t.media {
			t.data.SetReceivers(pc.receivers(t))
		}
	}
	for _, tr := range pc.transceivers {
		tr.sender.sync()
	}
}

// checkNegotiation queues the negotiationneeded event when there is something
// to offer (W3C §4.7.3).
func (pc *PeerConnection) checkNegotiation() {
	if pc.closed || pc.SignalingState() != SignalingStable {
		return
	}
	if !pc.negotiationNeeded() {
		pc.needed = false
		return
	}
	if !pc.needed {
		pc.needed = true
		pc.events.push(func() {
			// Otherwise the return to stable looks again (W3C §4.7.3).
			if pc.SignalingState() == SignalingStable {
				pc.onNegotiationNeeded.call(struct{}{})
			}
		})
	}
}

func (pc *PeerConnection) negotiationNeeded() bool {
	if pc.wantChannels && pc.dataSection() == nil {
		return true
	}
	for _, tr := range pc.transceivers {
		switch {
		case tr.stopped:
		case tr.stopping, tr.section == nil:
			return true
		case tr.currentDirection != tr.direction && tr.offerWouldChange(pc):
			return true
		}
	}
	return false
}

// generation is the credentials of both sides.
type generation struct {
	localUfrag, localPwd, remoteUfrag, remotePwd string
}

// restartAs begins a generation of credentials that an offer has announced.
func (t *transport) restartAs(now mono.Time, ufrag, pwd string) error {
	if t.prior == nil && t.remoteUfrag != "" {
		g := &generation{remoteUfrag: t.remoteUfrag, remotePwd: t.remotePwd}
		g.localUfrag, g.localPwd = t.agent.LocalCredentials()
		t.prior = g
	}
	if err := t.agent.Restart(now, ufrag, pwd); err != nil {
		return err
	}
	t.candidates = nil
	t.gathering = ICEGatheringNew
	t.usable = ice.Path{}
	t.remoteUfrag, t.remotePwd = "", ""
	return t.register()
}

// unwind returns to the generation of credentials that is in force.
func (t *transport) unwind(now mono.Time) error {
	g := t.prior
	if g == nil {
		return nil
	}
	t.pc.engine.Unregister(g.localUfrag)
	t.ufrags = slices.DeleteFunc(t.ufrags, func(u string) bool { return u == g.localUfrag })
	err := t.restartAs(now, g.localUfrag, g.localPwd)
	t.prior = nil
	if err != nil {
		return err
	}
	t.gather(now)
	return t.setRemote(now, g.remoteUfrag, g.remotePwd)
}
