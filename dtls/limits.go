package dtls

import "time"

// Limits. Each says what happens beyond it.
const (
	// DefaultMTU is the largest datagram Transmit emits when Config.MTU is 0:
	// 1280 (IPv6 minimum link) - 40 - 8 - 32 of room for TURN framing.
	DefaultMTU = 1200

	// minMTU and maxMTU bound Config.MTU; New refuses values outside.
	minMTU = 256
	maxMTU = 1 << 14

	// defaultFlightInterval is the first retransmission interval; it doubles up
	// to maxFlightInterval, or if it is a second at first, as RFC 6347 §4.2.4.1 has
	// it, up to slowFlightInterval. See Config.FlightInterval.
	defaultFlightInterval = 250 * time.Millisecond
	maxFlightInterval     = 4 * time.Second
	slowFlightInterval    = 60 * time.Second

	// defaultHandshakeTimeout ends a handshake which has not reached Connected.
	defaultHandshakeTimeout = 30 * time.Second

	// lastFlightLinger is how long the server answers a repeated flight 5 after
	// its handshake: twice the MSL of TCP (RFC 6347 §4.2.4). Afterwards such
	// repetitions are ignored.
	lastFlightLinger = 240 * time.Second

	// alertGrace is how long a handshake has to make progress after a plaintext
	// alert, which anybody can forge, before the alert is believed.
	alertGrace = 2 * time.Second

	// warnInterval separates two no_renegotiation warnings. Requests in between
	// are ignored.
	warnInterval = time.Second

	// maxAlerts bounds the alerts waiting to be sent.
	maxAlerts = 4

	// maxMessage is the longest handshake message accepted: a chain of four
	// certificates of 4096-bit RSA is about 8 KiB. Longer ones are dropped.
	maxMessage = 16 << 10

	// maxReassembly bounds the bytes buffered for incomplete and future
	// messages of one peer: one message of the longest kind and as much for
	// those behind it. Beyond, the message furthest ahead is forgotten.
	maxReassembly = 2 * maxMessage

	// reassemblyWindow is how many messages, the expected one included, may be
	// in reassembly. The longest flight has five (RFC 6347 §4.2.4). Messages
	// further ahead are dropped.
	reassemblyWindow = 8

	// maxEarlyRecords and maxEarlyBytes bound the epoch-1 records kept until
	// they can be opened, and the application data kept until hand-over. What
	// comes beyond is dropped, as if lost.
	maxEarlyRecords = 8
	maxEarlyBytes   = 12 << 10

	// maxBeliefs is how many ServerHellos of DTLS 1.3 are held for possible until a
	// record opens with the keys of one. Further ones are dropped.
	maxBeliefs = 4

	// maxDoubts is how often a server of DTLS 1.3 repeats its hello, and records that
	// do not open, before a client believes that nothing ever will.
	maxDoubts = 3

	// maxHelloVerify is how many HelloVerifyRequests a client obeys and how many
	// cookie rounds a server allows. Further ones are dropped.
	maxHelloVerify = 3

	// maxCertificates is the longest peer chain; only the leaf is used. Longer
	// ones fail the handshake with decode_error.
	maxCertificates = 10

	// maxRSABits bounds the work of verifying a peer's RSA signature.
	maxRSABits = 8192
	minRSABits = 2048

	// maxExtensions is the most extensions in one hello (Chromium sends 18).
	maxExtensions = 128

	// maxShares is the most key shares in one hello (browsers send three, one of
	// them GREASE).
	maxShares = 16

	// maxACK is how many record numbers are remembered to be acknowledged; the
	// oldest are forgotten, which costs the peer a retransmission.
	maxACK = 32

	// maxSent is how many records are remembered to be acknowledged by the peer;
	// the oldest are forgotten, which costs us a retransmission.
	maxSent = 256

	// maxFragment is the longest plaintext of a record (RFC 6347 §4.1).
	maxFragment = 1 << 14

	// maxMessageSeq is the message_seq after which we send no more messages, for it
	// does not wrap (RFC 9147 §5.2): keys and connection IDs stay as they are.
	maxMessageSeq = 1<<16 - 1

	// maxSequence is the last sequence number of an epoch (RFC 6347 §4.1). Seal
	// refuses to go beyond.
	maxSequence = 1<<48 - 1

	// maxSealBlocks is the confidentiality limit of AES-GCM: 2^24.5 records of
	// 2^10 blocks keep an attacker's advantage under 2^-60 (RFC 8446 §5.5,
	// RFC 9147 §4.5.3), 362 GiB. Seal refuses to go beyond.
	maxSealBlocks = 24_296_003_999

	// maxForgeries is the integrity limit of AES-GCM (RFC 9147 §4.5.3). Open
	// refuses to go beyond.
	maxForgeries = 1 << 36

	// maxConnectionID is the longest connection ID we ask for. The peer's may have
	// the 255 bytes there can be (RFC 9146 §3).
	maxConnectionID = 32

	// maxConnectionIDs is how many connection IDs of ours the peer may use at a
	// time; the oldest goes for a new one.
	maxConnectionIDs = 8

	// maxSpareIDs is how many unused connection IDs of the peer's are kept. More
	// are dropped (RFC 9147 §9).
	maxSpareIDs = 8

	// maxChallenges is how often an address is asked before it counts as out of
	// reach.
	maxChallenges = 3

	// maxPathMessages bounds the answers to path challenges that wait to be sent.
	maxPathMessages = 4

	// minRecordSize is the smallest record_size_limit (RFC 8449 §4).
	minRecordSize = 64

	// maxALPN is the longest list of application protocols, in bytes, that New
	// takes.
	maxALPN = 1 << 10

	// maxExport is the longest ExportKeyingMaterial answers.
	maxExport = 1 << 12
)

// minFragment is the shortest fragment worth starting behind other records.
const minFragment = 48
