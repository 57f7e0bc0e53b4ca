package load

import (
	"fmt"
	"strings"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/sdp"
)

const (
	videoType = 96
	rtxType   = 97
	audioType = 111

	uriTWCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	twccID  = 3
)

// offer describes one section of a browser's kind; active, so that every
// server does the same work in the handshake.
func (c *client) offer(send bool) string {
	ufrag, pwd := c.agent.LocalCredentials()
	direction, pts := "recvonly", fmt.Sprintf("%d %d", videoType, rtxType)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	if send {
		direction = "sendonly"
	}
	if c.kind == Audio {
		pts = fmt.Sprint(audioType)
	}
	line("v=0\r\no=- %d 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS *", c.ssrc)
	line("m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0", c.kind, pts)
	line("a=candidate:1 1 udp 2130706431 %s %d typ host", c.local.Addr(), c.local.Port())
	line("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\na=setup:active\r\na=mid:0", ufrag, pwd, c.fingerprint)
	line("a=extmap:%d %s", twccID, uriTWCC)
	line("a=%s\r\na=rtcp-mux\r\na=rtcp-rsize", direction)
	if c.kind == Audio {
		line("a=rtpmap:%d opus/48000/2\r\na=rtcp-fb:%[1]d transport-cc\r\na=fmtp:%[1]d minptime=10;useinbandfec=1", audioType)
	} else {
		line("a=rtpmap:%d VP8/90000\r\na=rtcp-fb:%[1]d transport-cc\r\na=rtcp-fb:%[1]d ccm fir\r\na=rtcp-fb:%[1]d nack\r\na=rtcp-fb:%[1]d nack pli", videoType)
		line("a=rtpmap:%d rtx/90000\r\na=fmtp:%[1]d apt=%d", rtxType, videoType)
	}
	if send {
		line("a=msid:load %s\r\na=ssrc:%d cname:load\r\na=ssrc:%[2]d msid:load %[1]s", c.kind, c.ssrc)
	}
	return b.String()
}

// answer applies the server's, whose first IPv4 UDP candidate is used of those
// that are, like the client, of the loopback network or are not.
func (c *client) answer(text string) error {
	s, err := sdp.Parse(text)
	if err != nil {
		return err
	}
	if len(s.Media) != 1 || s.Media[0].Rejected() {
		return fmt.Errorf("load: the server rejects the %s section", c.kind)
	}
	m := &s.Media[0]
	for _, f := range m.Fingerprints {
		fp, err := dtls.ParseFingerprint(f)
		if err == nil {
			c.fingerprints = append(c.fingerprints, fp)
		}
	}
	if m.Setup != sdp.SetupPassive || len(c.fingerprints) == 0 {
		return fmt.Errorf("load: answer with setup:%s and %d fingerprints", m.Setup, len(c.fingerprints))
	}
	c.pt = audioType
	if c.kind == Video {
		c.pt = videoType
	}
	if len(m.Codecs) == 0 || m.Codecs[0].PayloadType != c.pt {
		return fmt.Errorf("load: the answer's first payload type is not %d", c.pt)
	}
	for _, codec := range m.Codecs {
		if strings.EqualFold(codec.Name, "rtx") && codec.Fmtp == fmt.Sprintf("apt=%d", c.pt) {
			c.rtx = codec.PayloadType
		}
	}
	for _, e := range m.Extmaps {
		if e.URI == uriTWCC {
			c.twcc = uint8(e.ID)
		}
	}
	c.ufrag, c.pwd, c.lite = m.ICEUfrag, m.ICEPwd, s.ICELite
	for _, text := range m.Candidates {
		cand, err := ice.ParseCandidate(text)
		if err != nil || cand.Transport != ice.UDP || !cand.Addr.Addr().Is4() {
			continue
		}
		if cand.Addr.Addr().IsLoopback() == c.local.Addr().IsLoopback() {
			c.remote, c.candidate = cand.Addr, cand
			break
		}
	}
	if !c.remote.IsValid() {
		return fmt.Errorf("load: the answer has no IPv4 candidate for %v", c.local)
	}
	return nil
}
