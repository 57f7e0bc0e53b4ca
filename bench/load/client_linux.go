package load

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
	"github.com/sluicertc/sluice/stun"
)

// A client is one publisher or viewer. After it was added to the loop, the
// loop owns it.
type client struct {
	group       *Group
	kind        Kind
	fd          int
	local       netip.AddrPort
	ssrc        uint32
	fingerprint string

	// From the answer.
	remote       netip.AddrPort
	ufrag, pwd   string
	candidate    ice.Candidate
	lite         bool
	fingerprints []dtls.Fingerprint
	pt           uint8
	rtx          uint8 // payload type of retransmissions (RFC 4588); 0: not negotiated
	twcc         uint8 // id of the extension; 0: not negotiated

	agent    *ice.Agent // nil: a plain client, whose RTP is not protected
	conn     *dtls.Conn
	in, out  *srtp.Context
	deadline mono.Time
	ready    bool
	failed   error

	report   mono.Time // next RTCP
	source   uint32    // SSRC received
	highest  uint16
	lastSR   uint32
	srAt     mono.Time
	packets  uint32 // sent or received
	received bool   // anything since the stretch began
	seen     seen   // of the stretch
	nacker   nacker
	sunk     uint64 // of a sink
}

func newClient(g *Group, cert *dtls.Certificate) (*client, error) {
	c := &client{group: g, kind: g.kind}
	var err error
	if c.fd, c.local, err = listen(g.addr); err != nil {
		return nil, err
	}
	if g.sink && g.publisher != nil { // of viewers
		if err := sink(c.fd); err != nil {
			return nil, errors.Join(err, unix.Close(c.fd))
		}
	}
	var seed [4]byte
	rand.Read(seed[:])
	c.ssrc = binary.BigEndian.Uint32(seed[:]) | 1
	if g.plain {
		return c, nil
	}
	fp, err := cert.Fingerprint("sha-256")
	if err != nil {
		return nil, err
	}
	c.fingerprint = fp.String()
	if c.agent, err = ice.New(ice.Config{Role: ice.Controlling, Hosts: []netip.AddrPort{c.local}}); err != nil {
		return nil, err
	}
	return c, nil
}

// start begins to connect, on the loop, once the answer is known.
func (c *client) start(now mono.Time, cert *dtls.Certificate) error {
	if err := connect(c.fd, c.remote); err != nil {
		return err
	}
	c.report = now.Add(reportEvery[c.kind] * time.Duration(c.ssrc%1024) / 1024) // spread over the interval
	if c.agent == nil {
		c.ready = true
		return nil
	}
	profile := dtls.SRTP_AEAD_AES_128_GCM // the same for every server
	if c.group.cm80 {
		profile = dtls.SRTP_AES128_CM_HMAC_SHA1_80
	}
	conn, err := dtls.New(dtls.Config{
		Role: dtls.Client, Certificate: cert, RemoteFingerprints: c.fingerprints,
		SRTPProfiles: []dtls.SRTPProfile{profile},
	})
	if err != nil {
		return err
	}
	c.conn = conn
	c.agent.SetRemoteLite(c.lite)
	c.agent.Gather(now)
	if err := c.agent.SetRemoteCredentials(now, c.ufrag, c.pwd); err != nil {
		return err
	}
	if err := c.agent.AddRemoteCandidate(now, c.candidate); err != nil {
		return err
	}
	c.agent.EndOfRemoteCandidates(now)
	c.pump(now)
	return nil
}

// control takes what is neither RTP nor RTCP.
func (c *client) control(now mono.Time, b []byte) {
	if c.agent == nil {
		return
	}
	if stun.Is(b) {
		_ = c.agent.HandlePacket(now, b, ice.Path{Local: c.local, Remote: c.remote})
	} else {
		_ = c.conn.HandlePacket(now, b)
	}
	c.pump(now)
}

func (c *client) timeout(now mono.Time) {
	c.agent.HandleTimeout(now)
	c.conn.HandleTimeout(now)
	c.pump(now)
}

func (c *client) pump(now mono.Time) {
	var b [2048]byte
	for {
		ev, ok := c.agent.Event()
		if !ok {
			break
		}
		switch {
		case ev.Kind == ice.EventSelected:
			c.conn.Start(now)
		case ev.Kind == ice.EventState && ev.State == ice.StateFailed:
			c.failed = fmt.Errorf("load: ICE failed")
		}
	}
	for {
		n, _ := c.agent.Transmit(now, b[:])
		if n == 0 {
			break
		}
		send(c.fd, b[:n])
	}
	for {
		n := c.conn.Transmit(now, b[:])
		if n == 0 {
			break
		}
		send(c.fd, b[:n])
	}
	for {
		ev, ok := c.conn.Event()
		if !ok {
			break
		}
		switch ev := ev.(type) {
		case dtls.Connected:
			c.failed = c.keys()
			c.ready = c.failed == nil
		case dtls.Closed:
			c.failed = fmt.Errorf("load: DTLS ended: %w", ev.Err)
		}
	}
	c.deadline = mono.Earliest(c.agent.Timeout(), c.conn.Timeout())
}

