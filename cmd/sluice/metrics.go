package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/sockets"
)

// metrics is the handler of /metrics.
func (in *instance) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{in})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the counters that the packages keep.
type collector struct{ in *instance }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_"+name, help, labels, nil)
}

var (
	descBuild      = desc("build_info", "The version that runs.", "version")
	descSessions   = desc("sessions", "Sessions, by role.", "role")
	descStreams    = desc("streams", "Streams with a publisher.")
	descViewers    = desc("viewers", "Viewers of all streams.")
	descTransports = desc("transports", "Transports on the dataplane.")
	descShards     = desc("shards", "Shards of the dataplane.")
	descPackets    = desc("packets_total", "Media packets.", "protocol", "direction")
	descBytes      = desc("rtp_bytes_total", "Bytes of RTP packets.", "direction")
	descDrops      = desc("drops_total", "Packets that went no further, by cause.", "cause")
	descNACKs      = desc("nacks_total", "Sequence numbers that receivers asked for again.")
	descRTX        = desc("retransmissions_total", "Packets sent again.")
	descKeyframes  = desc("keyframe_requests_total", "Key frames asked for.")
	descHandovers  = desc("handovers_total", "Datagrams passed between shards.")
	descTakeovers  = desc("address_takeovers_total", "Remote addresses that a new connection took from another.")
	descPanics     = desc("panics_total", "Broken invariants, each of which closed a transport.")
	descStrangers  = desc("strangers_total", "STUN packets that no session claims.")
	descCtl        = desc("control_events_total", "Control packets lost inside: queue full, or not sent.", "event")
	descSocket     = desc("socket_events_total", "What the sockets did.", "event")
	descWaits      = desc("burst_waits_total", "Bursts of a stream that waited for the rest of their frame, by whether some of it came.", "gained")
	descPadding    = desc("padding_bytes_total", "RTP padding added to make packets equally long, once for all receivers.")
	descSteering   = desc("steering_active", "Whether a BPF program tells the kernel which shard gets a datagram.")
	descSteered    = desc("steered_datagrams_total", "Datagrams given to a shard by the BPF program, by what decided.", "by")
	descFlows      = desc("steering_flows", "Remote addresses steered to a shard.")
	descRefused    = desc("steering_refused_total", "Remote addresses that found no room in the flow map.")
	descFilter     = desc("filter_datagrams_total", "Datagrams to the port that the filter let through or dropped, by why.", "verdict", "why")
	descStageNs    = desc("stage_sampled_nanoseconds_total", "Time that sampled turns of the data lanes spent in a stage.", "stage")
	descStagePkts  = desc("stage_sampled_packets_total", "Packets that went through a stage in sampled turns.", "stage")
	descSCTP       = desc("sctp_associations", "SCTP associations, which carry data channels.")
	descSCTPPkts   = desc("sctp_packets_total", "SCTP packets.", "direction")
	descSCTPBytes  = desc("sctp_bytes_total", "Bytes of data-channel messages, each once.", "direction")
	descSCTPRTX    = desc("sctp_retransmissions_total", "SCTP chunks sent again.")
	descSCTPTimers = desc("sctp_timeouts_total", "Times an SCTP timer ran out.")
	descSCTPRTT    = desc("sctp_round_trip_seconds", "Smoothed round-trip time, mean over the associations.")
	descSCTPCWND   = desc("sctp_congestion_window_bytes", "Congestion window, mean over the associations.")
	descSCTPRwnd   = desc("sctp_peer_window_bytes", "What the peer would take, mean over the associations.")
	descSCTPMTU    = desc("sctp_mtu_bytes", "Largest packet, mean over the associations.")
	descRuns       = desc("socket_run_datagrams", "Datagrams in one message to the kernel.")
	descSockDgrams = desc("socket_datagrams_total", "Datagrams on the sockets.", "direction")
	descSockBytes  = desc("socket_bytes_total", "Bytes on the sockets.", "direction")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	gauge(descBuild, 1, version())
	c.collectSFU(gauge)
	s := c.in.engine.Stats()
	gauge(descTransports, s.Transports)
	gauge(descShards, s.Shards)
	count(descPackets, s.RTPIn, "rtp", "in")
	count(descPackets, s.RTPOut, "rtp", "out")
	count(descPackets, s.RTCPIn, "rtcp", "in")
	count(descPackets, s.RTCPOut, "rtcp", "out")
	count(descBytes, s.RTPInBytes, "in")
	count(descBytes, s.RTPOutBytes, "out")
	for cause, n := range s.Drops {
		count(descDrops, n, cause)
	}
	count(descNACKs, s.NACKs)
	count(descRTX, s.Retransmitted)
	count(descKeyframes, s.KeyframeRequests)
	count(descHandovers, s.HandedOver)
	count(descTakeovers, s.AddressTakeovers)
	count(descPanics, s.Panics)
	count(descStrangers, s.Strangers)
	count(descCtl, s.CtlOverflow, "overflow")
	count(descCtl, s.CtlSendErrors, "send_error")
	count(descWaits, s.BurstGains, "yes")
	count(descWaits, s.BurstWaits-min(s.BurstGains, s.BurstWaits), "no")
	count(descPadding, s.PaddingBytes)
	for i, x := range s.Stages {
		stage := dataplane.Stage(i).String()
		count(descStageNs, x.Nanoseconds, stage)
		count(descStagePkts, x.Packets, stage)
	}
	collectSteering(count, gauge, &s.Steering)
	for _, x := range []struct {
		verdict, why string
		n            uint64
	}{
		{"passed", "media", s.Filter.Passed}, {"passed", "known", s.Filter.Known}, {"passed", "within_rate", s.Filter.Admitted},
		{"dropped", "foreign", s.Filter.Foreign}, {"dropped", "stun_rate", s.Filter.STUN}, {"dropped", "hello_rate", s.Filter.Hello},
	} {
		count(descFilter, x.n, x.verdict, x.why)
	}
	collectSCTP(ch, count, &s.Channels)
	k := &s.Sockets
	ch <- runs(k)
	count(descSockDgrams, k.Received, "in")
	count(descSockDgrams, k.Sent, "out")
	count(descSockBytes, k.ReceivedBytes, "in")
	count(descSockBytes, k.SentBytes, "out")
	for event, n := range map[string]uint64{
		"read": k.Reads, "write": k.Writes, "truncated": k.Truncated, "read_error": k.ReadErrors, "send_error": k.SendErrors,
		"would_block": k.WouldBlock, "gso_run": k.GSORuns, "gso_fallback": k.GSOFallbacks, "wakeup": k.Wakeups, "sleep": k.Sleeps, "overflow": k.Overflowed, "message": k.Messages,
	} {
		count(descSocket, n, event)
	}
}

