package dtls

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Role is the side of the handshake.
type Role uint8

// Client sends the first flight (setup:active), Server waits (setup:passive).
const (
	Client Role = iota
	Server
)

// String returns "client" or "server".
func (r Role) String() string {
	if r == Server {
		return "server"
	}
	return "client"
}

// Config says how to shake hands. Certificate is required, and a way to verify
// the peer: RemoteFingerprints, AwaitFingerprints or VerifyPeer, or for a server
// AnonymousClients. Everything else
// has a default. New copies it; the Certificate and functions are shared.
type Config struct {
	Role        Role
	Certificate *Certificate

	// RemoteFingerprints are those the peer signalled; its leaf certificate must
	// match one of them, in both roles, before Connected (RFC 8827 §6.5).
	RemoteFingerprints []Fingerprint
	// AwaitFingerprints lets the handshake start before the fingerprints are
	// known. Connected is withheld until SetRemoteFingerprints.
	AwaitFingerprints bool
	// VerifyPeer, if set, judges the peer's leaf certificate (DER), once; an
	// error refuses it. It is asked in addition to the fingerprints, or instead
	// of them when none are given nor awaited.
	VerifyPeer func(leafDER []byte) error
	// AnonymousClients makes a server ask its clients for no certificate: for DTLS
	// alone, where something else tells who they are. In WebRTC both ends have one
	// (RFC 8827 §6.5).
	AnonymousClients bool

	// MinVersion and MaxVersion bound what is negotiated, VersionDTLS12 or
	// VersionDTLS13. 0 means VersionDTLS12 and DefaultMaxVersion.
	MinVersion, MaxVersion uint16
	// Groups is our order of preference; nil means X25519MLKEM768, X25519, P-256,
	// P-384. A client sends key shares of the first, and of the next one, too, if
	// that is post-quantum, for peers which are not. A server takes the first of
	// its groups that there is a share of, and costs the client a round trip
	// (HelloRetryRequest) if there is none. DTLS 1.2 passes over hybrids,
	// and an ECDSA certificate needs its curve to be among the client's.
	Groups []Group

	// CipherSuites is our order of preference, in which a server decides; nil means
	// all that are spoken, AES-128-GCM first. It needs one for each version that
	// may be negotiated.
	CipherSuites []uint16
	// SignatureSchemes is what we sign with and take signatures of, in order of
	// preference; nil means all that are spoken.
	SignatureSchemes []SignatureScheme

	// SRTPProfiles is our order of preference; nil means AEAD_AES_128_GCM,
	// AEAD_AES_256_GCM, AES128_CM_HMAC_SHA1_80. As server our order decides.
	SRTPProfiles []SRTPProfile
	// DisableSRTP neither offers nor answers use_srtp.
	DisableSRTP bool

	// MTU is the largest datagram Transmit emits, in bytes, 256 to 16384; 0 means
	// DefaultMTU. Handshake messages are fragmented to it.
	MTU int

	// FlightInterval is the time until an unanswered flight is sent again; it
	// doubles each time, up to 4 s, or up to 60 s where it is 1 s or more. 0 means
	// 250 ms.
	//
	// Deviates: RFC 6347 §4.2.4.1 says 1 s and up to 60 s. ICE has measured the
	// path to be alive by then, and a call that takes a second longer to connect
	// for each lost packet is a worse neighbour to its user than a few packets
	// are to the network.
	FlightInterval time.Duration
	// HandshakeTimeout runs from Start to Connected, in both roles. 0 means 30 s.
	HandshakeTimeout time.Duration

	// HelloVerify makes a server demand a cookie before it does any work (RFC
	// 6347 §4.2.1, RFC 9147 §5.1). ICE has verified the address already, so WebRTC leaves it off.
	HelloVerify bool
	// CookieSecret keys the cookies, and CookieContext (the peer's address, say)
	// is bound into them, so that a cookie issued by one Conn is good at another.
	// Without a secret a Conn makes its own.
	CookieSecret, CookieContext []byte

	// AllowLegacyMasterSecret accepts peers without extended_master_secret (RFC
	// 7627). Off, such a handshake is refused, as §5.4 advises for users of
	// exporters, which SRTP is; every browser and every other WebRTC stack has it.
	AllowLegacyMasterSecret bool

	// ALPN are the application protocols we speak, in order of preference (RFC
	// 7301): for WebRTC ALPNWebRTC or ALPNConfidential (RFC 8833). A server that
	// shares none of those a client offers ends the handshake with
	// no_application_protocol; a peer that offers or answers nothing is put up
	// with, see ConnectionState.ALPN. Nil: neither offered nor answered.
	ALPN []string

	// PadTo pads what is sealed with zeros to a multiple of so many bytes, as far
	// as the datagram has room, which hides lengths (RFC 8446 §5.4). 0: no
	// padding; nor is there any in DTLS 1.2 without the peer's connection ID.
	PadTo int
	// RecordSizeLimit is the longest plaintext the peer may seal in a record, in
	// bytes, 64 to 16385 (RFC 8449; in DTLS 1.3 the content type counts). 0: a
	// client asks for no limit. The peer's is obeyed in any case.
	RecordSizeLimit int

	// ConnectionID, if not nil, offers and accepts connection IDs (RFC 9146, RFC
	// 9147 §9): these bytes, at most 32, begin every sealed record of the peer's,
	// wherever it comes from. Empty: the peer's is used, we need none. All that a
	// process hands out at one port must be of one length.
	ConnectionID []byte
	// ReturnRoutability lets both sides find out whether a peer can be reached at
	// an address it has turned up at (RFC 9853); see Conn.CheckPath. It needs
	// ConnectionID.
	ReturnRoutability bool

	// EphemeralKey, if set, is asked for a key that was made beforehand, so that the
	// flight does not wait for it: of a curve, or of X25519MLKEM768 for its half of
	// ML-KEM. Nil as an answer: there is none at hand, and one is made. A key is used
	// once; its EphemeralKey is empty afterwards.
	EphemeralKey func(Group) *EphemeralKey

	// Rand is the source of randoms and signatures; nil means crypto/rand.Reader.
	// The standard library may draw private keys from its own source instead.
	Rand io.Reader

	// KeyLog, if set, is told secrets in the terms of the NSS key log format:
	// label "CLIENT_RANDOM", the client's random, the master secret; in DTLS 1.3
	// CLIENT_HANDSHAKE_TRAFFIC_SECRET, CLIENT_TRAFFIC_SECRET_0, the same with
	// SERVER, and EXPORTER_SECRET. Whoever holds them reads the traffic.
	KeyLog func(label string, clientRandom, secret []byte)
}

