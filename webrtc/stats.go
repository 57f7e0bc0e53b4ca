package webrtc

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// StatsReport is RTCStatsReport: statistics objects by id. They marshal to
// JSON under the names of the W3C's webrtc-stats.
type StatsReport map[string]any

// Stats is what every statistics object has.
type Stats struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	Timestamp float64 `json:"timestamp"` // ms since 1970
}

// PeerConnectionStats is RTCPeerConnectionStats.
type PeerConnectionStats struct {
	Stats
	DataChannelsOpened uint64 `json:"dataChannelsOpened"`
	ConnectionState    string `json:"connectionState"`
}

// TransportStats is RTCTransportStats.
type TransportStats struct {
	Stats
	PacketsSent             uint64 `json:"packetsSent"`
	PacketsReceived         uint64 `json:"packetsReceived"`
	BytesSent               uint64 `json:"bytesSent"`
	BytesReceived           uint64 `json:"bytesReceived"`
	ICERole                 string `json:"iceRole"`
	ICELocalUfrag           string `json:"iceLocalUsernameFragment"`
	ICEState                string `json:"iceState"`
	DTLSState               string `json:"dtlsState"`
	DTLSRole                string `json:"dtlsRole"`
	SelectedCandidatePairID string `json:"selectedCandidatePairId,omitempty"`
	LocalCertificateID      string `json:"localCertificateId"`
	RemoteCertificateID     string `json:"remoteCertificateId,omitempty"`
	TLSVersion              string `json:"tlsVersion,omitempty"`
	DTLSCipher              string `json:"dtlsCipher,omitempty"`
	TLSGroup                string `json:"tlsGroup,omitempty"`
	SRTPCipher              string `json:"srtpCipher,omitempty"`
	DTLSInSTUNSent          uint64 `json:"dtlsInStunSent,omitempty"`     // datagrams in checks; Config.SPED
	DTLSInSTUNReceived      uint64 `json:"dtlsInStunReceived,omitempty"` // and those of the peer's, each once
	Shard                   int    `json:"shard"`
}

// SCTPTransportStats is RTCSctpTransportStats (webrtc-provisional-stats), and
// what else tells how fast data channels can go.
type SCTPTransportStats struct {
	Stats
	TransportID           string  `json:"transportId"`
	SmoothedRoundTripTime float64 `json:"smoothedRoundTripTime,omitempty"` // s
	CongestionWindow      uint64  `json:"congestionWindow"`                // bytes
	ReceiverWindow        uint64  `json:"receiverWindow"`                  // bytes the peer would take
	MTU                   uint64  `json:"mtu"`                             // bytes of an SCTP packet
	UnackData             uint64  `json:"unackData"`                       // chunks sent and not acknowledged
	PacketsSent           uint64  `json:"packetsSent"`
	PacketsReceived       uint64  `json:"packetsReceived"`
	BytesSent             uint64  `json:"bytesSent"`     // of messages, each once
	BytesReceived         uint64  `json:"bytesReceived"` // of messages, each once
	Retransmissions       uint64  `json:"retransmissions"`
	Timeouts              uint64  `json:"timeouts"`
	Interleaved           bool    `json:"interleaved"`  // I-DATA was negotiated (RFC 8260)
	ZeroChecksum          bool    `json:"zeroChecksum"` // no checksums are sent (RFC 9653)
}

// CandidatePairStats is RTCIceCandidatePairStats.
type CandidatePairStats struct {
	Stats
	TransportID          string  `json:"transportId"`
	LocalCandidateID     string  `json:"localCandidateId"`
	RemoteCandidateID    string  `json:"remoteCandidateId"`
	State                string  `json:"state"`
	Nominated            bool    `json:"nominated"`
	RequestsSent         uint64  `json:"requestsSent"`
	RequestsReceived     uint64  `json:"requestsReceived"`
	ResponsesSent        uint64  `json:"responsesSent"`
	ResponsesReceived    uint64  `json:"responsesReceived"`
	ConsentRequestsSent  uint64  `json:"consentRequestsSent"`
	CurrentRoundTripTime float64 `json:"currentRoundTripTime,omitempty"` // s
	TotalRoundTripTime   float64 `json:"totalRoundTripTime"`             // s
}

// CandidateStats is RTCIceCandidateStats.
type CandidateStats struct {
	Stats
	TransportID   string `json:"transportId"`
	Address       string `json:"address"`
	Port          uint16 `json:"port"`
	Protocol      string `json:"protocol"`
	CandidateType string `json:"candidateType"`
	Priority      uint32 `json:"priority"`
	Foundation    string `json:"foundation"`
}

