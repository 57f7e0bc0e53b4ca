package sctp

import (
	"crypto/rand"
	"io"
	"time"
)

// Config of an association. The zero value works.
type Config struct {
	LocalPort  uint16 // 0: 5000
	RemotePort uint16 // 0: 5000

	// MTU is the largest SCTP packet Transmit writes, in bytes, 512 to 65532;
	// IP, UDP and DTLS are already subtracted. It is rounded down to a multiple
	// of 4. 0: DefaultMTU.
	MTU int
	// MaxMTU is how long packets may become where probes show that the path
	// carries them (RFC 8899): at most what the buffers given to Transmit hold.
	// The layer below must not let IP fragment them (RFC 8261 §5). 0:
	// DefaultMaxMTU; below MTU: no probes.
	MaxMTU int
	// MaxMessageSize bounds a received message, in bytes. 0: 262144.
	MaxMessageSize int
	// MaxPartsSize bounds a received message of which the parts are reported as
	// they come (SetParts), in bytes. 0: no limit.
	MaxPartsSize int
	// ReadParts has the ordered messages of all streams reported in parts, from
	// their first on: SetParts before anything has come.
	ReadParts bool
	// MaxSendMessageSize bounds a sent message: what the peer announced as
	// a=max-message-size. 0: 262144. SetMaxSendMessageSize changes it.
	MaxSendMessageSize int
	// MaxReceiveBuffer is the receive window (a_rwnd) to begin with, in bytes,
	// raised to MaxMessageSize + 64 KiB if less, so that any message fits.
	// 0: 1 MiB, with a Budget
	// 128 KiB.
	MaxReceiveBuffer int
	// MaxReceiveMemory is what the window may grow to while the application
	// consumes what arrives; at least MaxReceiveBuffer. 0: 16 MiB.
	MaxReceiveMemory int
	// MaxSendBuffer bounds what is written and unacknowledged. 0: 16 MiB.
	MaxSendBuffer int
	// Budget is memory shared with other associations: what the window grows
	// by, and what is held to be sent beyond the first 256 KiB. nil: none, and
	// the limits above are each association's own.
	Budget *Budget
	// MaxStreams bounds the streams of each direction. 0: 65535.
	MaxStreams uint16

	// DTLS says that packets go into DTLS, which detects every error:
	// checksums are left out if the peer agrees (RFC 9653). NewChannels sets it.
	DTLS bool
	// Interleave offers I-DATA (RFC 8260), so that a large message does not
	// hold up those of other streams. A peer without it gets DATA.
	Interleave bool
	// Scheduler is who sends next. 0: WeightedFair.
	Scheduler Scheduler

	// ServeReconfig lets the peer ask to have our outgoing streams reset or
	// their number raised (RFC 6525 §5.2.3, §5.2.6). Data channels have no use
	// for either; otherwise it is denied.
	ServeReconfig bool

	// Congestion is how the window grows and shrinks. 0: Cubic.
	Congestion Congestion
	// Flows is against others as how many TCP flows the association competes for
	// a path, as a page that opens so many connections does: with a loss on a long
	// path the rate is about that many times one flow's. 0: 1; at most 8. Take
	// more than one only on paths which are not shared with strangers.
	Flows int

	RTOInitial time.Duration // 0: 1 s
	RTOMin     time.Duration // 0: 400 ms
	RTOMax     time.Duration // 0: 10 s

	HeartbeatInterval time.Duration // 0: 30 s; negative: no heartbeats
	SackDelay         time.Duration // 0: 200 ms; at most 500 ms
	CookieLife        time.Duration // 0: 60 s

	// MaxRetransmits is how many consecutive timeouts or unanswered heartbeats
	// end the association (Association.Max.Retrans). 0: 10.
	MaxRetransmits int
	// MaxInitRetransmits is the same for INIT and COOKIE ECHO. 0: 8.
	MaxInitRetransmits int

	// Rand is where tags, TSNs and the cookie's key come from.
	// nil: crypto/rand.
	Rand io.Reader
}

