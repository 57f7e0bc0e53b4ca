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
// lines and attributes are kept or skipped, never an error. The strings of the
// Session are parts of text.
func Parse(text string) (*Session, error) { return new(Parser).Parse(text) }

// Parser is Parse for many descriptions, one after the other: a Session is
// valid until the next one is parsed, into the same memory. The zero value is
// ready to use.
type Parser struct {
	s       *Session
	m       *Media // the section being read, nil at session level
	codec   *Codec // of it, the one looked up last
	fb      *Codec // of it, the one whose feedback is open
	line    int
	version bool

	media                                     []Media
	words, feedback, candidates, fingerprints arena[string]
	streams                                   arena[[]string]
	groups                                    arena[Group]
	others                                    arena[Attribute]
	codecs                                    arena[Codec]
	extmaps                                   arena[Extmap]
	rids                                      arena[RID]
	msids                                     arena[MSID]
	ssrcs                                     arena[SSRC]
	ssrcGroups                                arena[SSRCGroup]
	sources                                   arena[uint32]
	bandwidths                                arena[Bandwidth]
}

func (p *Parser) reset() {
	if p.s == nil {
		p.s = new(Session)
	}
	*p.s = Session{}
	p.m, p.codec, p.fb, p.line, p.version = nil, nil, nil, 0, false
	p.words.reset()
	p.feedback.reset()
	p.candidates.reset()
	p.fingerprints.reset()
	p.streams.reset()
	p.groups.reset()
	p.others.reset()
	p.codecs.reset()
	p.extmaps.reset()
	p.rids.reset()
	p.msids.reset()
	p.ssrcs.reset()
	p.ssrcGroups.reset()
	p.sources.reset()
	p.bandwidths.reset()
	p.s.Groups, p.s.Fingerprints, p.s.Other = p.groups.open(0), p.fingerprints.open(0), p.others.open(0)
	p.s.Media = p.media[:0]
	if p.media == nil {
		p.s.Media = make([]Media, 0, 3) // audio, video, data
	}
}

// Parse is the function Parse, into the memory of the Session before.
func (p *Parser) Parse(text string) (*Session, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), MaxBytes)
	}
	p.reset()
	for text != "" {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		p.line++
		if p.line > MaxLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrTooLarge, MaxLines)
		}
		for len(line) > 0 && (line[len(line)-1] == '\r' || line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
			line = line[:len(line)-1]
		}
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
	p.finishLevel()
	p.media = p.s.Media
	if len(p.s.Media) == 0 {
		p.s.Media = nil
	}
	p.s.inherit()
	return p.s, nil
}

func (p *Parser) fail(format string, args ...any) error {
	return &SyntaxError{p.line, fmt.Sprintf(format, args...)}
}

func (p *Parser) take(kind byte, v string) error {
	if !p.version {
		if kind != 'v' || v != "0" {
			return p.fail("a description begins with v=0")
		}
		p.version = true
		return nil
	}
	switch kind {
	case 'a':
		key, value, _ := cut(v, ':')
		for key != "" && space(key[len(key)-1]) {
			key = key[:len(key)-1] // printed without a value, it would end the line
		}
		if p.m != nil {
			return p.mediaAttribute(p.m, key, value)
		}
		p.sessionAttribute(key, value)
	case 'o':
		return p.origin(v)
	case 's':
		if v != "-" && v != " " {
			p.s.Name = v
		}
	case 'm':
		return p.section(v)
	case 'c':
		if p.m != nil {
			_, rest := word(v)
			_, rest = word(rest)
			address, rest := word(rest)
			if more, _ := word(rest); address != "" && more == "" {
				p.m.Address = address
			}
		}
	case 'b':
		if t, n, ok := strings.Cut(v, ":"); ok && p.m != nil {
			if value, ok := number(n, 1<<64-1); ok {
				p.m.Bandwidths = p.bandwidths.add(p.m.Bandwidths, Bandwidth{t, value})
			}
		}
	}
	return nil
}

