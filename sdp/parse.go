package sdp

import (
	"fmt"
	"strconv"
	"strings"
)

// SyntaxError says which line of a description cannot be read.
type SyntaxError struct {
	Line   int // from 1
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("sdp: line %d: %s", e.Line, e.Reason) }

// Parse reads a description. Lines may end with or without a carriage return.
// It fails with *SyntaxError, or with an error that is ErrTooLarge. Unknown
// lines and attributes are kept or skipped, never an error.
func Parse(text string) (*Session, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), MaxBytes)
	}
	p := parser{s: &Session{}}
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		p.line++
		if p.line > MaxLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrTooLarge, MaxLines)
		}
		line = strings.TrimRight(line, "\r \t")
		if line == "" {
			continue
		}
		if len(line) > MaxLine {
			return nil, fmt.Errorf("%w: line %d has %d bytes, at most %d", ErrTooLarge, p.line, len(line), MaxLine)
		}
		if len(line) < 2 || line[1] != '=' {
			return nil, p.fail("not of the form x=value")
		}
		if err := p.take(line[0], line[2:]); err != nil {
			return nil, err
		}
	}
	if !p.version {
		return nil, &SyntaxError{1, "a description begins with v=0"}
	}
	p.s.inherit()
	return p.s, nil
}

type parser struct {
	s       *Session
	line    int
	version bool
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{p.line, fmt.Sprintf(format, args...)}
}

// section is the media section being read, nil at session level.
func (p *parser) section() *Media {
	if n := len(p.s.Media); n > 0 {
		return &p.s.Media[n-1]
	}
	return nil
}

func (p *parser) take(kind byte, v string) error {
	if !p.version {
		if kind != 'v' || v != "0" {
			return p.fail("a description begins with v=0")
		}
		p.version = true
		return nil
	}
	m := p.section()
	switch kind {
	case 'o':
		return p.origin(v)
	case 's':
		if v != "-" && v != " " {
			p.s.Name = v
		}
	case 'm':
		return p.media(v)
	case 'c':
		if m != nil {
			if f := strings.Fields(v); len(f) == 3 {
				m.Address = f[2]
			}
		}
	case 'b':
		if t, n, ok := strings.Cut(v, ":"); ok && m != nil {
			if value, err := strconv.ParseUint(n, 10, 64); err == nil {
				m.Bandwidths = append(m.Bandwidths, Bandwidth{t, value})
			}
		}
	case 'a':
		key, value, _ := strings.Cut(v, ":")
		if m != nil {
			return p.mediaAttribute(m, key, value)
		}
		p.sessionAttribute(key, value)
	}
	return nil
}

// origin reads "- 4611731400430051336 2 IN IP4 127.0.0.1". Values beyond 64
// bits, which some implementations write, are cut, not refused.
func (p *parser) origin(v string) error {
	f := strings.Fields(v)
	if len(f) != 6 {
		return p.fail("o= needs six fields")
	}
	o := &p.s.Origin
	if f[0] != "-" {
		o.Username = f[0]
	}
	o.ID, _ = strconv.ParseUint(f[1], 10, 64)
	o.Version, _ = strconv.ParseUint(f[2], 10, 64)
	o.Address = f[5]
	return nil
}

// media reads "audio 9 UDP/TLS/RTP/SAVPF 111 63".
func (p *parser) media(v string) error {
	f := strings.Fields(v)
	if len(f) < 4 {
		return p.fail("m= needs a kind, a port, a protocol and a format")
	}
	if len(p.s.Media) == MaxMedia {
		return fmt.Errorf("%w: more than %d media sections", ErrTooLarge, MaxMedia)
	}
	port, _, _ := strings.Cut(f[1], "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return p.fail("port %q of m= is not a number up to 65535", f[1])
	}
	m := Media{Kind: f[0], Port: uint16(n), Proto: f[2], Formats: f[3:]}
	if m.isRTP() {
		if len(m.Formats) > MaxCodecs {
			return fmt.Errorf("%w: line %d has more than %d payload types", ErrTooLarge, p.line, MaxCodecs)
		}
		for _, s := range m.Formats {
			pt, err := strconv.ParseUint(s, 10, 7)
			if err != nil {
				return p.fail("payload type %q is not a number up to 127", s)
			}
			c := Codec{PayloadType: uint8(pt)}
			c.static()
			m.Codecs = append(m.Codecs, c)
		}
	}
	p.s.Media = append(p.s.Media, m)
	return nil
}

func (m *Media) isRTP() bool { return strings.Contains(m.Proto, "RTP/") }

// static fills in the assignments of RFC 3551 §6 that need no rtpmap.
func (c *Codec) static() {
	switch c.PayloadType {
	case 0:
		c.Name, c.ClockRate = "PCMU", 8000
	case 8:
		c.Name, c.ClockRate = "PCMA", 8000
	case 9:
		c.Name, c.ClockRate = "G722", 8000
	case 13:
		c.Name, c.ClockRate = "CN", 8000
	}
}

func (p *parser) sessionAttribute(key, v string) {
	s := p.s
	switch key {
	case "group":
		if f := strings.Fields(v); len(f) > 0 {
			s.Groups = append(s.Groups, Group{f[0], f[1:]})
		}
	case "ice-lite":
		s.ICELite = true
	case "ice-options":
		s.ICEOptions = strings.Fields(v)
	case "ice-ufrag":
		s.ICEUfrag = v
	case "ice-pwd":
		s.ICEPwd = v
	case "fingerprint":
		s.Fingerprints = append(s.Fingerprints, v)
	case "setup":
		s.Setup = Setup(v)
	case "extmap-allow-mixed":
		s.ExtmapAllowMixed = true
	case "msid-semantic":
		s.MSIDSemantic = v
	case string(SendRecv), string(SendOnly), string(RecvOnly), string(Inactive):
		s.Direction = Direction(key)
	default:
		s.Other = append(s.Other, Attribute{key, v})
	}
}

// inherit copies what the session level says into the sections.
func (s *Session) inherit() {
	for i := range s.Media {
		m := &s.Media[i]
		if m.ICEUfrag == "" {
			m.ICEUfrag, m.ICEPwd = s.ICEUfrag, s.ICEPwd
		}
		if m.Fingerprints == nil {
			m.Fingerprints = s.Fingerprints
		}
		if m.Setup == "" {
			m.Setup = s.Setup
		}
		if m.Direction == "" {
			m.Direction = s.Direction
		}
		if m.Direction == "" {
			m.Direction = SendRecv
		}
		m.ExtmapAllowMixed = m.ExtmapAllowMixed || s.ExtmapAllowMixed
	}
}

// Bundle is the mids of the first BUNDLE group, nil if there is none.
func (s *Session) Bundle() []string {
	for _, g := range s.Groups {
		if g.Semantics == "BUNDLE" {
			return g.MIDs
		}
	}
	return nil
}
