package dataplane

import (
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/sctp"
)

// ChannelStats are the SCTP associations of an engine together.
type ChannelStats struct {
	PacketsSent, PacketsReceived uint64
	BytesSent, BytesReceived     uint64 // user data, each once
	Retransmissions              uint64 // chunks
	Timeouts                     uint64

	// Now: how many there are, and sums over them, as of the last packets of each.
	Associations int
	SRTT         time.Duration
	CWND         int // congestion windows, bytes
	PeerWindow   int // what the peers would take, bytes
	MTU          int // bytes
}

// channelCounters are a shard's. The first six only grow.
type channelCounters struct {
	sums [numChannelSums]atomic.Uint64
}

const numChannelSums = 11

// channelSums are an association's part of the counters. What is not a count
// may fall, and the sum wraps around with it.
func channelSums(s *sctp.Stats) [numChannelSums]uint64 {
	return [numChannelSums]uint64{
		s.PacketsSent, s.PacketsReceived, s.BytesSent, s.BytesReceived, s.Retransmissions, s.Timeouts,
		1, uint64(s.SRTT), uint64(s.CWND), uint64(s.PeerWindow), uint64(s.MTU),
	}
}

// countInterval is how old what a shard tells of an association may be while
// it works: its snapshot is not free.
const countInterval = 100 * time.Millisecond

// tally brings the shard's counters up to date with the association.
func (c *channels) tally(s *Shard) {
	st := c.c.Stats()
	sums := channelSums(&st)
	for i, n := range sums {
		bump(&s.count.channels.sums[i], int(n-c.tallied[i]))
	}
	c.tallied = sums
}

// untally takes the association's part off what counts those there are.
func (c *channels) untally(s *Shard) {
	c.tally(s)
	for i := 6; i < numChannelSums; i++ {
		bump(&s.count.channels.sums[i], -int(c.tallied[i]))
	}
}

func (c *channelCounters) addTo(st *ChannelStats) {
	n := func(i int) uint64 { return c.sums[i].Load() }
	st.PacketsSent += n(0)
	st.PacketsReceived += n(1)
	st.BytesSent += n(2)
	st.BytesReceived += n(3)
	st.Retransmissions += n(4)
	st.Timeouts += n(5)
	st.Associations += int(n(6))
	st.SRTT += time.Duration(n(7))
	st.CWND += int(n(8))
	st.PeerWindow += int(n(9))
	st.MTU += int(n(10))
}