// Application protocols of WebRTC: media and data, and those that the application
// must not see (RFC 8833 §3).
const (
	ALPNWebRTC       = "webrtc"
	ALPNConfidential = "c-webrtc"
)

// ErrConfig: New was given something it cannot work with; the message says what.
var ErrConfig = errors.New("dtls: unusable configuration")

// Validate returns the error that New would.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults checks a Config and fills it in.
func (c Config) withDefaults() (Config, error) {
	bad := func(what string) (Config, error) { return Config{}, fmt.Errorf("%w: %s", ErrConfig, what) }
	if c.Role > Server {
		return bad("Role is neither Client nor Server")
	}
	if c.Certificate == nil || c.Certificate.signer == nil {
		return bad("Certificate is missing; make one with GenerateCertificate")
	}
	given := len(c.RemoteFingerprints) > 0 || c.AwaitFingerprints || c.VerifyPeer != nil
	if c.AnonymousClients && (given || c.Role == Client) {
		return bad("AnonymousClients is for servers that have nothing to verify")
	}
	if !given && !c.AnonymousClients {
		return bad("set RemoteFingerprints, AwaitFingerprints or VerifyPeer")
	}
	for _, f := range c.RemoteFingerprints {
		if n := fingerprintLen(f.Algorithm); n == 0 || n != len(f.Value) {
			return bad("a fingerprint is not of sha-256, sha-384 or sha-512")
		}
	}
	if what := c.versions(); what != "" {
		return bad(what)
	}
	if what := c.optional(); what != "" {
		return bad(what)
	}
	c.SRTPProfiles = slices.Clone(c.SRTPProfiles)
	if c.SRTPProfiles == nil {
		c.SRTPProfiles = defaultProfiles[:]
	}
	if c.DisableSRTP {
		c.SRTPProfiles = nil
	}
	for _, p := range c.SRTPProfiles {
		if p.KeyLen() == 0 {
			return bad("unknown SRTP profile")
		}
	}
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if c.MTU < minMTU || c.MTU > maxMTU {
		return bad("MTU is not within 256 to 16384")
	}
	if c.FlightInterval < 0 || c.HandshakeTimeout < 0 {
		return bad("a duration is negative")
	}
	if c.FlightInterval == 0 {
		c.FlightInterval = defaultFlightInterval
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.CookieSecret = slices.Clone(c.CookieSecret)
	c.CookieContext = slices.Clone(c.CookieContext)
	c.ALPN = slices.Clone(c.ALPN)
	if c.ConnectionID != nil {
		c.ConnectionID = append([]byte{}, c.ConnectionID...)
	}
	return c, nil
}

// optional checks what belongs to options; it returns what is wrong.
func (c *Config) optional() string {
	n := 0
	for _, name := range c.ALPN {
		if n += 1 + len(name); len(name) == 0 || len(name) > 255 {
			return "ALPN has a name that is empty or longer than 255 bytes"
		}
	}
	switch {
	case n > maxALPN:
		return "ALPN is longer than 1024 bytes"
	case c.PadTo < 0 || c.PadTo > maxFragment:
		return "PadTo is not within 0 to 16384"
	case c.RecordSizeLimit != 0 && (c.RecordSizeLimit < minRecordSize || c.RecordSizeLimit > maxFragment+1):
		return "RecordSizeLimit is not within 64 to 16385"
	case len(c.ConnectionID) > maxConnectionID:
		return "ConnectionID is longer than 32 bytes"
	case c.ReturnRoutability && c.ConnectionID == nil:
		return "ReturnRoutability needs ConnectionID"
	}
	return ""
}

// versions fills in what bounds the negotiation; it returns what is wrong.
func (c *Config) versions() string {
	if c.MinVersion == 0 {
		c.MinVersion = VersionDTLS12
	}
	if c.MaxVersion == 0 {
		c.MaxVersion = min(DefaultMaxVersion, c.MinVersion) // versions count downwards
	}
	if c.MinVersion != VersionDTLS12 && c.MinVersion != VersionDTLS13 ||
		c.MaxVersion != VersionDTLS12 && c.MaxVersion != VersionDTLS13 || c.MinVersion < c.MaxVersion {
		return "MinVersion and MaxVersion are not VersionDTLS12 or VersionDTLS13, in order"
	}
	if c.Groups == nil {
		c.Groups = groups[:]
	}
	for i, g := range c.Groups {
		if !slices.Contains(groups[:], g) || slices.Contains(c.Groups[:i], g) {
			return "Groups has one that is unknown or there twice"
		}
	}
	if len(c.Groups) == 0 || c.MinVersion == VersionDTLS12 && len(classical(c.Groups)) == 0 {
		return "Groups has none for MinVersion"
	}
	return c.algorithms()
}

// algorithms fills in cipher suites and signature schemes; it returns what is wrong.
func (c *Config) algorithms() string {
	if c.CipherSuites = slices.Clone(c.CipherSuites); c.CipherSuites == nil {
		c.CipherSuites = allSuites
	}
	if c.SignatureSchemes = slices.Clone(c.SignatureSchemes); c.SignatureSchemes == nil {
		c.SignatureSchemes = allSchemes
	}
	var for12, for13 bool
	for i, id := range c.CipherSuites {
		a, b := suiteByID(id) != nil, suite13ByID(id) != nil
		if !a && !b || slices.Contains(c.CipherSuites[:i], id) {
			return "CipherSuites has one that is unknown or there twice"
		}
		for12, for13 = for12 || a, for13 || b
	}
	if c.MinVersion == VersionDTLS12 && !for12 || c.MaxVersion == VersionDTLS13 && !for13 {
		return "CipherSuites has none for MinVersion or MaxVersion"
	}
	for i, id := range c.SignatureSchemes {
		if schemeByID(id) == nil || slices.Contains(c.SignatureSchemes[:i], id) {
			return "SignatureSchemes has one that is unknown or there twice"
		}
	}
	if len(c.SignatureSchemes) == 0 {
		return "SignatureSchemes is empty"
	}
	return ""
}