// CertificateStats is RTCCertificateStats.
type CertificateStats struct {
	Stats
	Fingerprint          string `json:"fingerprint"`
	FingerprintAlgorithm string `json:"fingerprintAlgorithm"`
}

// CodecStats is RTCCodecStats.
type CodecStats struct {
	Stats
	PayloadType uint8  `json:"payloadType"`
	TransportID string `json:"transportId"`
	MimeType    string `json:"mimeType"`
	ClockRate   uint32 `json:"clockRate"`
	Channels    uint16 `json:"channels,omitempty"`
	SDPFmtpLine string `json:"sdpFmtpLine,omitempty"`
}

// InboundRTPStats is RTCInboundRtpStreamStats.
type InboundRTPStats struct {
	Stats
	SSRC                         uint32  `json:"ssrc"`
	Kind                         Kind    `json:"kind"`
	TransportID                  string  `json:"transportId"`
	MID                          string  `json:"mid"`
	RID                          string  `json:"rid,omitempty"`
	TrackIdentifier              string  `json:"trackIdentifier"`
	PacketsReceived              uint64  `json:"packetsReceived"`
	BytesReceived                uint64  `json:"bytesReceived"`
	PacketsLost                  int64   `json:"packetsLost"`
	Jitter                       float64 `json:"jitter"` // s
	RetransmittedPacketsReceived uint64  `json:"retransmittedPacketsReceived"`
	KeyFramesReceived            uint64  `json:"keyFramesReceived"` // key frames that began
	NACKCount                    uint64  `json:"nackCount"`         // sequence numbers requested
	PLICount                     uint64  `json:"pliCount"`
}

// OutboundRTPStats is RTCOutboundRtpStreamStats.
type OutboundRTPStats struct {
	Stats
	SSRC                     uint32 `json:"ssrc"`
	Kind                     Kind   `json:"kind"`
	TransportID              string `json:"transportId"`
	MID                      string `json:"mid"`
	PacketsSent              uint64 `json:"packetsSent"`
	BytesSent                uint64 `json:"bytesSent"`
	RetransmittedPacketsSent uint64 `json:"retransmittedPacketsSent"`
	NACKCount                uint64 `json:"nackCount"`
	PLICount                 uint64 `json:"pliCount"`
	FIRCount                 uint64 `json:"firCount"`
	RemoteID                 string `json:"remoteId,omitempty"`
}

// RemoteInboundRTPStats is RTCRemoteInboundRtpStreamStats: what the receiver
// of an outbound stream reports.
type RemoteInboundRTPStats struct {
	Stats
	SSRC          uint32  `json:"ssrc"`
	Kind          Kind    `json:"kind"`
	TransportID   string  `json:"transportId"`
	LocalID       string  `json:"localId"`
	PacketsLost   int32   `json:"packetsLost"`
	FractionLost  float64 `json:"fractionLost"`
	Jitter        float64 `json:"jitter"`                  // s
	RoundTripTime float64 `json:"roundTripTime,omitempty"` // s
}

// DataChannelStats is RTCDataChannelStats.
type DataChannelStats struct {
	Stats
	Label            string `json:"label"`
	Protocol         string `json:"protocol"`
	DataChannelID    int32  `json:"dataChannelIdentifier"`
	State            string `json:"state"`
	MessagesSent     uint64 `json:"messagesSent"`
	BytesSent        uint64 `json:"bytesSent"`
	MessagesReceived uint64 `json:"messagesReceived"`
	BytesReceived    uint64 `json:"bytesReceived"`
}

// collector gathers a report. Its methods run on the ctl lane.
type collector struct {
	pc     *PeerConnection
	now    float64
	report StatsReport
}

func (c *collector) base(id, typ string) Stats { return Stats{id, typ, c.now} }

// pendingTransport is a transport whose data lane has been asked.
type pendingTransport struct {
	t    *transport
	id   string
	data chan dataplane.TransportStats
}

