package webrtc

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
)

// ICEServer is a STUN server: "stun:host:port". A host name is resolved by the
// system when gathering begins.
type ICEServer struct {
	URLs []string
}

// DTLSRole is the role taken when the peer leaves the choice (a=setup:actpass).
type DTLSRole uint8

// As DTLS server, the default, we choose the SRTP profile, and take the one
// that is cheapest to forward: AEAD_AES_128_GCM. As client the connection is
// up to a round trip sooner, and a browser chooses.
const (
	DTLSServer DTLSRole = iota
	DTLSClient
)

// Config configures a PeerConnection. The zero value works.
type Config struct {
	// Engine is the dataplane to use; nil means the process's own, with one
	// shard for each processor and one UDP port of the system's choice.
	Engine *dataplane.Engine
	// ICEServers are asked for our address as others see it.
	ICEServers []ICEServer
	// ICELite makes this side a lite agent (RFC 8445 §2.5), for servers with
	// an address that every peer can reach.
	ICELite bool
	// AnnouncedAddresses replace the host candidates' addresses of the same
	// family, where a 1:1 NAT or a container hides the machine.
	AnnouncedAddresses []netip.Addr
	// IncludeLoopback gathers loopback addresses too.
	IncludeLoopback bool
	// InterfaceFilter and AddressFilter say which interfaces and addresses
	// are gathered; nil takes all.
	InterfaceFilter func(name string) bool
	AddressFilter   func(addr netip.Addr) bool
	// ICETimers change the agent's timers; zero fields mean the defaults.
	ICETimers ICETimers
	// DTLSTimers change the handshake's; zero fields mean the defaults.
	DTLSTimers DTLSTimers
	// DTLSRole is taken when an offer leaves the choice.
	DTLSRole DTLSRole
	// DTLS bounds what the handshake negotiates.
	DTLS DTLSOptions
	// Certificate identifies this side; nil makes one for each connection.
	Certificate *dtls.Certificate
	// SNAP puts the beginning of the SCTP association into descriptions
	// (a=sctp-init, draft-hancke-tsvwg-snap): data channels open up to two round
	// trips sooner where the peer does so too.
	SNAP bool
	// SPED lets ICE's checks carry the DTLS handshake (a=ice-options:sped,
	// draft-hancke-webrtc-sped): it is complete a round trip or more sooner where
	// the peer does so too, and on an answering side half a round trip sooner yet
	// with DTLSClient. The first checks are as long as a datagram of DTLS then.
	SPED bool
	// DataChannels says what data channels may do.
	DataChannels DataChannelOptions
	// Codecs are what media may use, in order of preference; nil means
	// DefaultCodecs.
	Codecs []Codec
	// Logger receives what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// ICETimers are those of RFC 8445 and RFC 7675. Out of range they make
// NewPeerConnection fail.
type ICETimers struct {
	Pacing              time.Duration // between new checks on average, 50 ms; at least 5 ms
	Retransmission      time.Duration // of a check, for the first time, 500 ms; doubles; at least 5 ms
	MaxRequests         int           // how often a check is sent, 7
	GatherTimeout       time.Duration // for STUN servers to answer, 5 s
	ConsentInterval     time.Duration // between consent checks, 5 s; at least that
	ConsentExpiry       time.Duration // 30 s
	DisconnectedTimeout time.Duration // without a sign of life, 7 s
	FailedTimeout       time.Duration // without any pair, from the peer's last new candidate, 39.5 s
	Keepalive           time.Duration // of mappings at a NAT until a pair is selected, 15 s; at least 1 s
	AcceptReflexive     time.Duration // how long the controlling side waits for better than srflx and prflx, 50 ms; negative: not
	AcceptRelay         time.Duration // and for better than relay, 200 ms; negative: not
}

func (t *ICETimers) agent() ice.Config {
	return ice.Config{
		Ta: t.Pacing, RTO: t.Retransmission, MaxRequests: t.MaxRequests, GatherTimeout: t.GatherTimeout,
		ConsentInterval: t.ConsentInterval, ConsentExpiry: t.ConsentExpiry,
		DisconnectedTimeout: t.DisconnectedTimeout, FailedTimeout: t.FailedTimeout, Keepalive: t.Keepalive,
		AcceptReflexive: t.AcceptReflexive, AcceptRelay: t.AcceptRelay,
	}
}

// DTLSTimers are those of the DTLS handshake (RFC 6347 §4.2.4).
type DTLSTimers struct {
	Handshake      time.Duration // from its start to its end, 30 s
	Retransmission time.Duration // of a flight, for the first time, 250 ms; doubles, up to 4 s
}

// validate reports timers out of range while nothing depends on them yet.
func (c *Config) validate() error {
	if err := c.ICETimers.agent().Validate(); err != nil {
		return fmt.Errorf("%w: ICETimers: %w", ErrType, err)
	}
	if err := c.DataChannels.validate(); err != nil {
		return err
	}
	if c.DTLSTimers.Handshake < 0 || c.DTLSTimers.Retransmission < 0 {
		return fmt.Errorf("%w: DTLSTimers must not be negative", ErrType)
	}
	return nil
}

var defaultEngine = sync.OnceValues(func() (*dataplane.Engine, error) {
	return dataplane.New(dataplane.Config{})
})

func (c *Config) engine() (*dataplane.Engine, error) {
	if c.Engine != nil {
		return c.Engine, nil
	}
	e, err := defaultEngine()
	if err != nil {
		return nil, fmt.Errorf("webrtc: cannot start the default engine (%s/%s): %w", runtime.GOOS, runtime.GOARCH, err)
	}
	return e, nil
}

// stunServers lists host:port of the configured STUN servers.
func (c *Config) stunServers() ([]string, error) {
	var list []string
	for _, s := range c.ICEServers {
		for _, u := range s.URLs {
			rest, ok := strings.CutPrefix(u, "stun:")
			if !ok {
				return nil, fmt.Errorf("webrtc: ICE server %q: only stun: servers are supported", u)
			}
			rest, _, _ = strings.Cut(rest, "?")
			if !strings.Contains(rest, ":") || strings.HasSuffix(rest, "]") {
				rest += ":3478" // RFC 7064 §3.2
			}
			list = append(list, rest)
		}
	}
	return list, nil
}
