package dataplane

import "sync/atomic"

// Drop is why a packet went no further.
type Drop uint8

// The causes.
const (
	DropTruncated    Drop = iota // longer than a cell, or empty
	DropUnknownClass             // no first byte of RFC 7983
	DropUnknownAddr              // not STUN, from an address that no check has validated
	DropNoKeys                   // media before the handshake is done
	DropAuth                     // SRTP or SRTCP authentication failed
	DropReplay                   // seen before, or older than the window
	DropFormat                   // authentic, yet no well-formed RTP or RTCP
	DropUnknownSSRC              // no stream claims this SSRC
	DropStreamLimit              // a transport's limit of streams
	DropTooLarge                 // larger than any path takes
	DropCtlFull                  // the ctl lane is behind
	DropHandover                 // the other shard is behind, or no cell is free
	DropRecord                   // DTLS record that does not open
	DropNoChannels               // application data, but no data channels were negotiated
	DropProtect                  // encryption refused: key limit or size
	DropSend                     // the kernel did not take it
	DropRTXBudget                // a retransmission beyond the receiver's budget
	DropPaused                   // no consent to send
	DropTap                      // an application's queue of packets to read is full
	numDrops
)

var dropNames = [numDrops]string{
	"truncated", "unknown_class", "unknown_address", "no_keys", "auth", "replay", "format",
	"unknown_ssrc", "stream_limit", "too_large", "ctl_full", "handover", "record",
	"no_channels", "protect", "send", "rtx_budget", "paused", "tap",
}

func (d Drop) String() string { return dropNames[d] }

// counters of a shard: written by its data lane, read by anyone.
type counters struct {
	drops                   [numDrops]atomic.Uint64
	rtpIn, rtcpIn           atomic.Uint64
	rtpOut, rtcpOut         atomic.Uint64
	rtpInBytes, rtpOutBytes atomic.Uint64
	nacked, retransmitted   atomic.Uint64
	keyframeRequests        atomic.Uint64
	handedOver              atomic.Uint64
	burstWaits, burstGains  atomic.Uint64
	padded                  atomic.Uint64
	panics                  atomic.Uint64
	channels                channelCounters
	transports, takeovers   atomic.Uint64
}

// bump adds without the bus lock of an atomic addition: the counter has one
// writer.
func bump(c *atomic.Uint64, n int) { c.Store(c.Load() + uint64(n)) }

func (s *Shard) drop(d Drop) { bump(&s.count.drops[d], 1) }
