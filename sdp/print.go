package sdp

import (
	"strconv"
	"strings"
)

// String prints the description.
func (s *Session) String() string { return string(s.Append(nil)) }

// Append appends the description to b, each line ended by CRLF. Session-level
// defaults are printed in the sections only, where Parse has put them.
func (s *Session) Append(b []byte) []byte {
	w := writer{b}
	w.line("v=0")
	w.line("o=", or(s.Origin.Username, "-"), " ", strconv.FormatUint(s.Origin.ID, 10), " ",
		strconv.FormatUint(s.Origin.Version, 10), " IN ", family(s.Origin.Address), " ", or(s.Origin.Address, "127.0.0.1"))
	w.line("s=", or(s.Name, "-"))
	w.line("t=0 0")
	for _, g := range s.Groups {
		w.line("a=group:", g.Semantics, prefixed(" ", g.MIDs))
	}
	w.flag(s.ICELite, "ice-lite")
	if len(s.ICEOptions) > 0 {
		w.line("a=ice-options:", strings.Join(s.ICEOptions, " "))
	}
	w.flag(s.ExtmapAllowMixed, "extmap-allow-mixed")
	w.value("msid-semantic", s.MSIDSemantic)
	w.others(s.Other)
	for i := range s.Media {
		w.media(&s.Media[i])
	}
	return w.b
}

type writer struct{ b []byte }

func (w *writer) line(parts ...string) {
	for _, p := range parts {
		w.b = append(w.b, p...)
	}
	w.b = append(w.b, '\r', '\n')
}

func (w *writer) flag(on bool, key string) {
	if on {
		w.line("a=", key)
	}
}

// value writes an attribute unless it is empty.
func (w *writer) value(key, v string) {
	if v != "" {
		w.line("a=", key, ":", v)
	}
}

func (w *writer) values(key string, vs []string) {
	for _, v := range vs {
		w.line("a=", key, ":", v)
	}
}

func (w *writer) others(as []Attribute) {
	for _, a := range as {
		if a.Value == "" {
			w.line("a=", a.Key)
		} else {
			w.line("a=", a.Key, ":", a.Value)
		}
	}
}

func or(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

func family(addr string) string {
	if strings.Contains(addr, ":") {
		return "IP6"
	}
	return "IP4"
}

func prefixed(sep string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return sep + strings.Join(list, sep)
}

func (w *writer) media(m *Media) {
	w.line("m=", m.Kind, " ", strconv.Itoa(int(m.Port)), " ", m.Proto, prefixed(" ", m.Formats))
	w.line("c=IN ", family(m.Address), " ", or(m.Address, "0.0.0.0"))
	for _, b := range m.Bandwidths {
		w.line("b=", b.Type, ":", strconv.FormatUint(b.Value, 10))
	}
	w.value("ice-ufrag", m.ICEUfrag)
	w.value("ice-pwd", m.ICEPwd)
	w.value("ice-options", strings.Join(m.ICEOptions, " "))
	w.values("fingerprint", m.Fingerprints)
	w.value("setup", string(m.Setup))
	w.value("tls-id", m.TLSID)
	w.value("mid", m.MID)
	w.flag(m.BundleOnly, "bundle-only")
	w.values("candidate", m.Candidates)
	w.flag(m.EndOfCandidates, "end-of-candidates")
	if m.isRTP() {
		w.rtp(m)
	}
	if m.SCTPPort != 0 {
		w.line("a=sctp-port:", strconv.Itoa(int(m.SCTPPort)))
	}
	if m.HasMaxMessageSize {
		w.line("a=max-message-size:", strconv.FormatUint(m.MaxMessageSize, 10))
	}
	w.others(m.Other)
}

func (w *writer) rtp(m *Media) {
	for _, e := range m.Extmaps {
		id := strconv.Itoa(int(e.ID))
		if e.Direction != "" {
			id += "/" + string(e.Direction)
		}
		w.line("a=extmap:", id, " ", e.URI, optional(e.Params))
	}
	w.flag(m.ExtmapAllowMixed, "extmap-allow-mixed")
	w.line("a=", or(string(m.Direction), string(SendRecv)))
	for _, id := range m.MSIDs {
		w.line("a=msid:", id.Stream, optional(id.Track))
	}
	w.flag(m.RTCPMux, "rtcp-mux")
	w.flag(m.RTCPMuxOnly, "rtcp-mux-only")
	w.flag(m.RTCPRsize, "rtcp-rsize")
	for i := range m.Codecs {
		w.codec(&m.Codecs[i])
	}
	for _, r := range m.RIDs {
		w.line("a=rid:", r.ID, " ", r.Direction, optional(r.Params))
	}
	if s := m.Simulcast.String(); s != "" {
		w.line("a=simulcast:", s)
	}
	for _, g := range m.SSRCGroups {
		w.b = append(w.b, "a=ssrc-group:"...)
		w.b = append(w.b, g.Semantics...)
		for _, id := range g.SSRCs {
			w.b = append(w.b, ' ')
			w.b = strconv.AppendUint(w.b, uint64(id), 10)
		}
		w.line()
	}
	for _, s := range m.SSRCs {
		id := strconv.FormatUint(uint64(s.ID), 10)
		if s.CNAME != "" || s.MSID == "" {
			w.line("a=ssrc:", id, " cname:", s.CNAME)
		}
		if s.MSID != "" {
			w.line("a=ssrc:", id, " msid:", s.MSID)
		}
	}
}

func optional(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func (w *writer) codec(c *Codec) {
	pt := strconv.Itoa(int(c.PayloadType))
	if c.Name != "" {
		channels := ""
		if c.Channels > 0 {
			channels = "/" + strconv.Itoa(int(c.Channels))
		}
		w.line("a=rtpmap:", pt, " ", c.Name, "/", strconv.FormatUint(uint64(c.ClockRate), 10), channels)
	}
	for _, f := range c.Feedback {
		w.line("a=rtcp-fb:", pt, " ", f)
	}
	if c.Fmtp != "" {
		w.line("a=fmtp:", pt, " ", c.Fmtp)
	}
}

// String prints the value of the attribute.
func (s Simulcast) String() string {
	var parts []string
	for _, side := range []struct {
		name    string
		streams [][]string
	}{{"send", s.Send}, {"recv", s.Recv}} {
		if len(side.streams) == 0 {
			continue
		}
		list := make([]string, len(side.streams))
		for i, alternatives := range side.streams {
			list[i] = strings.Join(alternatives, ",")
		}
		parts = append(parts, side.name+" "+strings.Join(list, ";"))
	}
	return strings.Join(parts, " ")
}
