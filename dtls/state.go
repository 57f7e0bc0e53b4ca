package dtls

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// stateFormat is the version of what Export writes. Import takes no other.
const stateFormat = 1

// Flags of an exported state.
const (
	stateEMS = 1 << iota
	stateRRC
	stateResending
	stateUpdateWanted
	stateUpdatePeer
	stateIDsAwaited
	stateIDsOwed
	stateHand
	stateFlags = 1<<iota - 1
)

// Export gives the association away: what it returns is all that Import needs to go
// on with it elsewhere, sequence numbers, replay windows and what waits for an
// acknowledgement included, where the peer notices nothing. Here it has ended then,
// with ErrExported and without an alert, and Records seals no more, so that no nonce
// is used twice. After hand-over the owner of Records must have stopped before.
//
// The bytes are secret: whoever has them is this end of the association. They are
// not authenticated; keep them as one keeps private keys. Import them once: a second
// copy would use the nonces of the first. It fails with ErrNotConnected.
func (c *Conn) Export(now mono.Time) ([]byte, error) {
	if c.phase != phaseConnected {
		return nil, ErrNotConnected
	}
	b := c.appendState(nil, now)
	c.records.seal.next = maxSequence + 1
	c.alerts = nil
	c.closed(ErrExported)
	c.hand = nil
	return b, nil
}

func (c *Conn) appendState(b []byte, now mono.Time) []byte {
	s := &c.state
	b = append(b, stateFormat, byte(c.cfg.Role))
	for _, v := range []uint16{
		s.Version, s.CipherSuite, uint16(s.Group), uint16(s.SignatureScheme), uint16(s.SRTPProfile),
		c.stateFlags(), c.nextSeq, c.in.next, c.writeEpoch,
	} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = appendVec8(b, []byte(s.ALPN))
	b = appendCertificate12(b, s.PeerCertificates)
	if c.v13() {
		b = appendVec8(b, c.sess13.exporter)
	} else {
		b = append(append(append(b, c.sess.master[:]...), c.sess.clientRandom[:]...), c.sess.serverRandom[:]...)
	}
	b = binary.BigEndian.AppendUint64(b, c.seq0)
	b = binary.BigEndian.AppendUint64(b, uint64(max(0, c.lingerTo.Sub(now))))
	b = binary.BigEndian.AppendUint16(b, uint16(c.agreed.maxSeal))
	b = binary.BigEndian.AppendUint16(b, uint16(c.agreed.maxOpen))
	b = appendIDs(b, c.records.ids.ours)
	b = appendVec8(b, c.agreed.ids.peer)
	b = appendIDs(b, c.spare)
	b = append(appendVec16(b, c.offers), c.idsWanted, c.posting)
	b = append(b, byte(len(c.out.items)))
	for i := range c.out.items {
		m := &c.out.items[i]
		b = append(binary.BigEndian.AppendUint16(append(b, m.contentType), m.epoch), 0)
		b = appendVec16(b, m.raw)
	}
	b = appendIDs16(b, c.early.packets)
	b = c.records.appendState(b)
	if c.hand != nil {
		b = c.hand.appendState(b)
	}
	return b
}

func (c *Conn) stateFlags() (f uint16) {
	for i, on := range []bool{
		c.state.ExtendedMasterSecret, c.agreed.rrc, c.out.resendAt != 0, c.updateWanted, c.updatePeer,
		c.idsAwaited, c.idsOwed, c.hand != nil,
	} {
		if on {
			f |= 1 << i
		}
	}
	return f
}

func appendIDs(b []byte, ids [][]byte) []byte {
	b = append(b, byte(len(ids)))
	for _, id := range ids {
		b = appendVec8(b, id)
	}
	return b
}

func appendIDs16(b []byte, list [][]byte) []byte {
	b = append(b, byte(len(list)))
	for _, p := range list {
		b = appendVec16(b, p)
	}
	return b
}

// Import makes a Conn of what Export wrote. Certificate, RemoteFingerprints and
// VerifyPeer of cfg are needed as for New, and the peer's certificate is held
// against them again; what was negotiated comes from state, whatever cfg says of
// it. The Conn is connected: the event follows at once. Start does nothing.
//
// Errors: of New; ErrState, wrapped, for bytes that Export did not write, or not for
// this role; those that refuse a certificate.
func Import(now mono.Time, cfg Config, state []byte) (*Conn, error) {
	c, err := New(cfg)
	if err != nil {
		return nil, err
	}
	r := reader{b: state}
	if what := c.parseState(now, &r); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrState, what)
	}
	if err := c.checkPeer(); err != nil {
		return nil, err
	}
	if !c.verified {
		return nil, fmt.Errorf("%w: the fingerprints must be known", ErrState)
	}
	c.hs, c.hs13 = nil, nil
	c.in.strict, c.in.exact = true, true
	c.phase = phaseConnected
	c.deadline = now.Add(c.cfg.HandshakeTimeout)
	c.events = append(c.events, Connected{})
	return c, nil
}

