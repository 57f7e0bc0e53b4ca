package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/sdp"
)

// section is one m-line of the session, which keeps its place for good. Ctl
// lane.
type section struct {
	mid       string
	kind      string
	tr        *RTPTransceiver // nil for data
	transport *transport      // nil while rejected
	bundled   bool            // in the BUNDLE group
	rejected  bool
}

// stableSection is a section and what it was.
type stableSection struct {
	section *section
	was     section
}

// description is a session description that was set.
type description struct {
	typ  SDPType
	text string
	sdp  *sdp.Session // nil once it is in force: see session
}

// parsers are used again: a description weighs ten times its text.
var parsers = sync.Pool{New: func() any { return new(sdp.Parser) }}

// session is the description parsed, which it was once before. It is valid until
// done is called.
func (d *description) session() (s *sdp.Session, done func()) {
	if d.sdp != nil {
		return d.sdp, func() {}
	}
	p := parsers.Get().(*sdp.Parser)
	s, err := p.Parse(d.text)
	if err != nil {
		panic(err)
	}
	return s, func() { parsers.Put(p) }
}

const (
	protoRTP  = "UDP/TLS/RTP/SAVPF"
	protoSCTP = "UDP/DTLS/SCTP"
)

func isData(m *sdp.Media) bool {
	return m.Kind == "application" && strings.Contains(m.Proto, "DTLS/SCTP")
}

func isMedia(m *sdp.Media) bool {
	return (m.Kind == string(Audio) || m.Kind == string(Video)) && strings.Contains(m.Proto, "RTP/SAVP")
}

// inheritBundle gives the sections of a bundle what they leave to its first
// (RFC 8843 §7.1.3, §7.3.1): one transport has one of each.
func inheritBundle(s *sdp.Session) {
	bundle := s.Bundle()
	var first *sdp.Media
	for i := range s.Media {
		m := &s.Media[i]
		if m.Rejected() || m.MID == "" || !slices.Contains(bundle, m.MID) {
			continue
		}
		if first == nil {
			first = m
			continue
		}
		if m.ICEUfrag == "" {
			m.ICEUfrag, m.ICEPwd = first.ICEUfrag, first.ICEPwd
		}
		if m.Fingerprints == nil {
			m.Fingerprints = first.Fingerprints
		}
		if m.Setup == "" {
			m.Setup = first.Setup
		}
		m.RTCPMux = m.RTCPMux || isMedia(m) // only what multiplexes can be bundled
	}
}

// validateRemote refuses descriptions that cannot be answered (RFC 8829
// §5.8). What is wrong with one section is an error: half a session that
// seems to work is worse.
func validateRemote(s *sdp.Session) error {
	mids := map[string]bool{}
	for i := range s.Media {
		m := &s.Media[i]
		if m.MID != "" && mids[m.MID] {
			return fmt.Errorf("%w: two sections have mid %q", ErrSyntax, m.MID)
		}
		mids[m.MID] = true
		if m.Rejected() || !isMedia(m) && !isData(m) {
			continue
		}
		at := func(format string, args ...any) error {
			return fmt.Errorf("%w: media section %d (%s): "+format, append([]any{ErrUnsupported, i, m.Kind}, args...)...)
		}
		if m.ICEUfrag == "" || m.ICEPwd == "" {
			return at("no ICE credentials")
		}
		if err := validateICE(m); err != nil {
			return fmt.Errorf("%w: media section %d (%s): %w", ErrSyntax, i, m.Kind, err)
		}
		if _, err := fingerprints(m); err != nil {
			return at("%v", err)
		}
		if isMedia(m) && !m.RTCPMux && !m.RTCPMuxOnly {
			return at("RTCP without rtcp-mux is not supported")
		}
		switch m.Setup {
		case "", sdp.SetupActPass, sdp.SetupActive, sdp.SetupPassive:
		default:
			return at("setup:%s is not supported", m.Setup)
		}
	}
	return nil
}

// validateICE looks at what the agent will be given, while nothing has changed.
func validateICE(m *sdp.Media) error {
	bad := func(s string, least int) bool {
		return len(s) < least || len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
	}
	if bad(m.ICEUfrag, 4) || bad(m.ICEPwd, 22) { // RFC 8839 §5.4
		return ice.ErrCredentials
	}
	for _, c := range m.Candidates {
		if err := checkCandidate(c); err != nil {
			return err
		}
	}
	return nil
}

