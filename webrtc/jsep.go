package webrtc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sdp"
)

// OfferOptions is RTCOfferOptions.
type OfferOptions struct {
	// ICERestart offers new ICE credentials.
	ICERestart bool
}

// CreateOffer makes an offer of everything the connection has; options may be
// nil.
func (pc *PeerConnection) CreateOffer(options *OfferOptions) (SessionDescription, error) {
	var d SessionDescription
	err := pc.do(func(now mono.Time) error {
		switch s := pc.SignalingState(); s {
		case SignalingStable, SignalingHaveLocalOffer:
		default:
			return errSignaling("CreateOffer", s)
		}
		text, err := pc.offer(options != nil && options.ICERestart)
		d, pc.lastOffer = SessionDescription{SDPOffer, text}, text
		return err
	})
	return d, err
}

// offer writes an offer. Sections keep their places; new transceivers take
// those of stopped ones of their kind, or the end (RFC 8829 §5.2.2).
func (pc *PeerConnection) offer(restart bool) (string, error) {
	if err := pc.assignSections(); err != nil {
		return "", err
	}
	s := pc.newSession()
	bundle := sdp.Group{Semantics: "BUNDLE"}
	for _, sec := range pc.sections {
		if sec.transport != nil && restart && sec.transport.nextUfrag == "" {
			sec.transport.nextUfrag, sec.transport.nextPwd = randomHex(4), randomHex(16)
		}
		m, err := pc.offerSection(sec)
		if err != nil {
			return "", err
		}
		if !m.Rejected() {
			bundle.MIDs = append(bundle.MIDs, sec.mid)
		}
		s.Media = append(s.Media, m)
	}
	if len(bundle.MIDs) > 0 {
		s.Groups = []sdp.Group{bundle}
	}
	return s.String(), nil
}

// assignSections gives each transceiver without one a section, and data too.
func (pc *PeerConnection) assignSections() error {
	for _, tr := range pc.transceivers {
		if tr.section == nil && !tr.stopped {
			sec := &section{kind: string(tr.kind), mid: pc.newMID(), tr: tr, bundled: true}
			tr.section = sec
			pc.place(sec)
		}
	}
	if pc.wantChannels && pc.dataSection() == nil {
		pc.place(&section{kind: "application", mid: pc.newMID(), bundled: true})
	}
	for _, sec := range pc.sections {
		if sec.transport != nil || sec.rejected {
			continue
		}
		t, err := pc.bundleTransport(true)
		if err != nil {
			return err
		}
		sec.transport, sec.bundled = t, true
	}
	return nil
}

// place puts a new section where one of its kind was rejected by both sides,
// or at the end.
func (pc *PeerConnection) place(sec *section) {
	for i, s := range pc.stable {
		if pc.sections[i] == s.section && s.was.rejected && s.was.kind == sec.kind {
			pc.sections[i] = sec
			return
		}
	}
	pc.sections = append(pc.sections, sec)
}

func (pc *PeerConnection) newMID() string {
	for {
		mid := strconv.Itoa(pc.nextMID)
		pc.nextMID++
		if pc.sectionByMID(mid) == nil {
			return mid
		}
	}
}

func (pc *PeerConnection) dataSection() *section {
	for _, s := range pc.sections {
		if s.kind == "application" && !s.rejected {
			return s
		}
	}
	return nil
}

// bundleTransport is the transport of the bundle, made if there is none.
func (pc *PeerConnection) bundleTransport(controlling bool) (*transport, error) {
	for _, s := range pc.sections {
		if s.bundled && s.transport != nil && !s.transport.closed {
			return s.transport, nil
		}
	}
	return pc.addTransport(controlling)
}

func (pc *PeerConnection) addTransport(controlling bool) (*transport, error) {
	t, err := pc.newTransport(controlling)
	if err != nil {
		return nil, err
	}
	pc.transports = append(pc.transports, t)
	return t, nil
}

func (pc *PeerConnection) offerSection(sec *section) (sdp.Media, error) {
	m := sdp.Media{Kind: sec.kind, MID: sec.mid}
	tr := sec.tr
	if tr != nil {
		m.Proto = protoRTP
		m.Codecs = pc.offeredCodecs(tr)
		m.Formats = formats(m.Codecs)
	} else {
		m.Proto, m.Formats = protoSCTP, []string{"webrtc-datachannel"}
	}
	if sec.rejected || tr != nil && (tr.stopped || tr.stopping) {
		return rejectedMedia(&m), nil
	}
	if err := pc.mediaBase(&m, sec, sdp.SetupActPass); err != nil {
		return m, err
	}
	m.ICEOptions = append(m.ICEOptions, pc.offerSPED()...)
	if tr == nil {
		m.SCTPPort, m.MaxMessageSize, m.HasMaxMessageSize = 5000, uint64(pc.cfg.DataChannels.messageSize()), true
		m.SCTPInit = pc.announceChannels()
		return m, nil
	}
	m.Direction = tr.direction
	m.RTCPMux, m.RTCPRsize = true, true
	m.Extmaps = pc.offeredExtensions(tr.kind)
	pc.senderLines(&m, tr)
	return m, nil
}