func collectSteering(count func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, int, ...string), s *dataplane.SteeringStats) {
	active := 0
	if s.Active {
		active = 1
	}
	gauge(descSteering, active)
	gauge(descFlows, s.Flows)
	count(descRefused, s.Refused)
	count(descSteered, s.Flow, "flow")
	count(descSteered, s.Ufrag, "ufrag")
	count(descSteered, s.Hash, "hash")
	count(descSteered, s.Errors, "error")
}

func collectSCTP(ch chan<- prometheus.Metric, count func(*prometheus.Desc, uint64, ...string), s *dataplane.ChannelStats) {
	count(descSCTPPkts, s.PacketsReceived, "in")
	count(descSCTPPkts, s.PacketsSent, "out")
	count(descSCTPBytes, s.BytesReceived, "in")
	count(descSCTPBytes, s.BytesSent, "out")
	count(descSCTPRTX, s.Retransmissions)
	count(descSCTPTimers, s.Timeouts)
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(descSCTP, float64(s.Associations))
	n := float64(max(s.Associations, 1))
	gauge(descSCTPRTT, s.SRTT.Seconds()/n)
	gauge(descSCTPCWND, float64(s.CWND)/n)
	gauge(descSCTPRwnd, float64(s.PeerWindow)/n)
	gauge(descSCTPMTU, float64(s.MTU)/n)
}

// runs is the histogram of how many datagrams a message holds.
func runs(k *sockets.Stats) prometheus.Metric {
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, n := range k.Runs {
		sum += n
		if i < len(k.Runs)-1 {
			buckets[float64(uint(1)<<i)] = sum
		}
	}
	return prometheus.MustNewConstHistogram(descRuns, sum, float64(k.Sent), buckets)
}

func (c *collector) collectSFU(gauge func(d *prometheus.Desc, n int, labels ...string)) {
	roles := map[sfu.Role]int{}
	for _, x := range c.in.sfu.Sessions() {
		roles[x.Role()]++
	}
	for _, r := range []sfu.Role{sfu.Publisher, sfu.Viewer, sfu.Echo} {
		gauge(descSessions, roles[r], r.String())
	}
	live, viewers := 0, 0
	for _, s := range c.in.sfu.Streams() {
		if s.Live {
			live++
		}
		viewers += s.Viewers
	}
	gauge(descStreams, live)
	gauge(descViewers, viewers)
}