// origin reads "- 4611731400430051336 2 IN IP4 127.0.0.1". Values beyond 64
// bits, which some implementations write, are cut, not refused.
func (p *Parser) origin(v string) error {
	var f [6]string
	for i := range f {
		f[i], v = word(v)
	}
	if more, _ := word(v); f[5] == "" || more != "" {
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

// section reads "audio 9 UDP/TLS/RTP/SAVPF 111 63" and begins a section.
func (p *Parser) section(v string) error {
	p.finishLevel()
	kind, v := word(v)
	portText, v := word(v)
	proto, v := word(v)
	formats := p.wordsOf(v)
	if formats == nil {
		return p.fail("m= needs a kind, a port, a protocol and a format")
	}
	if len(p.s.Media) == MaxMedia {
		return fmt.Errorf("%w: more than %d media sections", ErrTooLarge, MaxMedia)
	}
	port, _, _ := strings.Cut(portText, "/")
	n, ok := number(port, 1<<16-1)
	if !ok {
		return p.fail("port %q of m= is not a number up to 65535", portText)
	}
	p.s.Media = append(p.s.Media, Media{})
	m := &p.s.Media[len(p.s.Media)-1]
	m.Kind, m.Port, m.Proto, m.Formats = kind, uint16(n), proto, formats
	if m.isRTP() {
		if len(formats) > MaxCodecs {
			return fmt.Errorf("%w: line %d has more than %d payload types", ErrTooLarge, p.line, MaxCodecs)
		}
		codecs := p.codecs.open(len(formats))
		var seen [128]bool
		m.Formats = formats[:0]
		for _, s := range formats {
			pt, ok := number(s, 127)
			if !ok {
				return p.fail("payload type %q is not a number up to 127", s)
			}
			if seen[pt] {
				continue // said twice, it still has one meaning (RFC 8866 §5.14)
			}
			seen[pt] = true
			c := Codec{PayloadType: uint8(pt)}
			c.static()
			codecs, m.Formats = append(codecs, c), append(m.Formats, s)
		}
		m.Codecs = p.codecs.done(codecs)
	}
	p.m = m
	p.openSection(m)
	return nil
}

func (p *Parser) openSection(m *Media) {
	m.Candidates, m.Fingerprints, m.Other = p.candidates.open(0), p.fingerprints.open(0), p.others.open(0)
	m.Extmaps, m.RIDs, m.MSIDs = p.extmaps.open(0), p.rids.open(0), p.msids.open(0)
	m.SSRCs, m.SSRCGroups, m.Bandwidths = p.ssrcs.open(0), p.ssrcGroups.open(0), p.bandwidths.open(0)
}

// finishLevel ends the open lists of the section, or of the session level.
func (p *Parser) finishLevel() {
	m := p.m
	if m == nil {
		if len(p.s.Media) == 0 {
			s := p.s
			s.Groups, s.Fingerprints, s.Other = p.groups.done(s.Groups), p.fingerprints.done(s.Fingerprints), p.others.done(s.Other)
		}
		return
	}
	p.finishFeedback()
	m.Candidates, m.Fingerprints, m.Other = p.candidates.done(m.Candidates), p.fingerprints.done(m.Fingerprints), p.others.done(m.Other)
	m.Extmaps, m.RIDs, m.MSIDs = p.extmaps.done(m.Extmaps), p.rids.done(m.RIDs), p.msids.done(m.MSIDs)
	m.SSRCs, m.SSRCGroups, m.Bandwidths = p.ssrcs.done(m.SSRCs), p.ssrcGroups.done(m.SSRCGroups), p.bandwidths.done(m.Bandwidths)
	p.m, p.codec = nil, nil
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

func (p *Parser) sessionAttribute(key, v string) {
	s := p.s
	switch key {
	case "group":
		if semantics, rest := word(v); semantics != "" {
			s.Groups = p.groups.add(s.Groups, Group{semantics, p.wordsOf(rest)})
		}
	case "ice-lite":
		s.ICELite = true
	case "ice-options":
		s.ICEOptions = p.wordsOf(v)
	case "ice-ufrag":
		s.ICEUfrag = v
	case "ice-pwd":
		s.ICEPwd = v
	case "fingerprint":
		s.Fingerprints = p.fingerprints.add(s.Fingerprints, v)
	case "setup":
		s.Setup = Setup(v)
	case "extmap-allow-mixed":
		s.ExtmapAllowMixed = true
	case "msid-semantic":
		s.MSIDSemantic = v
	case string(SendRecv), string(SendOnly), string(RecvOnly), string(Inactive):
		s.Direction = Direction(key)
	default:
		s.Other = p.others.add(s.Other, Attribute{key, v})
	}
}

// inherit copies what the session level says into the sections.
func (s *Session) inherit() {
	for i := range s.Media {
		m := &s.Media[i]
		if m.ICEUfrag == "" && m.ICEPwd == "" {
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
