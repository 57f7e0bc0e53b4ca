package main

import (
	_ "embed"
	"fmt"
	"strings"

	pionice "github.com/pion/ice/v4"
	pionsdp "github.com/pion/sdp/v3"

	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/sdp"
)

const (
	pionICE = "github.com/pion/ice/v4"
	pionSDP = "github.com/pion/sdp/v3"
)

// realisticSDP is an offer of audio, video and data with the codecs,
// extensions and candidates a browser lists.
//
//go:embed testdata/realistic.sdp
var realisticSDP string

//go:embed testdata/simple.sdp
var simpleSDP string

func microSDP() []microCase {
	realistic, simple := map[string]string{"text": realisticSDP}, map[string]string{"text": simpleSDP}
	list := []microCase{
		{path: "sdp/parse-realistic", input: realistic, sluice: sluiceSDP(realisticSDP), pion: pionParseSDP(realisticSDP)},
		{path: "sdp/serialize-realistic", input: realistic, sluice: sluicePrintSDP, pion: pionPrintSDP},
		{path: "sdp/parse-simple", input: simple, sluice: sluiceSDP(simpleSDP), pion: pionParseSDP(simpleSDP)},
		{path: "sdp/round-trip", input: realistic, sluice: sluiceSDPTrip, pion: pionSDPTrip},
	}
	for i := range list {
		list[i].module = pionSDP
	}
	return list
}

// parseSDP reuses the parser's memory, which is our fast way.
func parseSDP(p *sdp.Parser, text string) *sdp.Session {
	s, err := p.Parse(text)
	must(err)
	return s
}

func sluiceSDP(text string) func() microWork {
	return func() microWork {
		var p sdp.Parser
		var s *sdp.Session
		op := func() { s = parseSDP(&p, text) }
		return repeat(op, func() string { op(); return outline(s) })
	}
}

// outline shows what all three understand of a description.
func outline(s *sdp.Session) string {
	var b strings.Builder
	for i := range s.Media {
		m := &s.Media[i]
		fmt.Fprintln(&b, m.Kind, m.Port, m.MID, m.ICEUfrag, len(m.Candidates), strings.Join(m.Formats, " "))
	}
	return b.String()
}

func pionOutline(s *pionsdp.SessionDescription) string {
	var b strings.Builder
	for _, m := range s.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		ufrag, _ := m.Attribute("ice-ufrag")
		candidates := 0
		for _, a := range m.Attributes {
			if a.IsICECandidate() {
				candidates++
			}
		}
		fmt.Fprintln(&b, m.MediaName.Media, m.MediaName.Port.Value, mid, ufrag, candidates, strings.Join(m.MediaName.Formats, " "))
	}
	return b.String()
}

// printedOutline is that of a printed description: attributes may stand in any
// order, and each prints those it knows.
func printedOutline(text []byte) string { return outline(parseSDP(new(sdp.Parser), string(text))) }

func pionParseSDP(text string) func() microWork {
	return func() microWork {
		var s pionsdp.SessionDescription
		op := func() {
			s = pionsdp.SessionDescription{}
			must(s.UnmarshalString(text))
		}
		return repeat(op, func() string { op(); return pionOutline(&s) })
	}
}

func sluicePrintSDP() microWork {
	s, buf := parseSDP(new(sdp.Parser), realisticSDP), make([]byte, 0, 16<<10)
	op := func() { buf = s.Append(buf[:0]) }
	return repeat(op, func() string { op(); return printedOutline(buf) })
}

func pionPrintSDP() microWork {
	var s pionsdp.SessionDescription
	var b []byte
	must(s.UnmarshalString(realisticSDP))
	op := func() {
		var err error
		b, err = s.Marshal()
		must(err)
	}
	return repeat(op, func() string { op(); return printedOutline(b) })
}

func sluiceSDPTrip() microWork {
	var p sdp.Parser
	buf := make([]byte, 0, 16<<10)
	op := func() { buf = parseSDP(&p, realisticSDP).Append(buf[:0]) }
	return repeat(op, func() string { op(); return printedOutline(buf) })
}

func pionSDPTrip() microWork {
	var b []byte
	op := func() {
		var s pionsdp.SessionDescription
		must(s.UnmarshalString(realisticSDP))
		var err error
		b, err = s.Marshal()
		must(err)
	}
	return repeat(op, func() string { op(); return printedOutline(b) })
}

var microCandidates = map[string]string{
	"host":  "3988957353 1 udp 2122260223 192.0.2.17 51512 typ host",
	"srflx": "842163049 1 udp 1686052607 203.0.113.9 51512 typ srflx raddr 192.0.2.17 rport 51512",
	"relay": "3345921071 1 udp 41885695 198.51.100.4 61000 typ relay raddr 203.0.113.9 rport 51512",
	"tcp":   "2274660785 1 tcp 1518280447 192.0.2.17 9000 typ host tcptype passive",
}

func microICE() []microCase {
	var list []microCase
	for _, kind := range []string{"host", "srflx", "relay", "tcp"} {
		list = append(list, candidateParse(kind))
	}
	text := microCandidates["srflx"]
	input := map[string]string{"text": text}
	list = append(list,
		microCase{path: "ice/serialize", module: pionICE, input: input,
			sluice: func() microWork {
				c, buf := candidate(text), make([]byte, 0, 256)
				op := func() { buf = c.Append(buf[:0]) }
				return repeat(op, func() string { op(); return bare(string(buf)) })
			},
			pion: func() microWork {
				c, s := pionCandidate(text), ""
				op := func() { s = c.Marshal() }
				return repeat(op, func() string { op(); return bare(s) })
			}},
		microCase{path: "ice/round-trip", module: pionICE, input: input,
			sluice: func() microWork {
				buf := make([]byte, 0, 256)
				op := func() { c := candidate(text); buf = c.Append(buf[:0]) }
				return repeat(op, func() string { op(); return bare(string(buf)) })
			},
			pion: func() microWork {
				s := ""
				op := func() { s = pionCandidate(text).Marshal() }
				return repeat(op, func() string { op(); return bare(s) })
			}})
	return list
}

// bare is a candidate without the name of its attribute.
func bare(s string) string { return strings.TrimPrefix(s, "candidate:") }

func candidate(text string) ice.Candidate {
	c, err := ice.ParseCandidate(text)
	must(err)
	return c
}

func pionCandidate(text string) pionice.Candidate {
	c, err := pionice.UnmarshalCandidate(text)
	must(err)
	return c
}

func candidateParse(kind string) microCase {
	text := microCandidates[kind]
	return microCase{
		path: "ice/parse-" + kind, module: pionICE, input: map[string]string{"text": text},
		sluice: func() microWork {
			var c ice.Candidate
			op := func() { c = candidate(text) }
			return repeat(op, func() string {
				op()
				return fmt.Sprint(c.Foundation, " ", c.Priority, " ", c.Addr.Addr(), " ", c.Addr.Port(), " ", c.Type)
			})
		},
		pion: func() microWork {
			var c pionice.Candidate
			op := func() { c = pionCandidate(text) }
			return repeat(op, func() string {
				op()
				return fmt.Sprint(c.Foundation(), " ", c.Priority(), " ", c.Address(), " ", c.Port(), " ", c.Type())
			})
		},
	}
}