// GetStats gathers statistics of everything the connection has. After Close it
// fails with ErrInvalidState.
func (pc *PeerConnection) GetStats() (StatsReport, error) {
	c := &collector{pc: pc, now: float64(time.Now().UnixMicro()) / 1000, report: StatsReport{}}
	var asked []pendingTransport
	err := pc.do(func(mono.Time) error {
		c.connection()
		for i, t := range pc.transports {
			p := pendingTransport{t: t, id: fmt.Sprintf("T%d", i), data: make(chan dataplane.TransportStats, 1)}
			c.ice(p.id, t)
			if t.data != nil {
				t.data.Snapshot(func(s dataplane.TransportStats) { p.data <- s })
			} else {
				p.data <- dataplane.TransportStats{}
			}
			asked = append(asked, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range asked {
		select {
		case s := <-p.data:
			if err := pc.do(func(mono.Time) error { c.transport(p.id, p.t, &s); return nil }); err != nil {
				return nil, err
			}
		case <-pc.engine.Done():
			return nil, errClosedConnection
		}
	}
	return c.report, nil
}

func (c *collector) connection() {
	pc := c.pc
	c.report["P"] = &PeerConnectionStats{
		Stats: c.base("P", "peer-connection"), DataChannelsOpened: pc.dataChannels,
		ConnectionState: pc.ConnectionState().String(),
	}
	if fp, err := pc.certificate.Fingerprint("sha-256"); err == nil {
		c.certificate("CL", fp)
	}
	for _, dc := range pc.channels {
		id := fmt.Sprintf("D%d", dc.id.Load())
		c.report[id] = &DataChannelStats{
			Stats: c.base(id, "data-channel"), Label: dc.label, Protocol: dc.protocol,
			DataChannelID: dc.id.Load(), State: dc.ReadyState().String(),
			MessagesSent: dc.stat.messagesSent.Load(), BytesSent: dc.stat.bytesSent.Load(),
			MessagesReceived: dc.stat.messagesReceived.Load(), BytesReceived: dc.stat.bytesReceived.Load(),
		}
	}
}

func (c *collector) certificate(id string, fp dtls.Fingerprint) {
	alg, value, _ := strings.Cut(fp.String(), " ")
	c.report[id] = &CertificateStats{Stats: c.base(id, "certificate"), Fingerprint: value, FingerprintAlgorithm: alg}
}

// ice reports candidates and pairs.
func (c *collector) ice(tid string, t *transport) {
	local, remote := t.agent.Candidates()
	for _, side := range []struct {
		prefix, typ string
		list        []ice.Candidate
	}{{"IL", "local-candidate", local}, {"IR", "remote-candidate", remote}} {
		for i := range side.list {
			k := &side.list[i]
			id := candidateID(side.prefix, tid, k)
			address := k.Host
			if k.Addr.Addr().IsValid() {
				address = k.Addr.Addr().String()
			}
			c.report[id] = &CandidateStats{
				Stats: c.base(id, side.typ), TransportID: tid, Address: address, Port: k.Addr.Port(),
				Protocol: k.Transport.String(), CandidateType: k.Type.String(), Priority: k.Priority, Foundation: k.Foundation,
			}
		}
	}
	for _, p := range t.agent.Stats().Pairs {
		id := pairID(tid, p.Path)
		c.report[id] = &CandidatePairStats{
			Stats: c.base(id, "candidate-pair"), TransportID: tid,
			LocalCandidateID:  fmt.Sprintf("IL%s-%v", tid, p.Path.Local),
			RemoteCandidateID: candidateID("IR", tid, &p.Remote),
			State:             p.State.String(), Nominated: p.Nominated,
			RequestsSent: p.RequestsSent, RequestsReceived: p.RequestsReceived,
			ResponsesSent: p.ResponsesSent, ResponsesReceived: p.ResponsesReceived,
			ConsentRequestsSent:  p.ConsentRequestsSent,
			CurrentRoundTripTime: p.CurrentRTT.Seconds(), TotalRoundTripTime: p.TotalRTT.Seconds(),
		}
	}
}

func candidateID(prefix, tid string, k *ice.Candidate) string {
	if k.Addr.Addr().IsValid() {
		return fmt.Sprintf("%s%s-%v", prefix, tid, k.Addr)
	}
	return fmt.Sprintf("%s%s-%s:%d", prefix, tid, k.Host, k.Addr.Port())
}

func pairID(tid string, p ice.Path) string { return fmt.Sprintf("CP%s-%v-%v", tid, p.Local, p.Remote) }

// transport reports the transport itself and the streams on it.
func (c *collector) transport(tid string, t *transport, s *dataplane.TransportStats) {
	ufrag, _ := t.agent.LocalCredentials()
	ts := &TransportStats{
		Stats: c.base(tid, "transport"), PacketsSent: s.PacketsOut, PacketsReceived: s.PacketsIn,
		BytesSent: s.BytesOut, BytesReceived: s.BytesIn, ICERole: t.agent.Role().String(), ICELocalUfrag: ufrag,
		ICEState: t.iceState.String(), DTLSState: t.dtlsState.String(), DTLSRole: "unknown",
		LocalCertificateID: "CL", Shard: t.shard().Index(),
	}
	carried := t.agent.CarryStats()
	ts.DTLSInSTUNSent, ts.DTLSInSTUNReceived = carried.Sent, carried.Received
	if p, ok := t.agent.Selected(); ok {
		ts.SelectedCandidatePairID = pairID(tid, p)
	}
	if t.conn != nil {
		ts.DTLSRole = t.role.String()
		if cs := t.conn.State(); t.dtlsState == DTLSTransportConnected {
			ts.TLSVersion = fmt.Sprintf("%04X", cs.Version)
			ts.DTLSCipher = dtls.SuiteName(cs.CipherSuite)
			ts.TLSGroup = cs.Group.String()
			ts.SRTPCipher = cs.SRTPProfile.String()
			if len(cs.PeerCertificates) > 0 {
				if fp, err := dtls.FingerprintOf("sha-256", cs.PeerCertificates[0]); err == nil {
					ts.RemoteCertificateID = "CR" + tid
					c.certificate(ts.RemoteCertificateID, fp)
				}
			}
		}
	}
	c.report[tid] = ts
	if s.HasChannels {
		c.sctp(tid, &s.SCTP)
	}
	for _, tr := range c.pc.transceivers {
		if tr.transport() == t {
			c.rtp(tid, tr, s)
		}
	}
}

func (c *collector) sctp(tid string, s *sctp.Stats) {
	id := "S" + tid
	c.report[id] = &SCTPTransportStats{
		Stats: c.base(id, "sctp-transport"), TransportID: tid, SmoothedRoundTripTime: s.SRTT.Seconds(),
		CongestionWindow: uint64(s.CWND), ReceiverWindow: uint64(s.PeerWindow), MTU: uint64(s.MTU), UnackData: uint64(s.Unacked),
		PacketsSent: s.PacketsSent, PacketsReceived: s.PacketsReceived, BytesSent: s.BytesSent, BytesReceived: s.BytesReceived,
		Retransmissions: s.Retransmissions, Timeouts: s.Timeouts, Interleaved: s.Interleaved, ZeroChecksum: s.ZeroChecksum,
	}
}

func (c *collector) rtp(tid string, tr *RTPTransceiver, s *dataplane.TransportStats) {
	for i := range tr.recvCodecs {
		k := &tr.recvCodecs[i]
		id := fmt.Sprintf("C%s-%s-%d", tid, tr.mid, k.PayloadType)
		c.report[id] = &CodecStats{
			Stats: c.base(id, "codec"), PayloadType: k.PayloadType, TransportID: tid,
			MimeType: string(tr.kind) + "/" + k.Name, ClockRate: k.ClockRate, Channels: k.Channels, SDPFmtpLine: k.Fmtp,
		}
	}
	for _, track := range tr.receiver.tracks {
		stream := track.stream()
		for i := range s.Streams {
			if in := &s.Streams[i]; in.Stream == stream && in.Received > 0 {
				id := fmt.Sprintf("I%s-%d", tid, in.SSRC)
				c.report[id] = &InboundRTPStats{
					Stats: c.base(id, "inbound-rtp"), SSRC: in.SSRC, Kind: tr.kind, TransportID: tid, MID: tr.mid, RID: track.rid,
					TrackIdentifier: track.id, PacketsReceived: in.Received, BytesReceived: in.Bytes, PacketsLost: in.Lost,
					Jitter: in.Jitter.Seconds(), RetransmittedPacketsReceived: in.Repaired, KeyFramesReceived: in.Keyframes,
					NACKCount: in.Asked, PLICount: in.KeyframeRequests,
				}
			}
		}
	}
	for i := range s.Legs {
		if out := &s.Legs[i]; out.SSRC == tr.sender.ssrc {
			c.outbound(tid, tr, out)
		}
	}
}

func (c *collector) outbound(tid string, tr *RTPTransceiver, out *dataplane.LegStats) {
	id := fmt.Sprintf("O%s-%d", tid, out.SSRC)
	o := &OutboundRTPStats{
		Stats: c.base(id, "outbound-rtp"), SSRC: out.SSRC, Kind: tr.kind, TransportID: tid, MID: tr.mid,
		PacketsSent: out.Packets, BytesSent: out.Bytes, RetransmittedPacketsSent: out.Retransmitted,
		NACKCount: out.NACKs, PLICount: out.PLIs, FIRCount: out.FIRs,
	}
	c.report[id] = o
	if out.Reports == 0 {
		return
	}
	o.RemoteID = fmt.Sprintf("RI%s-%d", tid, out.SSRC)
	c.report[o.RemoteID] = &RemoteInboundRTPStats{
		Stats: c.base(o.RemoteID, "remote-inbound-rtp"), SSRC: out.SSRC, Kind: tr.kind, TransportID: tid, LocalID: id,
		PacketsLost: out.Lost, FractionLost: out.FractionLost, Jitter: out.Jitter.Seconds(), RoundTripTime: out.RTT.Seconds(),
	}
}
