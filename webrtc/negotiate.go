package webrtc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// payloadTypes remembers what each number has meant in the session: one number
// never means two formats (RFC 8834 §4.3).
type payloadTypes struct {
	used map[uint8]sdp.Codec
}

func (p *payloadTypes) init() { p.used = map[uint8]sdp.Codec{} }

func (p *payloadTypes) learn(codecs []sdp.Codec) {
	for _, c := range codecs {
		p.used[c.PayloadType] = c
	}
}

// number finds the number of a codec, or gives it one.
func (p *payloadTypes) number(c *sdp.Codec, apt string) uint8 {
	same := func(o *sdp.Codec) bool {
		if !o.Matches(c) {
			return false
		}
		if apt == "" {
			return true
		}
		v, _ := o.Param("apt")
		return v == apt
	}
	for pt := range uint8(128) {
		if o, ok := p.used[pt]; ok && same(&o) {
			return pt
		}
	}
	if pt, ok := staticPayloadTypes[strings.ToLower(c.Name)]; ok {
		if _, taken := p.used[pt]; !taken {
			p.take(pt, c, apt)
			return pt
		}
	}
	// The dynamic range, and what RFC 8829 §5.2.1 allows beyond it.
	for _, r := range [][2]uint8{{96, 127}, {35, 63}} {
		for pt := r[0]; pt <= r[1]; pt++ {
			if _, taken := p.used[pt]; !taken {
				p.take(pt, c, apt)
				return pt
			}
		}
	}
	return noPayloadType
}

const noPayloadType = 0xff

func (p *payloadTypes) take(pt uint8, c *sdp.Codec, apt string) {
	n := *c
	n.PayloadType = pt
	if apt != "" {
		n.Fmtp = "apt=" + apt
	}
	p.used[pt] = n
}

// offeredCodecs are the codecs of a section of an offer of ours.
func (pc *PeerConnection) offeredCodecs(tr *RTPTransceiver) []sdp.Codec {
	var list []sdp.Codec
	for _, c := range pc.preferred(tr) {
		sc := c.sdp()
		sc.PayloadType = pc.payloadTypes.number(&sc, "")
		if sc.PayloadType == noPayloadType {
			continue
		}
		sc.Feedback = feedback[tr.kind]
		list = append(list, sc)
		if tr.kind != Video {
			continue
		}
		apt := strconv.Itoa(int(sc.PayloadType))
		rtx := sdp.Codec{Name: "rtx", ClockRate: sc.ClockRate, Fmtp: "apt=" + apt}
		if rtx.PayloadType = pc.payloadTypes.number(&rtx, apt); rtx.PayloadType != noPayloadType {
			list = append(list, rtx)
		}
	}
	return list
}

// preferred are the configured codecs of a transceiver's kind, the preferred
// ones first.
func (pc *PeerConnection) preferred(tr *RTPTransceiver) []Codec {
	list := tr.preferences
	if list == nil {
		list = pc.cfg.Codecs
	}
	var out []Codec
	for _, c := range list {
		if c.Kind() == tr.kind {
			out = append(out, c)
		}
	}
	return out
}

// answeredCodecs are the codecs of the offer that are supported, in the
// offer's order or that of the preferences, with its numbers (RFC 8829 §5.3.1).
func (pc *PeerConnection) answeredCodecs(tr *RTPTransceiver, offer *sdp.Media) []sdp.Codec {
	var list []sdp.Codec
	ours := pc.preferred(tr)
	take := func(o *sdp.Codec) {
		list = append(list, answerCodec(tr.kind, o))
		for i := range offer.Codecs {
			if apt, ok := offer.Codecs[i].APT(); ok && apt == o.PayloadType {
				list = append(list, answerCodec(tr.kind, &offer.Codecs[i]))
				break
			}
		}
	}
	supported := func(o *sdp.Codec) bool {
		return slices.ContainsFunc(ours, func(c Codec) bool {
			sc := c.sdp()
			return sc.Matches(o)
		})
	}
	if tr.preferences == nil {
		for i := range offer.Codecs {
			if o := &offer.Codecs[i]; !isRTX(o) && supported(o) {
				take(o)
			}
		}
		return list
	}
	for _, c := range ours {
		sc := c.sdp()
		for i := range offer.Codecs {
			if o := &offer.Codecs[i]; sc.Matches(o) {
				take(o)
				break
			}
		}
	}
	return list
}

