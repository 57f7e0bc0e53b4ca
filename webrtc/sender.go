package webrtc

import (
	"fmt"
	"slices"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// RTPSender is RTCRtpSender.
type RTPSender struct {
	// Immutable.
	tr       *RTPTransceiver
	ssrc     uint32
	rtxSSRC  uint32
	trackID  string
	firstSeq uint16
	firstTS  uint32

	// Ctl lane.
	track   *MediaStreamTrack
	streams []string
	used    bool // has had a track
	route   *dataplane.Route
	from    *dataplane.Stream
}

func newSender(tr *RTPTransceiver) *RTPSender {
	return &RTPSender{
		tr: tr, ssrc: randomSSRC(), rtxSSRC: randomSSRC(), trackID: randomHex(8),
		firstSeq: uint16(randomUint64() & 0x7fff), firstTS: uint32(randomUint64()),
	}
}

// Track is what is sent, nil for nothing.
func (s *RTPSender) Track() *MediaStreamTrack {
	var t *MediaStreamTrack
	_ = s.tr.pc.do(func(mono.Time) error { t = s.track; return nil })
	return t
}

// SSRC is the synchronisation source of the packets.
func (s *RTPSender) SSRC() uint32 { return s.ssrc }

// ReplaceTrack changes what is sent, without negotiation; nil sends nothing.
func (s *RTPSender) ReplaceTrack(track *MediaStreamTrack) error {
	return s.tr.pc.do(func(mono.Time) error {
		if track != nil && track.kind != s.tr.kind {
			return fmt.Errorf("%w: a track of kind %s on a transceiver of kind %s", ErrType, track.kind, s.tr.kind)
		}
		if s.tr.stopped {
			return fmt.Errorf("%w: the transceiver is stopped", ErrInvalidState)
		}
		s.setTrack(track)
		return nil
	})
}

// setTrack is ReplaceTrack on the ctl lane.
func (s *RTPSender) setTrack(track *MediaStreamTrack) {
	if s.track == track {
		return
	}
	if s.track != nil {
		s.track.detach(s)
	}
	s.track = track
	if track != nil {
		s.used = true
		track.attach(s)
	}
	s.sync()
}

// sync brings the dataplane's route in line with the track and what has been
// negotiated. Ctl lane.
func (s *RTPSender) sync() {
	t := s.tr.transport()
	if s.track == nil || t == nil || t.dtlsState != DTLSTransportConnected || !s.tr.currentDirection.Sends() {
		s.stop()
		return
	}
	src := s.track.current()
	leg, ok := s.leg(t, &src)
	if src.stream == nil || !ok {
		s.stop()
		return
	}
	switch {
	case s.route == nil:
		s.route, s.from = t.pc.engine.Route(src.stream, []dataplane.Leg{leg}), src.stream
	case s.from != src.stream:
		s.route.Update([]dataplane.Leg{leg})
		s.route.Switch(src.stream)
		s.from = src.stream
	default:
		s.route.Update([]dataplane.Leg{leg})
	}
}

func (s *RTPSender) stop() {
	if s.route != nil {
		s.route.Close(nil)
		s.route, s.from = nil, nil
	}
}

// leg maps the source's numbers to those that the receiver of this sender
// knows. It reports false when they have no format in common.
func (s *RTPSender) leg(t *transport, src *source) (dataplane.Leg, bool) {
	l := dataplane.Leg{
		To: t.data, SSRC: s.ssrc, MID: s.tr.mid, FirstSeq: s.firstSeq, FirstTimestamp: s.firstTS,
	}
	for i := range l.PayloadTypes {
		l.PayloadTypes[i], l.RTXPayloadTypes[i] = dataplane.NoPayload, dataplane.NoPayload
	}
	some := s.mapPayloads(&l, src)
	for i := range s.tr.sendCodecs {
		c := &s.tr.sendCodecs[i]
		if apt, ok := c.APT(); ok {
			l.RTXPayloadTypes[apt] = c.PayloadType
			l.RTXSSRC = s.rtxSSRC
		}
		l.NACK = l.NACK || c.HasFeedback("nack")
	}
	for _, out := range s.tr.extmaps {
		if out.URI == rtp.URIMID {
			l.MIDExt = uint8(out.ID)
		}
		if !forwarded(out.URI) {
			continue
		}
		for _, in := range src.extmaps {
			if in.URI == out.URI && in.ID < 16 {
				l.ExtensionIDs[in.ID] = uint8(out.ID)
			}
		}
	}
	return l, some
}

func (s *RTPSender) mapPayloads(l *dataplane.Leg, src *source) (some bool) {
	number := func(c *sdp.Codec) (uint8, bool) {
		i := slices.IndexFunc(s.tr.sendCodecs, func(o sdp.Codec) bool { return !isRTX(&o) && o.Matches(c) })
		if i < 0 {
			return 0, false
		}
		return s.tr.sendCodecs[i].PayloadType, true
	}
	if s.track.local != nil {
		c := s.track.local.sdp()
		pt, ok := number(&c)
		if ok {
			for i := range l.PayloadTypes {
				l.PayloadTypes[i] = pt
			}
		}
		return ok
	}
	for i := range src.codecs {
		if c := &src.codecs[i]; !isRTX(c) {
			if pt, ok := number(c); ok {
				l.PayloadTypes[c.PayloadType] = pt
				some = true
			}
		}
	}
	return some
}