// parseState returns what is wrong.
func (c *Conn) parseState(now mono.Time, r *reader) string {
	if r.u8() != stateFormat {
		return "of another format"
	}
	if Role(r.u8()) != c.cfg.Role {
		return "of the other role"
	}
	s := &c.state
	s.Version, s.CipherSuite, s.Group = r.u16(), r.u16(), Group(r.u16())
	s.SignatureScheme, s.SRTPProfile = SignatureScheme(r.u16()), SRTPProfile(r.u16())
	flags := r.u16()
	c.nextSeq = r.u16()
	c.in.restart(r.u16())
	c.writeEpoch = r.u16()
	s.ALPN = string(r.vec8())
	s.ExtendedMasterSecret = flags&stateEMS != 0
	chain := reader{b: r.vec24()}
	for len(chain.b) > 0 {
		der := chain.vec24()
		if chain.bad || len(der) == 0 || len(s.PeerCertificates) == maxCertificates {
			return "wrong certificates"
		}
		s.PeerCertificates = append(s.PeerCertificates, slices.Clone(der))
	}
	switch {
	case flags > stateFlags || (len(s.PeerCertificates) == 0) != c.cfg.AnonymousClients || s.SRTPProfile != 0 && s.SRTPProfile.KeyLen() == 0:
		return "wrong parameters"
	case s.Version == VersionDTLS13:
		c.sess13 = session13{suite13ByID(s.CipherSuite), slices.Clone(r.vec8())}
		if c.sess13.suite == nil || len(c.sess13.exporter) != c.sess13.suite.hashLen {
			return "wrong cipher suite"
		}
	case s.Version == VersionDTLS12:
		c.sess.suite = suiteByID(s.CipherSuite)
		copy(c.sess.master[:], r.bytes(masterLen))
		copy(c.sess.clientRandom[:], r.bytes(randomLen))
		copy(c.sess.serverRandom[:], r.bytes(randomLen))
		if c.sess.suite == nil {
			return "wrong cipher suite"
		}
	default:
		return "wrong version"
	}
	return c.parseRest(now, r, flags)
}

func (c *Conn) parseRest(now mono.Time, r *reader, flags uint16) string {
	c.seq0 = r.u64()
	linger := r.u64()
	a := &c.agreed
	a.rrc = flags&stateRRC != 0
	a.maxSeal, a.maxOpen = int(r.u16()), int(r.u16())
	ours := r.list8(maxConnectionIDs)
	for _, id := range ours {
		if len(id) == 0 || len(id) > maxConnectionID || len(id) != len(ours[0]) || a.ids.known(id) {
			return "wrong connection IDs"
		}
		a.ids.accept(id)
	}
	a.ids.peer = append([]byte{}, r.vec8()...)
	c.spare = r.list8(maxSpareIDs)
	c.offers = append([]byte(nil), r.vec16()...)
	c.idsWanted, c.posting = r.u8(), r.u8()
	if r.bad || c.seq0 > maxSequence || linger > uint64(lastFlightLinger) ||
		a.maxSeal != 0 && a.maxSeal < minRecordSize || a.maxOpen != 0 && a.maxOpen < minRecordSize {
		return "wrong limits"
	}
	c.lingerTo = now.Add(time.Duration(linger))
	c.cfg.ConnectionID = nil
	if len(ours) > 0 {
		c.cfg.ConnectionID = a.ids.ours[0]
	}
	c.state.LocalConnectionID, c.state.PeerConnectionID = c.cfg.ConnectionID, a.ids.peer
	c.updateWanted, c.updatePeer = flags&stateUpdateWanted != 0, flags&stateUpdatePeer != 0
	c.idsAwaited, c.idsOwed = flags&stateIDsAwaited != 0, flags&stateIDsOwed != 0
	if what := c.parseFlight(now, r, flags&stateResending != 0); what != "" {
		return what
	}
	early := r.list16(maxEarlyRecords)
	for _, p := range early {
		if c.early.keep(p) != nil {
			return "too much early data"
		}
	}
	var err error
	if c.records, err = c.parseRecords(r, epochTraffic); err != nil {
		return "wrong record layer"
	}
	if flags&stateHand != 0 {
		if !c.v13() {
			return "a handshake's record layer in DTLS 1.2"
		}
		if c.hand, err = c.parseRecords(r, epochHandshake); err != nil {
			return "wrong record layer"
		}
	}
	if !r.done() || c.writeEpoch != c.records.seal.epoch {
		return "cut short, or too long"
	}
	return ""
}

// parseFlight takes what was said last and may have to be said again.
func (c *Conn) parseFlight(now mono.Time, r *reader, resending bool) string {
	n := int(r.u8())
	if n > reassemblyWindow {
		return "a flight of too many messages"
	}
	var items []outMessage
	for range n {
		m := outMessage{contentType: r.u8(), epoch: r.u16(), done: !resending}
		r.u8()
		m.raw = slices.Clone(r.vec16())
		f, rest, ok := parseFragment(m.raw)
		whole := m.contentType == ContentHandshake && ok && len(rest) == 0 && f.length == len(f.body)
		if r.bad || m.epoch > epochTraffic || !whole && (m.contentType != ContentChangeCipherSpec || len(m.raw) != 1) {
			return "a wrong flight"
		}
		items = append(items, m)
	}
	switch {
	case resending && n > 0:
		c.out.start(now, c.cfg.FlightInterval, items)
	case resending:
		return "an empty flight"
	default:
		c.out.items = items
	}
	return ""
}

// u64 reads eight bytes.
func (r *reader) u64() uint64 {
	if v := r.bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// list8 and list16 read up to most vectors, copied.
func (r *reader) list8(most int) [][]byte  { return r.list(most, r.vec8) }
func (r *reader) list16(most int) [][]byte { return r.list(most, r.vec16) }

func (r *reader) list(most int, vec func() []byte) (list [][]byte) {
	n := int(r.u8())
	if n > most {
		r.bad = true
	}
	for i := 0; i < n && !r.bad; i++ {
		list = append(list, append([]byte{}, vec()...))
	}
	return list
}
