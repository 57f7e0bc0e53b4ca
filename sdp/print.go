package sdp

import (
	"encoding/binary"
	"strings"
)

// String prints the description.
func (s *Session) String() string {
	var room [4096]byte // on the stack: the copy is all that is allocated
	return string(s.Append(room[:0]))
}

// Append appends the description to b, each line ended by CRLF. Session-level
// defaults are printed in the sections only, where Parse has put them.
func (s *Session) Append(b []byte) []byte {
	b = append(b, "v=0\r\no="...)
	b = append(b, or(s.Origin.Username, "-")...)
	b = appendUint(append(b, ' '), s.Origin.ID)
	b = appendUint(append(b, ' '), s.Origin.Version)
	b = appendAddress(append(b, ' '), or(s.Origin.Address, "127.0.0.1"))
	b = append(b, "\r\ns="...)
	b = append(b, or(s.Name, "-")...)
	b = append(b, "\r\nt=0 0\r\n"...)
	for i := range s.Groups {
		g := &s.Groups[i]
		b = append(append(b, "a=group:"...), g.Semantics...)
		b = appendCRLF(appendWords(b, g.MIDs))
	}
	b = appendFlag(b, s.ICELite, "a=ice-lite\r\n")
	b = appendOptions(b, s.ICEOptions)
	b = appendFlag(b, s.ExtmapAllowMixed, "a=extmap-allow-mixed\r\n")
	b = appendValue(b, "a=msid-semantic:", s.MSIDSemantic)
	b = appendOthers(b, s.Other)
	for i := range s.Media {
		b = s.Media[i].append(b)
	}
	return b
}

func appendCRLF(b []byte) []byte { return append(b, '\r', '\n') }

func appendFlag(b []byte, on bool, line string) []byte {
	if on {
		b = append(b, line...)
	}
	return b
}

// appendValue appends an attribute unless it is empty.
func appendValue(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	return appendCRLF(append(append(b, key...), v...))
}

func appendValues(b []byte, key string, vs []string) []byte {
	for _, v := range vs {
		b = appendCRLF(append(append(b, key...), v...))
	}
	return b
}

// appendUint is strconv.AppendUint to base 10, for the short numbers of which a
// description has a hundred.
func appendUint(b []byte, n uint64) []byte {
	low, tens := uint32(n), uint32(n)/10
	switch {
	case n < 10:
		return append(b, byte('0'+low))
	case n < 100:
		return append(b, byte('0'+tens), byte('0'+low-10*tens))
	case n >= 1000:
		b = appendUint(b, n/1000)
		low = uint32(n % 1000)
		tens = low / 10
	}
	hundreds := tens / 10
	return append(b, byte('0'+hundreds), byte('0'+tens-10*hundreds), byte('0'+low-10*tens))
}

func appendNumber(b []byte, key string, n uint64) []byte {
	return appendCRLF(appendUint(append(b, key...), n))
}

// appendWords appends each word behind a space.
func appendWords(b []byte, words []string) []byte {
	for _, w := range words {
		b = append(append(b, ' '), w...)
	}
	return b
}

func appendOptions(b []byte, options []string) []byte {
	if len(options) == 0 {
		return b
	}
	b = append(append(b, "a=ice-options:"...), options[0]...)
	return appendCRLF(appendWords(b, options[1:]))
}

// appendOptional appends a word behind a space, unless it is empty.
func appendOptional(b []byte, word string) []byte {
	if word == "" {
		return b
	}
	return append(append(b, ' '), word...)
}

func appendOthers(b []byte, as []Attribute) []byte {
	for i := range as {
		a := &as[i]
		b = append(append(b, "a="...), a.Key...)
		if a.Value != "" {
			b = append(append(b, ':'), a.Value...)
		}
		b = appendCRLF(b)
	}
	return b
}