// CreateAnswer makes the answer to the remote offer that is set.
func (pc *PeerConnection) CreateAnswer() (SessionDescription, error) {
	var d SessionDescription
	err := pc.do(func(now mono.Time) error {
		if s := pc.SignalingState(); s != SignalingHaveRemoteOffer && s != SignalingHaveLocalPranswer {
			return errSignaling("CreateAnswer", s)
		}
		text, err := pc.answer()
		d, pc.lastAnswer = SessionDescription{SDPAnswer, text}, text
		return err
	})
	return d, err
}

func (pc *PeerConnection) answer() (string, error) {
	offer := pc.pendingRemote.sdp
	s := pc.newSession()
	s.ExtmapAllowMixed = offer.ExtmapAllowMixed
	bundle := sdp.Group{Semantics: "BUNDLE"}
	for i := range offer.Media {
		m, err := pc.answerSection(pc.sections[i], &offer.Media[i])
		if err != nil {
			return "", err
		}
		if !m.Rejected() && pc.sections[i].bundled {
			bundle.MIDs = append(bundle.MIDs, m.MID)
		}
		s.Media = append(s.Media, m)
	}
	if len(bundle.MIDs) > 0 {
		s.Groups = []sdp.Group{bundle}
	}
	return s.String(), nil
}

func (pc *PeerConnection) answerSection(sec *section, offer *sdp.Media) (sdp.Media, error) {
	m := sdp.Media{Kind: offer.Kind, Proto: offer.Proto, MID: offer.MID}
	if sec.rejected || sec.transport == nil || sec.tr != nil && sec.tr.stopped {
		return rejectedMedia(offer), nil
	}
	if sec.tr != nil {
		m.Codecs = pc.answeredCodecs(sec.tr, offer)
		if len(m.Codecs) == 0 {
			return rejectedMedia(offer), nil
		}
		m.Formats = formats(m.Codecs)
	}
	if err := pc.mediaBase(&m, sec, pc.answerSetup(sec.transport, offer.Setup)); err != nil {
		return m, err
	}
	m.MID = offer.MID
	m.ICEOptions = append(m.ICEOptions, pc.answerSPED(offer)...)
	if sec.tr == nil {
		m.Formats = offer.Formats
		m.SCTPPort, m.MaxMessageSize, m.HasMaxMessageSize = 5000, uint64(pc.cfg.DataChannels.messageSize()), true
		m.SCTPInit = pc.answerInit(offer.SCTPInit)
		return m, nil
	}
	theirs := offer.Direction.Reverse()
	m.Direction = sdp.MakeDirection(sec.tr.direction.Sends() && theirs.Sends(), sec.tr.direction.Receives() && theirs.Receives())
	m.RTCPMux, m.RTCPMuxOnly, m.RTCPRsize = true, offer.RTCPMuxOnly, offer.RTCPRsize
	m.Extmaps = answeredExtensions(sec.tr.kind, offer)
	answeredSimulcast(&m, offer)
	pc.senderLines(&m, sec.tr)
	return m, nil
}

// answerSetup is our side of the DTLS role (RFC 8842 §5.3): what it is, once
// there is an association.
func (pc *PeerConnection) answerSetup(t *transport, offered sdp.Setup) sdp.Setup {
	client := pc.cfg.DTLSRole == DTLSClient
	switch {
	case t.conn != nil:
		client = t.isClient()
	case offered == sdp.SetupActive:
		client = false
	case offered == sdp.SetupPassive:
		client = true
	}
	if client {
		return sdp.SetupActive
	}
	return sdp.SetupPassive
}

