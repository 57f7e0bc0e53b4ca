package dataplane

import "time"

// Sizes of memory and queues. Each bound names what happens beyond it.
const (
	// A cell holds one received datagram. 2048 - 64 - 160 leaves 1824 bytes,
	// more than an Ethernet frame; a longer datagram is counted as truncated
	// and dropped. The tailroom is where vector code may overshoot.
	cellSize     = 2048
	cellHeadroom = 64
	cellTailroom = 160

	// inBatch is how many datagrams one read takes.
	inBatch = 64

	// slabCells: the batch being read, and what other shards may hold of
	// earlier ones. With none free, a packet is not handed over, and counted.
	slabCells = inBatch + 1024

	// gatherPackets bounds the packets of one shard that wait for the rest of
	// their frame, of slabCells. Beyond it bursts leave as they are.
	gatherPackets = 256

	// gatherEnough is the burst that gains nothing by waiting, gatherLegs the
	// receivers of a stream, and gatherRate the packets a shard sends per second
	// (some 3 % of a core, and 15 streams of 2.5 Mb/s), from which it does.
	gatherEnough = 16
	gatherLegs   = 4
	gatherRate   = 4000

	// gatherVain: after six waits in vain or more, one burst in 64 waits.
	gatherVain = 6

	// channelMemory is Config.MaxChannelMemory's default.
	channelMemory = 256 << 20

	// handoverRing bounds what one shard has not yet taken from another.
	// Beyond it packets are dropped and counted.
	handoverRing = 1024

	// ctlKnownRing and ctlUnknownRing bound the packets between the data lane
	// and the ctl lane, from addresses that belong to a transport and from
	// others. Beyond them packets are dropped and counted, so that a flood
	// cannot delay media, nor strangers delay peers.
	ctlKnownRing   = 256
	ctlUnknownRing = 128

	// ctlHandshakeRing bounds the datagrams of DTLS handshakes that wait, apart
	// from what keeps sessions alive; ctlHandshakeTurn is how many are taken before
	// that is looked at again: each may cost half a millisecond.
	ctlHandshakeRing = 256
	ctlHandshakeTurn = 2

	// maxHandshakes is how many handshakes a lane has under way at once. Others
	// wait: at 0.4 ms each, those under way are served within 0.2 s, before they
	// repeat what they said.
	maxHandshakes = 512

	// ctlForwarded bounds the packets which wait on a ctl lane after another
	// lane passed them on. Beyond it they are dropped and counted.
	ctlForwarded = 1024

	// channelsEager is for how long after a packet of a data channel the socket
	// is not left to gather datagrams: one end waits for the other's answer.
	channelsEager = 2 * time.Millisecond

	// consumeMost bounds the bytes of messages which an application is done with
	// and the association need not know, to be told with the next packet instead
	// of waking the data lane: at most an eighth of the window, which opens by a
	// quarter at a time. consumeCost is what a message counts for beside its
	// bytes, as it does in the window.
	consumeMost = 16 << 10
	consumeCost = 64

	// outboxTurn is how many messages of one transport the data lane takes from
	// the application before it looks at others.
	outboxTurn = 1024

	// ctlTurn is how many packets from strangers the ctl lane takes before it
	// looks at its other work again.
	ctlTurn = 32

	// ctlTimers is how many timers the ctl lane serves before it lets others have
	// the processor: half a millisecond's worth.
	ctlTimers = 64

	// maxTransactions bounds the STUN requests of one age whose responses are
	// awaited; beyond it the age ends early and the oldest are forgotten.
	maxTransactions = 1 << 16

	// The arena holds the encrypted packets of one flush; half a megabyte
	// stays in the second-level cache. A fuller one is flushed earlier.
	arenaSize = 512 << 10
	// outMessages bounds the messages, outPackets the packets, of one flush.
	outMessages = 256
	outPackets  = 512

	// maxRunSegments and maxRunBytes bound one segmented message: what every
	// kernel since 4.18 accepts (UDP_MAX_SEGMENTS 64, a payload of 65507).
	maxRunSegments = 64
	maxRunBytes    = 65000

	// maxPacket is the largest RTP packet that is forwarded: with the SRTP
	// tag, two extensions more and an RTX header it still fits a cell.
	maxPacket = 1600

	// rewriteRoom is what a packet may grow by on its way to a leg: the header
	// with its extensions in two-byte form, SRTP tag and RTX header.
	rewriteRoom = 320

	// maxRTCP bounds a packet of reports; srSize is a sender report of it.
	maxRTCP = 1200
	srSize  = 28

	// maxAddrs bounds the addresses of one transport, as an ICE agent keeps 64
	// remote candidates. Beyond it the oldest but the one in use is forgotten:
	// its next check makes it known again.
	maxAddrs = 64

	// maxStreams bounds the inbound streams of a transport, unsignalled
	// layers and RTX streams counted. An SSRC beyond it is dropped, counted.
	maxStreams = 64

	// maxMissing bounds the sequence numbers that a stream waits for; a
	// larger gap starts the list anew and asks for a key frame.
	maxMissing = 256

	// cacheVideo and cacheAudio are the packets kept for retransmission, as long as
	// their mean length is not beyond cacheVideoMean and cacheAudioMean; else they
	// are fewer. At 2.5 Mb/s 1024 packets are four seconds, and 1.2 MB; 256 of
	// audio are five, and 80 KB.
	cacheVideo, cacheVideoMean = 1024, 1200
	cacheAudio, cacheAudioMean = 256, 320

	// rtxBudget bounds what one leg may be sent again, in packets per second,
	// beside a quarter of what it was sent in that second (class 44).
	rtxBudget = 200
)

// sampleTurns is of how many turns one is measured, stage by stage: some ten
// readings of the clock each, spread over as many turns as make them nothing.
const sampleTurns = 64

// Times.
const (
	// transactionAge is longer than any STUN transaction retransmits, 39.5 s
	// (RFC 8489 §6.2.1).
	transactionAge = 40 * time.Second
	// reportInterval is the distance of sender and receiver reports, the
	// fixed minimum of RFC 3550 §6.2 made five times shorter, as RFC 4585
	// §3.4 allows in the AVPF profile.
	reportInterval = time.Second
	// reportTick is the grid on which reports are sent. A transport's place on
	// it is where its keys arrived, which spreads transports as RFC 3550 §6.2
	// asks.
	reportTick = 50 * time.Millisecond
	// keyInterval is the distance of requests for new keys.
	keyInterval = time.Second
	// twccInterval is the distance of transport-wide feedback while packets
	// arrive: one report every 50 ms keeps the sender's delay estimate alive.
	twccInterval = 50 * time.Millisecond
	// nackInterval is the least distance of two looks at what is missing.
	nackInterval = 20 * time.Millisecond
	// nackTries and nackAge end the wait for a lost packet.
	nackTries = 10
	nackAge   = time.Second
	// keyframeInterval coalesces key-frame requests of many receivers.
	keyframeInterval = 500 * time.Millisecond
	// handshakeTurn is for how long a handshake has a place among maxHandshakes: a
	// live one over a bad path takes less.
	handshakeTurn = 5 * time.Second
	// gatherDelay is MaxBurstDelay's default, gatherWindow that over which a
	// shard's load is taken.
	gatherDelay  = time.Millisecond
	gatherWindow = 100 * time.Millisecond
	// defaultRTT is assumed until the control plane tells a measured one.
	defaultRTT = 100 * time.Millisecond
)
