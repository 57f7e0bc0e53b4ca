package sdp

import "strings"

// mediaAttribute reads an a= line of a section.
func (p *Parser) mediaAttribute(m *Media, key, v string) error {
	switch key {
	case "mid":
		m.MID = v
	case "ice-ufrag":
		m.ICEUfrag = v
	case "ice-pwd":
		m.ICEPwd = v
	case "ice-options":
		m.ICEOptions = p.wordsOf(v)
	case "candidate":
		if len(m.Candidates) < MaxCandidates {
			m.Candidates = p.candidates.add(m.Candidates, v)
		}
	case "end-of-candidates":
		m.EndOfCandidates = true
	case "fingerprint":
		m.Fingerprints = p.fingerprints.add(m.Fingerprints, v)
	case "setup":
		m.Setup = Setup(v)
	case "tls-id":
		m.TLSID = v
	case "bundle-only":
		m.BundleOnly = true
	case "sctp-port":
		n, ok := number(v, 1<<16-1)
		if !ok {
			return p.fail("sctp-port %q is not a number up to 65535", v)
		}
		m.SCTPPort = uint16(n)
	case "sctpmap":
		// The form before RFC 8841: "5000 webrtc-datachannel 1024".
		f, _, _ := strings.Cut(v, " ")
		if n, ok := number(f, 1<<16-1); ok && m.SCTPPort == 0 {
			m.SCTPPort = uint16(n)
		}
	case "max-message-size":
		n, ok := number(v, 1<<64-1)
		if !ok {
			return p.fail("max-message-size %q is not a number", v)
		}
		m.MaxMessageSize, m.HasMaxMessageSize = n, true
	case "sctp-init":
		m.SCTPInit = v
	default:
		return p.rtpAttribute(m, key, v)
	}
	return nil
}

// rtpAttribute reads what only media over RTP has, and what is not known.
func (p *Parser) rtpAttribute(m *Media, key, v string) error {
	switch key {
	case "rtpmap":
		return p.rtpmap(m, v)
	case "fmtp":
		p.codecAttribute(m, v, (*Parser).fmtp)
	case "rtcp-fb":
		p.codecAttribute(m, v, (*Parser).addFeedback)
	case "extmap":
		return p.extmap(m, v)
	case "ssrc":
		p.ssrc(m, v)
	case "ssrc-group":
		p.ssrcGroup(m, v)
	case "msid":
		stream, track, _ := strings.Cut(v, " ")
		m.MSIDs = p.msids.add(m.MSIDs, MSID{stream, track})
	case "rid":
		id, rest, _ := strings.Cut(v, " ")
		direction, params, _ := strings.Cut(rest, " ")
		if direction == "send" || direction == "recv" {
			m.RIDs = p.rids.add(m.RIDs, RID{id, direction, params})
		}
	case "simulcast":
		m.Simulcast = p.simulcast(v)
	case string(SendRecv), string(SendOnly), string(RecvOnly), string(Inactive):
		m.Direction = Direction(key)
	case "rtcp-mux":
		m.RTCPMux = true
	case "rtcp-mux-only":
		m.RTCPMuxOnly = true
	case "rtcp-rsize":
		m.RTCPRsize = true
	case "extmap-allow-mixed":
		m.ExtmapAllowMixed = true
	case "rtcp":
		// Without rtcp-mux the port of RTCP; nobody uses it here.
	default:
		m.Other = p.others.add(m.Other, Attribute{key, v})
	}
	return nil
}

// rtpmap reads "111 opus/48000/2".
func (p *Parser) rtpmap(m *Media, v string) error {
	pt, rest, ok := digits(v, 127)
	if !ok || rest == "" || rest[0] != ' ' {
		return p.failRTPMap(v)
	}
	name, rest, ok := cut(rest[1:], '/')
	rate, rest, isRate := digits(skip(rest), 1<<32-1)
	rest = skip(rest)
	if !ok || name == "" || !isRate || rate == 0 || rest != "" && rest[0] != '/' {
		return p.failRTPMap(v)
	}
	channels := uint64(0)
	if rest != "" {
		if channels, ok = number(rest[1:], 1<<16-1); !ok {
			return p.failRTPMap(v)
		}
	}
	c := p.lookup(m, uint8(pt))
	if c == nil {
		return nil // not among the formats of m=: RFC 8866 §6.6 gives it no meaning
	}
	c.Name, c.ClockRate, c.Channels = name, uint32(rate), uint16(channels)
	return nil
}

func (p *Parser) failRTPMap(v string) error {
	return p.fail("rtpmap %q is not of the form \"111 opus/48000/2\"", v)
}

// Codec is the codec with a payload type, nil if there is none.
func (m *Media) Codec(pt uint8) *Codec {
	for i := range m.Codecs {
		if m.Codecs[i].PayloadType == pt {
			return &m.Codecs[i]
		}
	}
	return nil
}