// SetLocalDescription applies the offer or answer that was created last, word
// for word; any other gives ErrInvalidModification (W3C §4.4.2). An empty SDP
// makes the one that the state asks for, as an absent argument does in the W3C
// API.
func (pc *PeerConnection) SetLocalDescription(d SessionDescription) error {
	return pc.do(func(now mono.Time) error {
		state := pc.SignalingState()
		if d.Type > SDPRollback {
			return fmt.Errorf("%w: description of type %d", ErrType, d.Type)
		}
		if d.Type == 0 {
			d.Type = SDPOffer
			if state == SignalingHaveRemoteOffer || state == SignalingHaveLocalPranswer {
				d.Type = SDPAnswer
			}
		}
		if d.Type == SDPRollback {
			err := pc.rollback(now)
			pc.checkNegotiation()
			return err
		}
		if d.SDP == "" {
			if err := pc.create(&d); err != nil {
				return err
			}
		} else if err := pc.unmodified(d); err != nil {
			return err
		}
		s, err := sdp.Parse(d.SDP)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if d.Type == SDPOffer {
			return pc.setLocalOffer(now, &description{SDPOffer, d.SDP, s})
		}
		return pc.setLocalAnswer(now, &description{d.Type, d.SDP, s})
	})
}

// unmodified reports where a description differs from the one created last. It
// names lines and does not quote them: they may hold a password.
func (pc *PeerConnection) unmodified(d SessionDescription) error {
	made := pc.lastAnswer
	if d.Type == SDPOffer {
		made = pc.lastOffer
	}
	switch {
	case d.SDP == made:
		return nil
	case made == "":
		return fmt.Errorf("%w: no %v has been created in this state", ErrInvalidModification, d.Type)
	}
	ours, theirs := slices.Collect(strings.Lines(made)), slices.Collect(strings.Lines(d.SDP))
	for i, line := range ours {
		if i >= len(theirs) || theirs[i] != line {
			name, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			if !strings.HasPrefix(name, "a=") {
				name, _, _ = strings.Cut(name, " ")
			}
			return fmt.Errorf("%w: line %d, %q as created, differs", ErrInvalidModification, i+1, name)
		}
	}
	return fmt.Errorf("%w: lines after the %dth were added", ErrInvalidModification, len(ours))
}

func (pc *PeerConnection) create(d *SessionDescription) (err error) {
	if d.Type == SDPOffer {
		d.SDP, err = pc.offer(false)
	} else if pc.pendingRemote == nil {
		err = errSignaling("SetLocalDescription(answer)", pc.SignalingState())
	} else {
		d.SDP, err = pc.answer()
	}
	return err
}

func (pc *PeerConnection) setLocalOffer(now mono.Time, d *description) error {
	if s := pc.SignalingState(); s != SignalingStable && s != SignalingHaveLocalOffer {
		return errSignaling("SetLocalDescription(offer)", s)
	}
	if len(d.sdp.Media) > len(pc.sections) {
		return fmt.Errorf("%w: the offer was not created by this connection", ErrInvalidAccess)
	}
	pc.pendingLocal = d
	for _, t := range pc.transports {
		if t.nextUfrag == "" {
			continue
		}
		if err := t.restartAs(now, t.nextUfrag, t.nextPwd); err != nil {
			return err
		}
		t.nextUfrag, t.nextPwd = "", ""
	}
	pc.setSignaling(SignalingHaveLocalOffer)
	pc.gatherAll(now)
	return nil
}

func (pc *PeerConnection) setLocalAnswer(now mono.Time, d *description) error {
	if s := pc.SignalingState(); s != SignalingHaveRemoteOffer && s != SignalingHaveLocalPranswer {
		return errSignaling("SetLocalDescription(answer)", s)
	}
	if len(d.sdp.Media) != len(pc.pendingRemote.sdp.Media) {
		return fmt.Errorf("%w: the answer has %d sections and the offer %d", ErrInvalidAccess, len(d.sdp.Media), len(pc.pendingRemote.sdp.Media))
	}
	err := pc.negotiated(now, d.sdp, pc.pendingRemote.sdp, false)
	if err != nil {
		return err
	}
	if d.typ == SDPPranswer {
		pc.pendingLocal = d
		pc.setSignaling(SignalingHaveLocalPranswer)
	} else {
		pc.currentLocal, pc.currentRemote = d, pc.pendingRemote
		pc.settle()
	}
	pc.gatherAll(now)
	pc.flushLate(now)
	pc.checkNegotiation()
	return nil
}

func (pc *PeerConnection) gatherAll(now mono.Time) {
	for _, t := range pc.transports {
		if !t.closed {
			t.gather(now)
		}
	}
	if len(pc.transports) == 0 {
		// Every section was rejected: there is nothing to wait for.
		pc.gatheredOnce.Do(func() { close(pc.gathered) })
	}
}

