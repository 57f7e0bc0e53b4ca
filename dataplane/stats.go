package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sockets"
)

// Stats are an Engine's counters, summed over its shards.
type Stats struct {
	Drops                      map[string]uint64 // by cause; causes that never occurred included
	RTPIn, RTCPIn              uint64            // packets
	RTPOut, RTCPOut            uint64            // packets
	RTPInBytes, RTPOutBytes    uint64
	NACKs, Retransmitted       uint64 // requests of receivers, packets sent again
	KeyframeRequests           uint64 // sent to sources
	HandedOver                 uint64 // datagrams passed between shards
	BurstWaits, BurstGains     uint64 // bursts that waited for the rest of their frame, and those to which some of it came
	PaddingBytes               uint64 // added to packets, once for all receivers
	AddressTakeovers           uint64 // remote addresses that changed transport
	Panics                     uint64
	Strangers                  uint64 // STUN packets that no endpoint claims
	CtlOverflow, CtlSendErrors uint64
	Channels                   ChannelStats
	Sockets                    sockets.Stats
	Steering                   SteeringStats
	Filter                     FilterStats
	// Stages are what one turn of 64 spent where: nanoseconds divided by packets
	// are what a packet costs.
	Stages             [NumStages]StageStats
	Shards, Transports int
}

// Stats reads the counters.
func (e *Engine) Stats() Stats {
	st := Stats{Drops: map[string]uint64{}, Shards: len(e.shards), Steering: e.steered.stats(), Filter: e.filterStats()}
	for _, s := range e.shards {
		c := &s.count
		for d := range numDrops {
			st.Drops[d.String()] += c.drops[d].Load()
		}
		st.RTPIn += c.rtpIn.Load()
		st.RTCPIn += c.rtcpIn.Load()
		st.RTPOut += c.rtpOut.Load()
		st.RTCPOut += c.rtcpOut.Load()
		st.RTPInBytes += c.rtpInBytes.Load()
		st.RTPOutBytes += c.rtpOutBytes.Load()
		st.NACKs += c.nacked.Load()
		st.Retransmitted += c.retransmitted.Load()
		st.KeyframeRequests += c.keyframeRequests.Load()
		st.HandedOver += c.handedOver.Load()
		st.BurstWaits += c.burstWaits.Load()
		st.BurstGains += c.burstGains.Load()
		st.PaddingBytes += c.padded.Load()
		st.AddressTakeovers += c.takeovers.Load()
		st.Panics += c.panics.Load()
		st.Strangers += s.strangers.Load()
		st.CtlOverflow += s.ctlOverflow.Load()
		st.CtlSendErrors += s.ctlSendErrors.Load()
		st.Transports += int(c.transports.Load())
		c.channels.addTo(&st.Channels)
		st.Sockets.Add(s.conn.Stats())
		for i := range st.Stages {
			st.Stages[i].Packets += s.stages.packets[i].Load()
			st.Stages[i].Nanoseconds += s.stages.ns[i].Load()
		}
	}
	return st
}

// TransportStats is a snapshot of a transport.
type TransportStats struct {
	At                                       mono.Time
	PacketsIn, PacketsOut, BytesIn, BytesOut uint64
	Streams                                  []StreamStats
	Legs                                     []LegStats
	HasChannels                              bool
	SCTP                                     sctp.Stats
}

// StreamStats is what came in.
type StreamStats struct {
	Stream           *Stream
	SSRC             uint32
	Received, Bytes  uint64 // packets, payload bytes
	Repaired         uint64 // packets that came by retransmission
	Lost             int64  // packets, repaired ones excepted
	Jitter           time.Duration
	Asked            uint64 // sequence numbers requested by NACK
	Keyframes        uint64
	LastPacket       mono.Time
	KeyframeRequests uint64
}

// LegStats is what went out, and what its receiver says of it.
type LegStats struct {
	SSRC              uint32
	Packets, Bytes    uint64 // payload bytes
	Retransmitted     uint64
	NACKs, PLIs, FIRs uint64 // received
	// Of the newest receiver report; meaningful when Reports is not zero.
	Reports      uint64
	FractionLost float64
	Lost         int32
	Jitter       time.Duration
	RTT          time.Duration // 0: not measured
}

// Snapshot calls f with the transport's statistics on its data lane, where f
// must not block.
func (t *Transport) Snapshot(f func(TransportStats)) {
	t.shard.Post(func(_ *Shard, now mono.Time) { f(t.stats(now)) })
}

func (t *Transport) stats(now mono.Time) TransportStats {
	ts := TransportStats{
		At: now, PacketsIn: t.count.packetsIn, PacketsOut: t.count.packetsOut,
		BytesIn: t.count.bytesIn, BytesOut: t.count.bytesOut,
	}
	for _, st := range t.streams {
		r := &st.rx
		ts.Streams = append(ts.Streams, StreamStats{
			Stream: st, SSRC: st.ssrc, Received: r.received, Bytes: r.bytes, Repaired: r.repaired,
			Lost:   r.expected() - int64(r.received+r.repaired),
			Jitter: inClock(r.jitter>>4, st.cfg.ClockRate), Asked: st.asked,
			Keyframes: r.keyframes, LastPacket: r.lastAt, KeyframeRequests: st.keyRequests,
		})
	}
	for _, l := range t.legList {
		ts.Legs = append(ts.Legs, LegStats{
			SSRC: l.cfg.SSRC, Packets: l.packets, Bytes: l.octets, Retransmitted: l.rtxSent,
			NACKs: l.nacks, PLIs: l.plis, FIRs: l.firs, Reports: l.reports,
			FractionLost: float64(l.lossFrac) / 256, Lost: l.lossTotal,
			Jitter: inClock(uint64(l.jitter), l.clock), RTT: l.rtt,
		})
	}
	if t.chans.c != nil {
		ts.HasChannels, ts.SCTP = true, t.chans.c.Stats()
	}
	return ts
}

func inClock(ticks uint64, rate uint32) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(ticks * uint64(time.Second) / uint64(rate))
}
