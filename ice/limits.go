package ice

import "time"

// What a peer, an attacker or a user can make an Agent keep is bounded here.
const (
	// MaxPacket is the size of the largest message we build and the least
	// buffer for Transmit: header 20, USERNAME 4+388 (128+1+256 padded), PRIORITY 8,
	// role 12, USE-CANDIDATE 4, MESSAGE-INTEGRITY 24, FINGERPRINT 8 = 468,
	// rounded up. A message that does not fit is dropped and counted.
	MaxPacket = 512

	// MaxCarryPacket is the size of the largest message with Config.Carry: what
	// DTLS takes for the path of (dtls.DefaultMTU).
	MaxCarryPacket = 1200

	// MaxCarryFlight is how many datagrams of a flight are carried. The longest
	// flight, a server's of DTLS 1.3 with post-quantum keys and a certificate of
	// RSA, has four. The owner sends the others when it has a path.
	MaxCarryFlight = 8

	// MaxBlind is how many bytes are carried to where nobody has shown to receive
	// them, over all pairs: some twenty checks. An authentic request gives back
	// three times its length. Beyond it checks carry nothing there. It keeps who
	// names foreign addresses as candidates from getting them more than the checks
	// themselves are, which are 7 on each of 100 pairs.
	MaxBlind = 32 << 10

	// MaxIncoming is the longest STUN message looked at: four times our own,
	// to leave room for attributes we do not know. Longer ones give ErrTooLong.
	MaxIncoming = 2048

	// MaxHosts is how many local bases there can be. New and AddHost refuse
	// more; a base learned from a packet beyond it is mapped to another.
	MaxHosts = 32

	// MaxLocalCandidates is how many local candidates are kept: bases times
	// announced addresses or servers. More are left out.
	MaxLocalCandidates = 64

	// MaxSTUNServers is how many servers are asked; New refuses more.
	MaxSTUNServers = 8

	// MaxRemoteCandidates is how many remote candidates are kept. A signalled
	// one beyond it is refused; a peer-reflexive one evicts the oldest
	// peer-reflexive one that carries nothing, or is dropped.
	MaxRemoteCandidates = 64

	// MaxPairs is RFC 8445 §6.1.2.5's limit. Beyond it the pair of lowest
	// priority which carries nothing makes room.
	MaxPairs = 100

	// MaxTransactions is how many requests wait for answers: one a pair and
	// as many superseded ones, rounded up. Beyond it the oldest one which is
	// superseded, else the check itself, is given up.
	MaxTransactions = 256

	// MaxEarly is how many paths are remembered which sent authenticated
	// checks before the remote credentials were known. More are answered and
	// forgotten.
	MaxEarly = 16

	// MaxQueue is how many messages wait for Transmit: a batch of 64 packets,
	// each answered and followed by a check, twice. More are dropped and
	// counted.
	MaxQueue = 256

	// MaxEvents is how many events wait for Event. More are merged with the
	// last one of their kind if they tell a condition, else dropped and counted.
	MaxEvents = 256

	// How many slots of Ta a transaction may run ahead of the pacing, see
	// pace.go: those which guess, the triggered checks, of which each follows an
	// authentic request of the peer's, and those of pairs that have answered. So
	// many begin at once at most, and one each Ta after that: a peer, or who
	// replays what it signed, gets for a request one answer and one check, and
	// for a hundred at once, a hundred answers and 12 checks.
	burstNew       = 4
	burstTriggered = 12
	burstValid     = 16

	// MaxReplays is how many recent transaction ids of the peer are kept with
	// their source, so that a captured check cannot be replayed from elsewhere:
	// at one check every 2.5 s, 160 s.
	MaxReplays = 64

	// MaxCandidateLen is the longest candidate line parsed, and MaxExtensions
	// how many of its extension attributes are kept; the rest are left out.
	MaxCandidateLen = 1024
	MaxExtensions   = 16

	// Lengths of credentials in characters (RFC 8839 §5.4). Ours are shorter
	// at most, so that USERNAME stays below 509 bytes (RFC 8489 §14.3).
	minUfrag, minPwd = 4, 22
	maxUfrag, maxPwd = 256, 256
	maxLocalUfrag    = 128
	maxPrefix        = 64
	ufragRandom      = 8  // 48 bits, above RFC 8445 §5.3's 24
	pwdRandom        = 24 // 144 bits, above RFC 8445 §5.3's 128
	maxFoundation    = 32 // RFC 8839 §5.1
	maxHostName      = 253
	minTa            = 5 * time.Millisecond // RFC 8445 §14.2
	minRTT           = time.Microsecond
	lastWait         = 16               // Rm of RFC 8489 §6.2.1, in RTOs
	keepQueue        = 8                // entries of an empty queue which are not freed
	maxAcks          = 4                // datagrams acknowledged in one message, as the draft advises
	maxAcksRead      = 16               // of one message; the rest is not looked at
	maxHeard         = 16               // of the peer's datagrams; older ones would be taken for new
	endingCarry      = 10 * time.Second // for the last flight to be acknowledged
	consentSends     = 3                // of one consent request, see consent.go
	minClaim         = 2 * time.Second  // of silence before an aggressive peer may go lower, see nominate.go
	previousGrace    = 30 * time.Second // RFC 7675 §5.1: as long as consent may last
)
