package sdp

import (
	"strconv"
	"strings"
)

// mediaAttribute reads an a= line of a section.
func (p *parser) mediaAttribute(m *Media, key, v string) error {
	switch key {
	case "mid":
		m.MID = v
	case string(SendRecv), string(SendOnly), string(RecvOnly), string(Inactive):
		m.Direction = Direction(key)
	case "ice-ufrag":
		m.ICEUfrag = v
	case "ice-pwd":
		m.ICEPwd = v
	case "ice-options":
		m.ICEOptions = strings.Fields(v)
	case "candidate":
		if len(m.Candidates) < MaxCandidates {
			m.Candidates = append(m.Candidates, v)
		}
	case "end-of-candidates":
		m.EndOfCandidates = true
	case "fingerprint":
		m.Fingerprints = append(m.Fingerprints, v)
	case "setup":
		m.Setup = Setup(v)
	case "tls-id":
		m.TLSID = v
	case "bundle-only":
		m.BundleOnly = true
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
	case "rtpmap":
		return p.rtpmap(m, v)
	case "fmtp":
		p.codecAttribute(m, v, func(c *Codec, s string) { c.Fmtp = s })
	case "rtcp-fb":
		p.codecAttribute(m, v, func(c *Codec, s string) { c.Feedback = append(c.Feedback, s) })
	case "extmap":
		return p.extmap(m, v)
	case "rid":
		if f := strings.SplitN(v, " ", 3); len(f) >= 2 && (f[1] == "send" || f[1] == "recv") {
			r := RID{ID: f[0], Direction: f[1]}
			if len(f) == 3 {
				r.Params = f[2]
			}
			m.RIDs = append(m.RIDs, r)
		}
	case "simulcast":
		m.Simulcast = parseSimulcast(v)
	case "msid":
		stream, track, _ := strings.Cut(v, " ")
		m.MSIDs = append(m.MSIDs, MSID{stream, track})
	case "ssrc":
		p.ssrc(m, v)
	case "ssrc-group":
		p.ssrcGroup(m, v)
	case "sctp-port":
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return p.fail("sctp-port %q is not a number up to 65535", v)
		}
		m.SCTPPort = uint16(n)
	case "sctpmap":
		// The form before RFC 8841: "5000 webrtc-datachannel 1024".
		f, _, _ := strings.Cut(v, " ")
		if n, err := strconv.ParseUint(f, 10, 16); err == nil && m.SCTPPort == 0 {
			m.SCTPPort = uint16(n)
		}
	case "max-message-size":
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return p.fail("max-message-size %q is not a number", v)
		}
		m.MaxMessageSize, m.HasMaxMessageSize = n, true
	default:
		m.Other = append(m.Other, Attribute{key, v})
	}
	return nil
}

// rtpmap reads "111 opus/48000/2".
func (p *parser) rtpmap(m *Media, v string) error {
	pt, rest, ok := strings.Cut(v, " ")
	n, err := strconv.ParseUint(pt, 10, 7)
	f := strings.Split(rest, "/")
	if !ok || err != nil || len(f) < 2 || len(f) > 3 || f[0] == "" {
		return p.fail("rtpmap %q is not of the form \"111 opus/48000/2\"", v)
	}
	rate, err := strconv.ParseUint(strings.TrimSpace(f[1]), 10, 32)
	if err != nil || rate == 0 {
		return p.fail("clock rate %q is not a number", f[1])
	}
	c := m.Codec(uint8(n))
	if c == nil {
		return nil // not among the formats of m=: RFC 8866 §6.6 gives it no meaning
	}
	c.Name, c.ClockRate = f[0], uint32(rate)
	if len(f) == 3 {
		ch, err := strconv.ParseUint(f[2], 10, 16)
		if err != nil {
			return p.fail("channels %q is not a number", f[2])
		}
		c.Channels = uint16(ch)
	}
	return nil
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

// codecAttribute applies "96 rest" to payload type 96, "* rest" to all.
func (p *parser) codecAttribute(m *Media, v string, set func(c *Codec, rest string)) {
	pt, rest, ok := strings.Cut(v, " ")
	if !ok {
		return
	}
	rest = strings.TrimSpace(rest)
	if pt == "*" {
		for i := range m.Codecs {
			set(&m.Codecs[i], rest)
		}
		return
	}
	if n, err := strconv.ParseUint(pt, 10, 7); err == nil {
		if c := m.Codec(uint8(n)); c != nil {
			set(c, rest)
		}
	}
}

// extmap reads "3/recvonly urn:ietf:params:rtp-hdrext:toffset params".
func (p *parser) extmap(m *Media, v string) error {
	f := strings.SplitN(v, " ", 3)
	id, dir, _ := strings.Cut(f[0], "/")
	n, err := strconv.ParseUint(id, 10, 16)
	if err != nil || n == 0 || len(f) < 2 {
		return p.fail("extmap %q is not of the form \"3 uri\"", v)
	}
	e := Extmap{ID: uint16(n), Direction: Direction(dir), URI: f[1]}
	if len(f) == 3 {
		e.Params = f[2]
	}
	m.Extmaps = append(m.Extmaps, e)
	return nil
}

// parseSimulcast reads "send h;m,n;~l recv a".
func parseSimulcast(v string) (s Simulcast) {
	f := strings.Fields(v)
	for i := 0; i+1 < len(f); i += 2 {
		var streams [][]string
		for _, alternatives := range strings.Split(f[i+1], ";") {
			if alternatives != "" {
				streams = append(streams, strings.Split(alternatives, ","))
			}
		}
		switch f[i] {
		case "send":
			s.Send = streams
		case "recv":
			s.Recv = streams
		}
	}
	return s
}

// ssrc reads "314159 cname:value" and collects the lines of one source.
func (p *parser) ssrc(m *Media, v string) {
	id, attr, _ := strings.Cut(v, " ")
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return
	}
	// The lines of a source follow each other: only the last is looked at, so
	// that many sources cost no more than linear time.
	k := len(m.SSRCs)
	if k == 0 || m.SSRCs[k-1].ID != uint32(n) {
		m.SSRCs = append(m.SSRCs, SSRC{ID: uint32(n)})
		k++
	}
	key, value, _ := strings.Cut(attr, ":")
	switch key {
	case "cname":
		m.SSRCs[k-1].CNAME = value
	case "msid":
		m.SSRCs[k-1].MSID = value
	}
}

func (p *parser) ssrcGroup(m *Media, v string) {
	f := strings.Fields(v)
	if len(f) == 0 {
		return
	}
	g := SSRCGroup{Semantics: f[0]}
	for _, s := range f[1:] {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			g.SSRCs = append(g.SSRCs, uint32(n))
		}
	}
	m.SSRCGroups = append(m.SSRCGroups, g)
}