// answerCodec accepts a codec with the feedback that both sides understand.
func answerCodec(kind Kind, o *sdp.Codec) sdp.Codec {
	c := *o
	c.Feedback = nil
	for _, f := range o.Feedback {
		if slices.Contains(feedback[kind], f) {
			c.Feedback = append(c.Feedback, f)
		}
	}
	return c
}

// answeredExtensions are the offer's extensions that are understood, under
// the offer's numbers (RFC 8285 §6).
func answeredExtensions(kind Kind, offer *sdp.Media) []sdp.Extmap {
	var list []sdp.Extmap
	for _, e := range offer.Extmaps {
		// Ids above 14 need the two-byte form, which not every receiver of
		// forwarded packets would take.
		if e.ID <= 14 && understands(kind, e.URI) {
			list = append(list, sdp.Extmap{ID: e.ID, URI: e.URI, Direction: e.Direction.Reverse()})
		}
	}
	return list
}

// offeredExtensions numbers the extensions of an offer of ours: one number
// for each in the whole session (RFC 8843 §9.1).
func (pc *PeerConnection) offeredExtensions(kind Kind) []sdp.Extmap {
	var list []sdp.Extmap
	for _, e := range extensions {
		if !understands(kind, e.uri) {
			continue
		}
		id, ok := pc.extensionIDs[e.uri]
		if !ok {
			if id = pc.freeExtensionID(); id == 0 {
				continue
			}
			pc.extensionIDs[e.uri] = id
		}
		list = append(list, sdp.Extmap{ID: id, URI: e.uri})
	}
	return list
}

func (pc *PeerConnection) freeExtensionID() uint16 {
	for id := uint16(1); id <= 14; id++ {
		taken := false
		for _, n := range pc.extensionIDs {
			taken = taken || n == id
		}
		if !taken {
			return id
		}
	}
	return 0
}

// learn keeps the numbers a remote description uses.
func (pc *PeerConnection) learn(s *sdp.Session) {
	for i := range s.Media {
		m := &s.Media[i]
		if !isMedia(m) || m.Rejected() {
			continue
		}
		pc.payloadTypes.learn(m.Codecs)
		for _, e := range m.Extmaps {
			if e.ID <= 14 {
				pc.extensionIDs[e.URI] = e.ID
			}
		}
	}
}

// answeredSimulcast accepts the layers that the offer wants to send.
func answeredSimulcast(m, offer *sdp.Media) {
	hasRID := slices.ContainsFunc(m.Extmaps, func(e sdp.Extmap) bool { return e.URI == rtp.URIRID })
	if !hasRID || len(offer.Simulcast.Send) == 0 || !m.Direction.Receives() {
		return
	}
	for _, rid := range sendRIDs(offer) {
		m.RIDs = append(m.RIDs, sdp.RID{ID: rid, Direction: "recv"})
		m.Simulcast.Recv = append(m.Simulcast.Recv, []string{rid})
	}
}

// maxLayers bounds the layers of a section: what the encoders in use make.
const maxLayers = 8

// sendRIDs are the rids that a section sends, without the marks of paused
// ones.
func sendRIDs(m *sdp.Media) []string {
	var list []string
	for _, alternatives := range m.Simulcast.Send {
		rid := strings.TrimPrefix(alternatives[0], "~")
		declared := slices.ContainsFunc(m.RIDs, func(r sdp.RID) bool { return r.ID == rid && r.Direction == "send" })
		if declared && len(list) < maxLayers && !slices.Contains(list, rid) {
			list = append(list, rid)
		}
	}
	return list
}

func formats(codecs []sdp.Codec) []string {
	list := make([]string, len(codecs))
	for i := range codecs {
		list[i] = strconv.Itoa(int(codecs[i].PayloadType))
	}
	return list
}

func errSignaling(op string, s SignalingState) error {
	return fmt.Errorf("%w: %s is not possible in signaling state %v", ErrInvalidState, op, s)
}
