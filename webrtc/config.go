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
	// DTLSRole is taken when an offer leaves the choice.
	DTLSRole DTLSRole
	// Certificate identifies this side; nil makes one for each connection.
	Certificate *dtls.Certificate
	// Codecs are what media may use, in order of preference; nil means
	// DefaultCodecs.
	Codecs []Codec
	// Logger receives what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// ICETimers are those of RFC 8445 and RFC 7675 that may be set.
type ICETimers struct {
	Pacing              time.Duration // between checks, 50 ms
	DisconnectedTimeout time.Duration // without a sign of life, 7 s
	ConsentExpiry       time.Duration // 30 s
	FailedTimeout       time.Duration // without any pair, 39.5 s
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
