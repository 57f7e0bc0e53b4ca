package sctp

import "time"

// Bounds on what a peer or an application can make an association hold or do.
const (
	// DefaultMTU is the largest SCTP packet sent: IPv6's least MTU of 1280
	// bytes (RFC 8831 §5) less IPv6 (40), UDP (8), a DTLS record (37) and a
	// TURN indication (36), rounded down. Larger messages are fragmented.
	DefaultMTU = 1150
	// DefaultMaxMTU is what probes look for: Ethernet's 1500 bytes less IPv6
	// (40), UDP (8), a DTLS record (37) and a TURN channel's header (4), rounded
	// down.
	DefaultMaxMTU = 1408
	// probeStep is the precision of the search, in bytes: less is not worth a
	// probe.
	probeStep = 16
	// maxProbes is how often a probe is sent before it counts as lost (RFC 8899
	// §5.1.2).
	maxProbes = 3
	// minProbeTimer is the least of PROBE_TIMER, raiseInterval PMTU_RAISE_TIMER
	// (RFC 8899 §5.1.1). After a black hole, and nothing left to search below it,
	// blackHolePause goes by.
	minProbeTimer  = time.Second
	raiseInterval  = 10 * time.Minute
	blackHolePause = time.Minute
	// A path that no longer carries long packets shows by suspectTimeouts
	// without an acknowledgment between them, or by a chunk which was sent more
	// than suspectSends times.
	suspectTimeouts = 2
	suspectSends    = 5

	// minMTU holds all control chunks which are sent whole. A smaller
	// Config.MTU is raised to it.
	minMTU = 512
	// maxMTU keeps a fragment's length within the 16 bits of a chunk.
	maxMTU = 65532

	// DefaultMaxMessageSize bounds one message, both ways. Beyond it Write
	// fails, and a peer which sends such a message is aborted.
	DefaultMaxMessageSize = 256 << 10
	// DefaultMaxReceiveBuffer is the receive window. A peer which overruns it
	// loses what does not fit; what fills a gap may use as much again, since
	// it was already on its way when the window was advertised.
	DefaultMaxReceiveBuffer = 1 << 20
	// DefaultMaxReceiveMemory is what the window grows to for an application
	// which keeps up: 1.3 Gb/s at 100 ms. One which stops keeping up holds no
	// more than was advertised.
	DefaultMaxReceiveMemory = 16 << 20
	// DefaultMaxSendBuffer bounds what Write has accepted and the peer has not
	// acknowledged, plus messageCost for each message.
	DefaultMaxSendBuffer = 16 << 20
	// sharedReceiveBuffer takes the place of DefaultMaxReceiveBuffer where a
	// Budget lets windows grow: it is there for every association.
	sharedReceiveBuffer = 128 << 10
	// sendFloor is what an association with a Budget may hold to be sent,
	// whatever others do.
	sendFloor = 256 << 10
	// idleReclaim, and four round trips, is how long a window beyond the floor
	// may go unused before it is taken back.
	idleReclaim = 2 * time.Second
	// DefaultMaxStreams is all of them: 0 to 65534. RFC 8831 §6.2 reserves
	// 65535. State exists only for streams in use; about 100 bytes each.
	DefaultMaxStreams = 65535

	// entrySize is what a buffered fragment or message costs at least in the
	// receive window, so that tiny ones cannot cost many times the window:
	// MaxReceiveBuffer/entrySize of them close it.
	entrySize = 64
	// messageCost is the bookkeeping of one queued message, which counts
	// against MaxSendBuffer.
	messageCost = 128

	// maxFreeMessages and maxFreeBytes bound the buffers kept for the next
	// messages; an association which is idle gives them back.
	maxFreeMessages = 256
	maxFreeBytes    = 512 << 10

	// maxFreeRuns bounds what is kept of messages being put together.
	maxFreeRuns = 64

	// maxOutstanding bounds the DATA chunks sent and not acknowledged: half of
	// what the 16-bit offset of a gap block can name. More wait in the queue.
	maxOutstanding = 1 << 15
	// maxSpan is how far above the cumulative TSN a chunk may lie: what a gap
	// block can name. Beyond it the chunk is dropped.
	maxSpan = 1<<16 - 1
	// maxRanges bounds the runs of TSNs received above the cumulative TSN. A
	// chunk which would make another is dropped.
	maxRanges = 1024
	// maxDuplicates bounds the duplicate TSNs reported in one SACK; others are
	// not reported.
	maxDuplicates = 16

	// maxOutbox bounds whole packets waiting for Transmit (INIT ACK, ABORT,
	// ...). Further ones are dropped and counted; the peer repeats itself.
	maxOutbox = 8
	// maxControl bounds control chunks waiting to be bundled, likewise.
	maxControl = 16
	// maxEcho bounds the bytes of a peer's own input which are sent back to it
	// in one packet: unknown chunks and parameters, heartbeats excepted, which
	// are bounded by the MTU. Longer ones are cut or left out.
	maxEcho = 256
	// maxInitText bounds an INIT in a session description: one with every
	// parameter known has some 90 characters. A longer one is refused.
	maxInitText = 2048
	// maxReason bounds the text of an ABORT.
	maxReason = 128

	// maxBurst bounds the data, in bytes, that one Transmit drain lets go at
	// once however high the rate: half of the smallest receive buffer met in
	// the field, Linux' default of 212,992 bytes counted at 2304 for each full
	// packet. At lower rates it is what the rate moves in paceSpan, and at least
	// ten packets; the rest follows in runs of up to runPackets, a number that
	// segmentation offload makes one message of.
	maxBurst   = 48 << 10
	paceSpan   = 2 * time.Millisecond
	runPackets = 16
	// minPause is the shortest wait for which it is worth setting a timer.
	minPause = 250 * time.Microsecond
	// minProbe is the shortest wait before a tail loss probe: a peer that reads
	// its socket every few milliseconds is not to be probed all the time.
	minProbe = 10 * time.Millisecond
	// maxFlows bounds Config.Flows, which asks for more than a flow's share.
	maxFlows = 8
	// nominalSegment is the growth of the window where a TCP's grows by a
	// packet: with packets 1150 bytes long for the sake of tunnels, the rate at
	// a given loss would otherwise be less than that of a TCP on the same path
	// (compare RFC 4828 §3).
	nominalSegment = 1460

	// maxResetRequest bounds the streams in one request. Others wait for the
	// next one.
	maxResetRequest = 200

	// staleAnswers is how often a peer may say that it is at a reset when it has
	// acknowledged everything before it; then the request gets another number.
	staleAnswers = 3

	// maxRequests bounds the requests of RFC 6525 other than outgoing resets
	// which wait for their turn.
	maxRequests = 8

	// maxRemoteNames bounds the labels and protocols of all channels which the
	// peer has opened, in bytes. Beyond it a new channel is refused.
	maxRemoteNames = 4 << 20
	// maxName is what DCEP can carry in a label or a protocol.
	maxName = 65535
)

// Protocol parameters, RFC 9260 §16, where Config does not say otherwise.
const (
	// Deviates: RFC 9260 §16 has RTO.Min 1 s and RTO.Max 60 s, for the internet
	// of 2000. 400 ms is twice the longest SACK delay; ICE consent (RFC 7675)
	// gives a path up after 30 s, so that longer pauses than 10 s only delay
	// the recovery from a blackout.
	defaultRTOInitial = time.Second
	defaultRTOMin     = 400 * time.Millisecond
	defaultRTOMax     = 10 * time.Second

	defaultHeartbeat       = 30 * time.Second
	defaultMaxRetransmits  = 10
	defaultInitRetransmits = 8
	defaultCookieLife      = 60 * time.Second
	defaultSackDelay       = 200 * time.Millisecond
	maxSackDelay           = 500 * time.Millisecond // RFC 9260 §6.2
)
