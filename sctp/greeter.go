package sctp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/sluicertc/sluice/internal/mono"
)

// Greeter takes the packets of peers who have no association yet, for those who
// listen on a socket. It keeps nothing of an INIT: what an association is made
// of comes back in the cookie (RFC 9260 §5.1.3), which is good for one address.
type Greeter struct {
	cfg Config
	key [32]byte
}

// NewGreeter makes a greeter whose associations have cfg, but for RemotePort.
func NewGreeter(cfg Config) *Greeter {
	g := &Greeter{cfg: cfg.withDefaults()}
	New(cfg).random(g.key[:])
	return g
}

// HandlePacket takes a packet from an address of which no association is known,
// given in any form that tells addresses apart. It returns the association
// which a COOKIE ECHO has made, to be drained as after its own HandlePacket, or
// else the length of an answer in out, 0 for none. out must hold Config.MTU
// bytes. Errors: as Association.HandlePacket.
func (g *Greeter) HandlePacket(now mono.Time, b, from, out []byte) (n int, made *Association, err error) {
	if len(b) < headerLen+chunkHeaderLen {
		return 0, nil, ErrShortPacket
	}
	cfg := g.cfg
	cfg.RemotePort = binary.BigEndian.Uint16(b)
	a := New(cfg)
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write(from)
	mac.Sum(a.key[:0])
	if chunkType(b[headerLen]) == typeCookieEcho {
		c, _, ok := nextChunk(b[headerLen:])
		if !ok {
			return 0, nil, ErrMalformed
		}
		k, ok := parseCookie(c.value, &a.key)
		if !ok {
			return 0, nil, ErrMalformed // no answer: anybody can send this
		}
		if k.localTie != 0 || k.peerTie != 0 {
			return 0, nil, ErrUnexpected // of an association which is gone
		}
		a.tag, a.tsn = k.localTag, k.localTSN
		a.tx.window.start(a.tsn)
	}
	err = a.HandlePacket(now, b)
	if a.state == stateEstablished {
		return 0, a, nil
	}
	return a.Transmit(now, out), nil, err
}

// Tag is the verification tag of the packets that this side receives, which
// tells its associations apart. It changes when the peer restarts.
func (a *Association) Tag() uint32 { return a.tag }

// PacketTag is the verification tag of a packet; ok is false if it is too short
// to have one.
func PacketTag(b []byte) (tag uint32, ok bool) {
	if len(b) < headerLen {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[4:]), true
}
