package sctp

import (
	"encoding/base64"

	"github.com/sluicertc/sluice/internal/mono"
)

// Connecting without a handshake of its own: both INIT chunks travel with the
// session description (a=sctp-init, draft-hancke-tsvwg-snap), which saves two
// round trips. DTLS does what the cookie is for.

// ExportInit returns the INIT chunk, header included, which this side would
// send. Give it to the peer by a way that is authenticated, and the peer's to
// ImportInit. It is of no use once Start was called.
func (a *Association) ExportInit() []byte {
	i := a.ownInit(a.tag, a.tsn)
	return appendInit(nil, typeInit, &i)
}

// ImportInit takes the peer's INIT chunk. Start then connects at once, without
// a word; the peer must have ours and do the same. Errors: ErrMalformed,
// ErrProtocol for an INIT that could not be answered, ErrUnexpected after Start.
func (a *Association) ImportInit(chunk []byte) error {
	if a.state != stateIdle {
		return ErrUnexpected
	}
	c, rest, ok := nextChunk(chunk)
	if !ok || c.typ != typeInit || len(rest) > 0 {
		return ErrMalformed
	}
	i, ok := parseInit(c)
	switch {
	case !ok:
		return ErrMalformed
	case i.tag == 0, i.out == 0, i.in == 0:
		return ErrProtocol // RFC 9260 §3.3.2
	}
	a.imported = i.said()
	return nil
}

// InitText is the value of a=sctp-init: ExportInit in base64.
func (a *Association) InitText() string { return base64.StdEncoding.EncodeToString(a.ExportInit()) }

// ImportInitText takes the value of the peer's a=sctp-init, of at most
// maxInitText bytes. Errors: as ImportInit.
func (a *Association) ImportInitText(s string) error {
	if len(s) > maxInitText {
		return ErrMalformed
	}
	chunk, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ErrMalformed
	}
	return a.ImportInit(chunk)
}

// startImported is Start with the peer's INIT in hand.
func (a *Association) startImported(now mono.Time) {
	a.adopt(a.imported)
	a.imported = nil
	a.establish(now)
}