func or(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

// appendAddress appends "IN IP4 192.0.2.1", or IP6.
func appendAddress(b []byte, addr string) []byte {
	family := "IN IP4 "
	if strings.IndexByte(addr, ':') >= 0 {
		family = "IN IP6 "
	}
	return append(append(b, family...), addr...)
}

func (m *Media) append(b []byte) []byte {
	b = append(append(b, "m="...), m.Kind...)
	b = appendUint(append(b, ' '), uint64(m.Port))
	b = append(append(b, ' '), m.Proto...)
	b = append(appendWords(b, m.Formats), "\r\nc="...)
	b = appendCRLF(appendAddress(b, or(m.Address, "0.0.0.0")))
	for i := range m.Bandwidths {
		b = append(append(b, "b="...), m.Bandwidths[i].Type...)
		b = appendNumber(b, ":", m.Bandwidths[i].Value)
	}
	b = appendValue(b, "a=ice-ufrag:", m.ICEUfrag)
	b = appendValue(b, "a=ice-pwd:", m.ICEPwd)
	b = appendOptions(b, m.ICEOptions)
	b = appendValues(b, "a=fingerprint:", m.Fingerprints)
	b = appendValue(b, "a=setup:", string(m.Setup))
	b = appendValue(b, "a=tls-id:", m.TLSID)
	b = appendValue(b, "a=mid:", m.MID)
	b = appendFlag(b, m.BundleOnly, "a=bundle-only\r\n")
	b = appendValues(b, "a=candidate:", m.Candidates)
	b = appendFlag(b, m.EndOfCandidates, "a=end-of-candidates\r\n")
	if m.isRTP() {
		b = m.appendRTP(b)
	}
	if m.SCTPPort != 0 {
		b = appendNumber(b, "a=sctp-port:", uint64(m.SCTPPort))
	}
	if m.HasMaxMessageSize {
		b = appendNumber(b, "a=max-message-size:", m.MaxMessageSize)
	}
	b = appendValue(b, "a=sctp-init:", m.SCTPInit)
	return appendOthers(b, m.Other)
}

func (m *Media) appendRTP(b []byte) []byte {
	for i := range m.Extmaps {
		e := &m.Extmaps[i]
		b = appendUint(append(b, "a=extmap:"...), uint64(e.ID))
		if e.Direction != "" {
			b = append(append(b, '/'), e.Direction...)
		}
		b = append(append(b, ' '), e.URI...)
		b = appendCRLF(appendOptional(b, e.Params))
	}
	b = appendFlag(b, m.ExtmapAllowMixed, "a=extmap-allow-mixed\r\n")
	b = appendValue(b, "a=", or(string(m.Direction), string(SendRecv)))
	for i := range m.MSIDs {
		b = append(append(b, "a=msid:"...), m.MSIDs[i].Stream...)
		b = appendCRLF(appendOptional(b, m.MSIDs[i].Track))
	}
	b = appendFlag(b, m.RTCPMux, "a=rtcp-mux\r\n")
	b = appendFlag(b, m.RTCPMuxOnly, "a=rtcp-mux-only\r\n")
	b = appendFlag(b, m.RTCPRsize, "a=rtcp-rsize\r\n")
	for i := range m.Codecs {
		b = m.Codecs[i].append(b)
	}
	for i := range m.RIDs {
		r := &m.RIDs[i]
		b = append(append(b, "a=rid:"...), r.ID...)
		b = append(append(b, ' '), r.Direction...)
		b = appendCRLF(appendOptional(b, r.Params))
	}
	if len(m.Simulcast.Send)+len(m.Simulcast.Recv) > 0 {
		b = appendCRLF(m.Simulcast.append(append(b, "a=simulcast:"...)))
	}
	for i := range m.SSRCGroups {
		g := &m.SSRCGroups[i]
		b = append(append(b, "a=ssrc-group:"...), g.Semantics...)
		for _, id := range g.SSRCs {
			b = appendUint(append(b, ' '), uint64(id))
		}
		b = appendCRLF(b)
	}
	for i := range m.SSRCs {
		b = m.SSRCs[i].append(b)
	}
	return b
}

func (s *SSRC) append(b []byte) []byte {
	if s.CNAME != "" || s.MSID == "" {
		b = append(appendUint(append(b, "a=ssrc:"...), uint64(s.ID)), " cname:"...)
		b = appendCRLF(append(b, s.CNAME...))
	}
	if s.MSID != "" {
		b = append(appendUint(append(b, "a=ssrc:"...), uint64(s.ID)), " msid:"...)
		b = appendCRLF(append(b, s.MSID...))
	}
	return b
}

func (c *Codec) append(b []byte) []byte {
	pt := c.packPayloadType()
	if c.Name != "" {
		b = append(pt.append(append(b, "a=rtpmap:"...)), c.Name...)
		switch c.ClockRate { // nearly all are one of these
		case 90000:
			b = append(b, "/90000"...)
		case 48000:
			b = append(b, "/48000"...)
		case 8000:
			b = append(b, "/8000"...)
		default:
			b = appendUint(append(b, '/'), uint64(c.ClockRate))
		}
		if c.Channels > 0 {
			b = appendUint(append(b, '/'), uint64(c.Channels))
		}
		b = appendCRLF(b)
	}
	for _, f := range c.Feedback {
		b = appendCRLF(append(pt.append(append(b, "a=rtcp-fb:"...)), f...))
	}
	if c.Fmtp != "" {
		b = appendCRLF(append(pt.append(append(b, "a=fmtp:"...)), c.Fmtp...))
	}
	return b
}

// packed is a short word in a register, the first byte lowest: each line about
// a codec repeats its payload type.
type packed struct {
	text uint32
	n    int
}

// packPayloadType gives the digits of the payload type and a space.
func (c *Codec) packPayloadType() packed {
	low := uint32(c.PayloadType)
	tens := low / 10
	hundreds := tens / 10
	p := packed{('0' + low - 10*tens) | ' '<<8, 2}
	if tens > 0 {
		p = packed{p.text<<8 | ('0' + tens - 10*hundreds), 3}
	}
	if hundreds > 0 {
		p = packed{p.text<<8 | ('0' + hundreds), 4}
	}
	return p
}

func (p packed) append(b []byte) []byte {
	n := len(b) + p.n
	return binary.LittleEndian.AppendUint32(b, p.text)[:n]
}

// String prints the value of the attribute.
func (s Simulcast) String() string { return string(s.append(nil)) }

func (s *Simulcast) append(b []byte) []byte {
	if len(s.Send) > 0 {
		b = appendStreams(append(b, "send "...), s.Send)
		if len(s.Recv) > 0 {
			b = append(b, ' ')
		}
	}
	if len(s.Recv) > 0 {
		b = appendStreams(append(b, "recv "...), s.Recv)
	}
	return b
}

func appendStreams(b []byte, streams [][]string) []byte {
	for i, alternatives := range streams {
		if i > 0 {
			b = append(b, ';')
		}
		for k, id := range alternatives {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(b, id...)
		}
	}
	return b
}
