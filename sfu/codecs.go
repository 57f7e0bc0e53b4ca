package sfu

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

func toSDP(c *webrtc.Codec) sdp.Codec {
	return sdp.Codec{Name: c.Name(), ClockRate: c.ClockRate, Channels: c.Channels, Fmtp: c.SDPFmtpLine}
}

func fromSDP(kind string, c *sdp.Codec) webrtc.Codec {
	return webrtc.Codec{MimeType: kind + "/" + c.Name, ClockRate: c.ClockRate, Channels: c.Channels, SDPFmtpLine: c.Fmtp}
}

// contains reports whether a codec is one of list.
func contains(list []webrtc.Codec, kind string, c *sdp.Codec) bool {
	return slices.ContainsFunc(list, func(x webrtc.Codec) bool {
		o := toSDP(&x)
		return string(x.Kind()) == kind && o.Matches(c)
	})
}

// chooseCodec picks the one format in which a publisher shall send: the one
// agreed on before, or else the first of its offer that is supported. With a
// single one it is known what each viewer must be able to decode.
func chooseCodec(m *sdp.Media, supported, before []webrtc.Codec) []webrtc.Codec {
	for _, list := range [][]webrtc.Codec{before, supported} {
		for i := range m.Codecs {
			if c := &m.Codecs[i]; contains(list, m.Kind, c) {
				return []webrtc.Codec{fromSDP(m.Kind, c)}
			}
		}
	}
	return nil
}

// offers reports whether a section can take one of codecs.
func offers(m *sdp.Media, codecs []webrtc.Codec) bool {
	return slices.ContainsFunc(m.Codecs, func(c sdp.Codec) bool { return contains(codecs, m.Kind, &c) })
}

// sectionCodecs are those of a section of an answer, retransmissions left out.
func sectionCodecs(m *sdp.Media) []webrtc.Codec {
	var list []webrtc.Codec
	for i := range m.Codecs {
		if c := &m.Codecs[i]; !strings.EqualFold(c.Name, "rtx") {
			list = append(list, fromSDP(m.Kind, c))
		}
	}
	return list
}

func codecNames(codecs []webrtc.Codec) string {
	var names []string
	for _, c := range codecs {
		n := c.MimeType
		if c.SDPFmtpLine != "" {
			n += " (" + c.SDPFmtpLine + ")"
		}
		names = append(names, n)
	}
	return strings.Join(names, ", ")
}

// isMedia reports whether a section is audio or video that is not rejected.
func isMedia(m *sdp.Media) bool {
	return (m.Kind == string(webrtc.Audio) || m.Kind == string(webrtc.Video)) && !m.Rejected()
}

// parsers are used again: a description weighs ten times its text.
var parsers = sync.Pool{New: func() any { return new(sdp.Parser) }}

// parse reads a description. What it returns is valid until done is called.
func parse(text string) (d *sdp.Session, done func(), err error) {
	p := parsers.Get().(*sdp.Parser)
	done = func() { parsers.Put(p) }
	if d, err = p.Parse(text); err != nil {
		done()
		return nil, nil, fmt.Errorf("%w: %w", webrtc.ErrSyntax, err)
	}
	return d, done, nil
}

// sections pairs the sections of an offer that was just set with transceivers:
// by name, or, for new sections, in the order of both.
type sections struct {
	live []*webrtc.RTPTransceiver
}

// sectionsOf takes the transceivers that are not stopped and gives them the
// direction that the role asks for.
func sectionsOf(pc *webrtc.PeerConnection, direction webrtc.Direction) *sections {
	s := &sections{}
	for _, tr := range pc.Transceivers() {
		if tr.SetDirection(direction) == nil { // it fails on stopped ones
			s.live = append(s.live, tr)
		}
	}
	return s
}

func (s *sections) of(m *sdp.Media) *webrtc.RTPTransceiver {
	i := slices.IndexFunc(s.live, func(tr *webrtc.RTPTransceiver) bool { return tr.MID() == m.MID && m.MID != "" })
	if i < 0 {
		i = slices.IndexFunc(s.live, func(tr *webrtc.RTPTransceiver) bool {
			return tr.MID() == "" && string(tr.Kind()) == m.Kind
		})
	}
	if i < 0 {
		return nil
	}
	tr := s.live[i]
	s.live = slices.Delete(s.live, i, i+1)
	return tr
}