// checkCandidate reports whether a candidate can be read, or is of a kind that
// a receiver ignores (RFC 8839 §5.1).
func checkCandidate(text string) error {
	_, err := ice.ParseCandidate(text)
	if errors.Is(err, ice.ErrUnknownTransport) || errors.Is(err, ice.ErrUnknownType) {
		return nil
	}
	return err
}

// fingerprints reads those of a section whose hash is strong enough.
func fingerprints(m *sdp.Media) ([]dtls.Fingerprint, error) {
	var list []dtls.Fingerprint
	for _, text := range m.Fingerprints {
		if fp, err := dtls.ParseFingerprint(text); err == nil {
			list = append(list, fp)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no fingerprint of sha-256, sha-384 or sha-512")
	}
	return list, nil
}

// mediaBase fills in what every section that is not rejected says of its
// transport.
func (pc *PeerConnection) mediaBase(m *sdp.Media, s *section, setup sdp.Setup) error {
	t := s.transport
	m.MID = s.mid
	m.Port = 9 // RFC 8840 §4.1.1: candidates are told apart from m=
	m.ICEUfrag, m.ICEPwd = t.agent.LocalCredentials()
	if t.nextUfrag != "" {
		m.ICEUfrag, m.ICEPwd = t.nextUfrag, t.nextPwd
	}
	if !pc.cfg.ICELite {
		m.ICEOptions = []string{"trickle"}
	}
	fp, err := pc.certificate.Fingerprint("sha-256")
	if err != nil {
		return err
	}
	m.Fingerprints = []string{fp.String()}
	m.Setup = setup
	return nil
}

// withCandidates adds what has been gathered to a local description. The
// candidates of a bundle stand in its first section.
func (pc *PeerConnection) withCandidates(d *description) string {
	parsed, done := d.session()
	defer done()
	s := *parsed
	s.Media = slices.Clone(s.Media)
	seen := map[*transport]bool{}
	for i, sec := range pc.sections {
		t := sec.transport
		if i >= len(s.Media) || t == nil || seen[t] || s.Media[i].Rejected() {
			continue
		}
		seen[t] = true
		m := &s.Media[i]
		ufrag, _ := t.agent.LocalCredentials()
		if m.ICEUfrag != ufrag {
			continue // gathered for another generation
		}
		m.Candidates = nil
		for i := range t.candidates {
			m.Candidates = append(m.Candidates, strings.TrimPrefix(t.candidates[i].String(), "candidate:"))
		}
		m.EndOfCandidates = t.gathering == ICEGatheringComplete
	}
	return s.String()
}

func (pc *PeerConnection) newSession() *sdp.Session {
	pc.sessionVersion++
	return &sdp.Session{
		Origin:           sdp.Origin{ID: pc.sessionID, Version: pc.sessionVersion},
		ICELite:          pc.cfg.ICELite,
		ExtmapAllowMixed: true,
		MSIDSemantic:     " WMS *",
	}
}

// mediaSection writes the RTP part of a section: codecs, extensions, msid and
// sources.
func (pc *PeerConnection) senderLines(m *sdp.Media, tr *RTPTransceiver) {
	if !m.Direction.Sends() {
		return
	}
	s := tr.sender
	stream, track := "-", s.trackID
	if len(s.streams) > 0 {
		stream = s.streams[0]
	}
	m.MSIDs = []sdp.MSID{{Stream: stream, Track: track}}
	m.SSRCs = []sdp.SSRC{{ID: s.ssrc, CNAME: pc.cname, MSID: stream + " " + track}}
	for i := range m.Codecs {
		if isRTX(&m.Codecs[i]) {
			m.SSRCs = append(m.SSRCs, sdp.SSRC{ID: s.rtxSSRC, CNAME: pc.cname, MSID: stream + " " + track})
			m.SSRCGroups = []sdp.SSRCGroup{{Semantics: "FID", SSRCs: []uint32{s.ssrc, s.rtxSSRC}}}
			break
		}
	}
}

func rejectedMedia(m *sdp.Media) sdp.Media {
	r := sdp.Media{Kind: m.Kind, Proto: m.Proto, Formats: m.Formats, MID: m.MID, Direction: sdp.Inactive}
	if isMedia(m) {
		r.Codecs = m.Codecs[:min(1, len(m.Codecs))]
		r.Formats = r.Formats[:min(1, len(r.Formats))]
	}
	return r
}

func (pc *PeerConnection) sectionByMID(mid string) *section {
	for _, s := range pc.sections {
		if s.mid == mid {
			return s
		}
	}
	return nil
}