// lookup is m.Codec: the lines about a payload type mostly follow each other.
func (p *Parser) lookup(m *Media, pt uint8) *Codec {
	if p.codec == nil || p.codec.PayloadType != pt {
		p.codec = m.Codec(pt)
	}
	return p.codec
}

// codecAttribute applies "96 rest" to payload type 96, "* rest" to all.
func (p *Parser) codecAttribute(m *Media, v string, set func(p *Parser, c *Codec, rest string)) {
	if pt, rest, ok := digits(v, 127); ok && rest != "" && rest[0] == ' ' {
		if c := p.lookup(m, uint8(pt)); c != nil {
			set(p, c, skip(rest))
		}
	} else if rest, ok := strings.CutPrefix(v, "* "); ok {
		for i := range m.Codecs {
			set(p, &m.Codecs[i], skip(rest))
		}
	}
}

func (p *Parser) fmtp(c *Codec, v string) { c.Fmtp = v }

// addFeedback adds to the list of the codec: to the open one of the arena, or
// where lines about several codecs are mixed, to one of its own.
func (p *Parser) addFeedback(c *Codec, v string) {
	if len(c.Feedback) == MaxFeedback {
		return
	}
	if p.fb != c && c.Feedback == nil {
		p.finishFeedback()
		p.fb, c.Feedback = c, p.feedback.open(0)
	}
	if p.fb == c {
		c.Feedback = p.feedback.add(c.Feedback, v)
	} else {
		c.Feedback = append(c.Feedback, v)
	}
}

func (p *Parser) finishFeedback() {
	if p.fb != nil {
		p.fb.Feedback = p.feedback.done(p.fb.Feedback)
		p.fb = nil
	}
}

// extmap reads "3/recvonly urn:ietf:params:rtp-hdrext:toffset params".
func (p *Parser) extmap(m *Media, v string) error {
	id, rest, ok := digits(v, 1<<16-1)
	direction := ""
	if rest != "" && rest[0] == '/' {
		direction, rest, _ = cut(rest[1:], ' ')
	} else if rest != "" && rest[0] == ' ' {
		rest = rest[1:]
	} else {
		ok = false
	}
	if !ok || id == 0 || rest == "" {
		return p.fail("extmap %q is not of the form \"3 uri\"", v)
	}
	uri, params, _ := strings.Cut(rest, " ")
	m.Extmaps = p.extmaps.add(m.Extmaps, Extmap{uint16(id), Direction(direction), uri, params})
	return nil
}

// simulcast reads "send h;m,n;~l recv a".
func (p *Parser) simulcast(v string) (s Simulcast) {
	for {
		var side, list string
		side, v = word(v)
		if list, v = word(v); list == "" {
			return s
		}
		switch side {
		case "send":
			s.Send = p.streamsOf(list)
		case "recv":
			s.Recv = p.streamsOf(list)
		}
	}
}

// streamsOf reads "h;m,n;~l".
func (p *Parser) streamsOf(v string) [][]string {
	streams := p.streams.open(0)
	for more := true; more; {
		var stream string
		if stream, v, more = strings.Cut(v, ";"); stream == "" {
			continue
		}
		list := p.words.open(0)
		for more := true; more; {
			var id string
			id, stream, more = strings.Cut(stream, ",")
			list = p.words.add(list, id)
		}
		streams = p.streams.add(streams, p.words.done(list))
	}
	return p.streams.done(streams)
}

// ssrc reads "314159 cname:value" and collects the lines of one source.
func (p *Parser) ssrc(m *Media, v string) {
	n, attr, ok := digits(v, 1<<32-1)
	if !ok || attr != "" && attr[0] != ' ' {
		return
	}
	// The lines of a source follow each other: only the last is looked at, so
	// that many sources cost no more than linear time.
	k := len(m.SSRCs)
	if k == 0 || m.SSRCs[k-1].ID != uint32(n) {
		m.SSRCs = p.ssrcs.add(m.SSRCs, SSRC{ID: uint32(n)})
		k++
	}
	if v, ok := strings.CutPrefix(attr, " cname:"); ok {
		m.SSRCs[k-1].CNAME = v
	} else if v, ok := strings.CutPrefix(attr, " msid:"); ok {
		m.SSRCs[k-1].MSID = v
	}
}

func (p *Parser) ssrcGroup(m *Media, v string) {
	semantics, v := word(v)
	if semantics == "" {
		return
	}
	list := p.sources.open(0)
	for {
		var s string
		if s, v = word(v); s == "" {
			break
		}
		if n, ok := number(s, 1<<32-1); ok {
			list = p.sources.add(list, uint32(n))
		}
	}
	m.SSRCGroups = p.ssrcGroups.add(m.SSRCGroups, SSRCGroup{semantics, p.sources.done(list)})
}