func (c Config) withDefaults() Config {
	or := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	ord := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if c.LocalPort == 0 {
		c.LocalPort = 5000
	}
	if c.RemotePort == 0 {
		c.RemotePort = 5000
	}
	or(&c.MTU, DefaultMTU)
	c.MTU = min(max(c.MTU, minMTU), maxMTU) &^ 3
	if c.MaxMTU == 0 {
		c.MaxMTU = DefaultMaxMTU
	}
	c.MaxMTU = min(max(c.MaxMTU, c.MTU), maxMTU) &^ 3
	or(&c.MaxMessageSize, DefaultMaxMessageSize)
	or(&c.MaxSendMessageSize, DefaultMaxMessageSize)
	if c.Budget != nil {
		or(&c.MaxReceiveBuffer, sharedReceiveBuffer)
	}
	or(&c.MaxReceiveBuffer, DefaultMaxReceiveBuffer)
	c.MaxMessageSize = min(c.MaxMessageSize, 1<<30)
	c.MaxReceiveBuffer = min(max(c.MaxReceiveBuffer, c.MaxMessageSize+64<<10), 1<<31-1)
	or(&c.MaxReceiveMemory, DefaultMaxReceiveMemory)
	c.MaxReceiveMemory = min(max(c.MaxReceiveMemory, c.MaxReceiveBuffer), 1<<31-1)
	or(&c.MaxSendBuffer, DefaultMaxSendBuffer)
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	ord(&c.RTOInitial, defaultRTOInitial)
	ord(&c.RTOMin, defaultRTOMin)
	ord(&c.RTOMax, defaultRTOMax)
	c.RTOMax = max(c.RTOMax, c.RTOMin)
	ord(&c.HeartbeatInterval, defaultHeartbeat)
	ord(&c.SackDelay, defaultSackDelay)
	c.SackDelay = min(c.SackDelay, maxSackDelay)
	ord(&c.CookieLife, defaultCookieLife)
	or(&c.MaxRetransmits, defaultMaxRetransmits)
	or(&c.MaxInitRetransmits, defaultInitRetransmits)
	c.Flows = min(max(c.Flows, 1), maxFlows)
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}

// Congestion is an algorithm of congestion control. All have the slow start of
// RFC 9406 and the loss detection of RFC 8985.
type Congestion uint8

const (
	// Cubic is RFC 9438, as in TCP and QUIC stacks of today.
	Cubic Congestion = iota
	// NewReno is RFC 9260 §7.2.
	NewReno
)

// Scheduler chooses among streams which have something to send: after each
// message, or with Interleave after each packet (RFC 8260 §3).
type Scheduler uint8

const (
	// WeightedFair shares by SetPriority's weights (§3.6).
	WeightedFair Scheduler = iota
	// RoundRobin takes streams in turn (§3.2, §3.3).
	RoundRobin
	// Priority sends what has the greatest weight first, and takes streams of
	// equal weight in turn (§3.4).
	Priority
)

// Reliability is how hard an association tries to deliver a message.
type Reliability uint8

const (
	// Reliable messages are retransmitted until they arrive.
	Reliable Reliability = iota
	// Rexmit messages are given up after SendOptions.Value retransmissions
	// (RFC 7496 §3.1, limited retransmissions; maxRetransmits of W3C).
	Rexmit
	// Timed messages are not sent any more once SendOptions.Value milliseconds
	// have passed since Write (RFC 3758 §4.1; maxPacketLifeTime of W3C).
	Timed
	// Prioritized messages are given up when a Prioritized message of a lesser
	// SendOptions.Value is written and the send buffer is full (RFC 7496 §3.3).
	Prioritized
)

// SendOptions of one message. The zero value is ordered and reliable.
type SendOptions struct {
	Unordered   bool
	Reliability Reliability
	Value       uint32 // retransmissions, milliseconds, or priority: 0 matters most
}
