package ice

import (
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"time"
)

// Config of an Agent. The zero value works: a full, controlled agent with
// generated credentials, which learns its local addresses from the packets
// that arrive. It is read once by New.
type Config struct {
	Role Role // zero: Controlled; a wrong guess is repaired by RFC 8445 §7.3.1.1
	Lite bool // answer checks, send none; always Controlled (RFC 8445 §6.1.1)

	// LocalUfrag (4 to 128 ice-chars) and LocalPwd (22 to 256) are generated
	// where empty. A generated ufrag begins with UfragPrefix (0 to 64 ice-chars).
	LocalUfrag, LocalPwd string
	UfragPrefix          string

	// Hosts are the local bases, most preferred first. An unspecified address
	// is a base that gives no candidate of its own.
	Hosts []netip.AddrPort
	// Announced addresses take the place of the host candidates' addresses of
	// their family, ports kept: we are behind a 1:1 NAT.
	Announced []netip.Addr
	// STUNServers tell our server-reflexive addresses.
	STUNServers []netip.AddrPort

	// Carry lets checks carry the datagrams of a handshake (DTLS in STUN,
	// draft-hancke-webrtc-sped). Until the peer's first message has said whether
	// it understands, what is carried is an attribute that others ignore.
	// See Agent.Carry.
	Carry bool

	// Rand is the source of credentials, transaction ids, tiebreaker and
	// jitter. Nil: crypto/rand.
	Rand io.Reader

	// Durations; zero means the default.
	Ta                  time.Duration // 50 ms between new transactions on average, at least 5 ms (RFC 8445 §14.2)
	RTO                 time.Duration // 500 ms, first retransmission (RFC 8445 §14.3)
	GatherTimeout       time.Duration // 5 s for the STUN servers to answer
	ConsentInterval     time.Duration // 5 s, times 0.8 to 1.2; at least 5 s (RFC 7675 §5.1)
	ConsentExpiry       time.Duration // 30 s (RFC 7675 §5.1)
	DisconnectedTimeout time.Duration // 7 s without a sign of life
	FailedTimeout       time.Duration // 39.5 s without a pair, from the peer's last new candidate (RFC 8863 §4)
	Keepalive           time.Duration // 15 s, of server-reflexive mappings (RFC 8445 §11)

	// MaxRequests is how often a check is sent at most. Zero: 7 (RFC 8489 §6.2.1).
	MaxRequests int

	// How long the controlling agent waits, once a pair works, for pairs of
	// higher priority still being checked, by the type of its remote
	// candidate. Zero: the default; negative: not at all.
	AcceptReflexive time.Duration // 50 ms for srflx and prflx; host never waits
	AcceptRelay     time.Duration // 200 ms
}

// Errors of New and of the methods which a user calls.
var (
	ErrCredentials  = errors.New("ice: credentials too short, too long, or not made of ice-chars")
	ErrTooMany      = errors.New("ice: more addresses or candidates than the limit")
	ErrAddress      = errors.New("ice: address invalid, multicast, unspecified or without port")
	ErrClosed       = errors.New("ice: agent is closed")
	ErrNeedsRestart = errors.New("ice: new remote credentials need a Restart first")
	ErrStale        = errors.New("ice: candidate of another generation of credentials")
	ErrConfig       = errors.New("ice: configuration out of range")
)

// Validate reports what New would refuse about anything but the addresses and
// the credentials.
func (c Config) Validate() error { return c.defaults() }

func (c *Config) defaults() error {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
		min time.Duration
	}{
		{&c.Ta, 50 * time.Millisecond, minTa},
		{&c.RTO, 500 * time.Millisecond, minTa},
		{&c.GatherTimeout, 5 * time.Second, 1},
		{&c.ConsentInterval, 5 * time.Second, 5 * time.Second},
		{&c.ConsentExpiry, 30 * time.Second, 1},
		{&c.DisconnectedTimeout, 7 * time.Second, 1},
		{&c.FailedTimeout, 39500 * time.Millisecond, 1},
		{&c.Keepalive, 15 * time.Second, time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < d.min {
			return ErrConfig
		}
	}
	for v, def := range map[*time.Duration]time.Duration{
		&c.AcceptReflexive: 50 * time.Millisecond, &c.AcceptRelay: 200 * time.Millisecond,
	} {
		if *v == 0 {
			*v = def
		}
		*v = max(*v, 0)
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 7
	}
	if c.MaxRequests < 0 || c.Role > Controlling {
		return ErrConfig
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Lite {
		c.Role = Controlled
	}
	if len(c.Hosts) > MaxHosts || len(c.Announced) > MaxHosts || len(c.STUNServers) > MaxSTUNServers {
		return ErrTooMany
	}
	if len(c.UfragPrefix) > maxPrefix || !iceChars(c.UfragPrefix) {
		return ErrCredentials
	}
	return nil
}