func (c *client) keys() error {
	profile, key, salt, remoteKey, remoteSalt, err := c.conn.SRTPKeys()
	if err != nil {
		return err
	}
	if c.in, err = srtp.NewContext(srtp.Profile(profile), remoteKey, remoteSalt); err != nil {
		return err
	}
	c.out, err = srtp.NewContext(srtp.Profile(profile), key, salt)
	return err
}

// rtcp takes a compound: key frame requests, and the sender reports that
// reports answer to.
func (c *client) rtcp(now mono.Time, b []byte) (keyframe bool) {
	if c.agent != nil {
		if c.in == nil {
			return false
		}
		n, err := c.in.UnprotectRTCP(b, b)
		if err != nil {
			c.group.bad++
			return false
		}
		b = b[:n]
	}
	for len(b) > 0 {
		p, rest, err := rtcp.Next(b)
		if err != nil {
			return keyframe
		}
		b = rest
		if sr, ok := rtcp.ParseSR(p); ok {
			c.lastSR, c.srAt = rtcp.CompactNTP(sr.Info.NTP), now
		} else if _, ok := rtcp.ParsePLI(p); ok {
			keyframe = true
		} else if _, ok := rtcp.ParseFIR(p); ok {
			keyframe = true
		}
	}
	return keyframe
}

// sendReport sends the report that is due.
func (c *client) sendReport(now mono.Time, timestamp uint32) {
	c.report = now.Add(reportEvery[c.kind])
	var buf [256]byte
	b := buf[:0]
	if c == c.group.publisher {
		b = rtcp.AppendSR(b, c.ssrc, rtcp.SenderInfo{NTP: rtcp.NTPTime(now.Wall()), RTP: timestamp, Packets: c.packets}, nil)
	} else {
		if c.source == 0 {
			return
		}
		block := rtcp.ReportBlock{SSRC: c.source, Highest: uint32(c.highest), LastSR: c.lastSR}
		if c.lastSR != 0 {
			block.Delay = rtcp.Delay(now.Sub(c.srAt))
		}
		b = rtcp.AppendRR(b, c.ssrc, []rtcp.ReportBlock{block})
	}
	b = rtcp.AppendSDES(b, c.ssrc, "load")
	if n, err := c.out.ProtectRTCP(buf[:], b); err == nil {
		send(c.fd, buf[:n])
	}
}

// drops decides whether a packet that arrived is lost after all.
func (c *client) drops(b []byte) bool {
	if c == c.group.publisher || !c.group.loses() {
		return false
	}
	if b[1]&0x7f == c.pt {
		c.group.lost++
	}
	return true
}

// media counts an authentic packet.
func (c *client) media(now mono.Time, b []byte, at int64) {
	v, ok := rtp.Parse(b)
	if !ok {
		return
	}
	seq, payload := v.Seq, v.Payload()
	switch {
	case v.PayloadType == c.pt:
		c.source, c.highest = v.SSRC, v.Seq
		c.packets++
	case c.group.nack && c.rtx != 0 && v.PayloadType == c.rtx && len(payload) >= 2:
		// RFC 4588 §4: the original sequence number comes before the payload.
		seq, payload = binary.BigEndian.Uint16(payload), payload[2:]
	default:
		return // what nobody asked for, and probes, are not deliveries
	}
	sent, index, ok := readStamp(payload)
	if !ok {
		c.group.bad++
		return
	}
	index -= c.group.first
	if int32(index) < 0 { // of before
		c.group.late++
	}
	fresh := c.seen.add(index) // that has wrapped around, beyond its limit
	c.received = c.received || fresh
	if c.group.nack {
		var mended bool
		c.group.ask, mended = c.nacker.receive(now, seq, c.group.ask[:0])
		if fresh && mended {
			c.group.mended++
		}
		c.sendNACK(c.group.ask)
	}
	if fresh {
		c.group.count(at - sent)
	}
}

// askAgain asks for what is still missing.
func (c *client) askAgain(now mono.Time) {
	c.group.ask = c.nacker.due(now, c.group.ask[:0])
	c.sendNACK(c.group.ask)
}

func (c *client) sendNACK(seqs []uint16) {
	if len(seqs) == 0 || c.out == nil {
		return
	}
	var pairs [64]rtcp.NACKPair
	list := rtcp.NACKPairs(pairs[:0], seqs)
	var buf [512]byte
	list = list[:min(len(list), len(pairs))]
	b := rtcp.AppendNACK(buf[:0], c.ssrc, c.source, list)
	if n, err := c.out.ProtectRTCP(buf[:], b); err == nil {
		send(c.fd, buf[:n])
	}
}