func (pc *PeerConnection) flushLate(now mono.Time) {
	late := pc.lateCandidates
	pc.lateCandidates = nil
	for _, l := range late {
		if s := pc.sectionOf(l.c); s != nil && s.transport != nil {
			if err := s.transport.addCandidate(now, l.c.Candidate, l.c.UsernameFragment); err != nil {
				pc.log.Debug("candidate ignored", "id", pc.id, "err", err)
			}
		}
	}
}

// LocalDescription is the newest local description, with the candidates
// gathered so far; its zero value when there is none.
func (pc *PeerConnection) LocalDescription() SessionDescription {
	var out SessionDescription
	_ = pc.do(func(mono.Time) error {
		d := pc.pendingLocal
		if d == nil {
			d = pc.currentLocal
		}
		if d != nil {
			out = SessionDescription{d.typ, pc.withCandidates(d)}
		}
		return nil
	})
	return out
}

// CurrentLocalDescription is the one in force; PendingLocalDescription the one
// that waits for its answer.
func (pc *PeerConnection) CurrentLocalDescription() SessionDescription {
	return pc.described(func() *description { return pc.currentLocal })
}

// PendingLocalDescription is the local description that waits for its answer.
func (pc *PeerConnection) PendingLocalDescription() SessionDescription {
	return pc.described(func() *description { return pc.pendingLocal })
}

// CurrentRemoteDescription is the remote description in force.
func (pc *PeerConnection) CurrentRemoteDescription() SessionDescription {
	return pc.described(func() *description { return pc.currentRemote })
}

// PendingRemoteDescription is the remote description that waits for its answer.
func (pc *PeerConnection) PendingRemoteDescription() SessionDescription {
	return pc.described(func() *description { return pc.pendingRemote })
}

// RemoteDescription is the newest remote description.
func (pc *PeerConnection) RemoteDescription() SessionDescription {
	return pc.described(func() *description {
		if pc.pendingRemote != nil {
			return pc.pendingRemote
		}
		return pc.currentRemote
	})
}

func (pc *PeerConnection) described(f func() *description) (out SessionDescription) {
	_ = pc.do(func(mono.Time) error {
		if d := f(); d != nil {
			out = SessionDescription{d.typ, d.text}
		}
		return nil
	})
	return out
}

// settle enters the stable state with what has been negotiated.
func (pc *PeerConnection) settle() {
	pc.pendingLocal, pc.pendingRemote = nil, nil
	pc.currentLocal.sdp, pc.currentRemote.sdp = nil, nil // kilobytes, that few ask for again
	pc.lastOffer, pc.lastAnswer = "", ""
	pc.transceivers = slices.DeleteFunc(pc.transceivers, func(tr *RTPTransceiver) bool { return tr.stopped })
	pc.stable = pc.stable[:0]
	for _, sec := range pc.sections {
		pc.stable = append(pc.stable, stableSection{sec, *sec})
	}
	for _, t := range pc.transports {
		t.prior = nil
	}
	// What was asked for in the meantime gets an event of its own (W3C
	// §4.4.1.5: the flag is cleared, then updated).
	pc.needed = false
	pc.setSignaling(SignalingStable)
}

// rollback returns to stable (RFC 8829 §4.1.10.2).
func (pc *PeerConnection) rollback(now mono.Time) error {
	if s := pc.SignalingState(); s != SignalingHaveLocalOffer && s != SignalingHaveRemoteOffer {
		return errSignaling("rollback", s)
	}
	if err := pc.unwind(now); err != nil {
		return err
	}
	pc.pendingLocal, pc.pendingRemote = nil, nil
	pc.lastOffer, pc.lastAnswer = "", ""
	pc.needed = false
	pc.setSignaling(SignalingStable)
	return nil
}

// unwind gives up the sections, and the generation of ICE credentials, that
// are not in force.
func (pc *PeerConnection) unwind(now mono.Time) error {
	pc.sections = pc.sections[:0:0]
	for _, s := range pc.stable {
		*s.section = s.was
		pc.sections = append(pc.sections, s.section)
	}
	pc.transceivers = slices.DeleteFunc(pc.transceivers, func(tr *RTPTransceiver) bool {
		if tr.section == nil || tr.section.tr == tr && slices.Contains(pc.sections, tr.section) {
			return false
		}
		tr.section, tr.mid = nil, ""
		if !tr.fromRemote || tr.sender.track != nil {
			return false
		}
		tr.end()
		return true
	})
	pc.lateCandidates = nil
	pc.closeUnused(now)
	for _, t := range pc.transports {
		t.nextUfrag, t.nextPwd = "", ""
		if err := t.unwind(now); err != nil {
			return err
		}
	}
	return nil
}
