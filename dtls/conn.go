package dtls

import (
	"net/netip"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// phase is how far a Conn is.
type phase uint8

const (
	phaseNew       phase = iota // before Start
	phaseHandshake              // shaking hands
	phaseVerify                 // hands are shaken, the fingerprints are not known yet
	phaseConnected
	phaseClosed
)

// Conn is the handshake machine of one association. It does no I/O and reads no
// clock: see the package documentation for how it is driven. It belongs to one
// goroutine (ctl lane).
type Conn struct {
	cfg    Config
	hs     *handshake12 // nil once connected
	state  ConnectionState
	sess   session12
	hs13   *handshake13 // like hs, in DTLS 1.3 and while it may become that
	sess13 session13

	in    reassembler
	early earlyQueue

	out        flight
	seq0       uint64 // next record sequence number of epoch 0
	verify     []byte // a HelloVerifyRequest to send, as a whole datagram
	alerts     []outAlert
	agreed     agreement
	hand       *Records // DTLS 1.3: epoch 2
	doubt      *doubt
	records    *Records
	maxPlain   int // what goes into a record of its, in bytes
	phase      phase
	handed     bool   // records belongs to the data lane
	writeEpoch uint16 // the highest we write in
	verified   bool   // the peer's certificate has passed every check
	asked      bool   // VerifyPeer has agreed

	held     bool      // see Hold
	deadline mono.Time // of the handshake
	graceEnd mono.Time // when a plaintext alert is believed
	grace    AlertError
	lingerTo mono.Time // server: until when flight 6 is repeated
	warnedAt mono.Time

	// DTLS 1.3.
	acks                     []recordNumber // of the peer's, to be acknowledged
	ackAt                    mono.Time      // when, if the rest does not come
	ackDue                   bool
	nextSeq                  uint16 // message_seq after the handshake
	posting                  uint8  // the message of ours after the handshake that waits for its ACK; 0: none
	updateWanted, updatePeer bool
	offers                   []byte   // a NewConnectionId to be sent; nil: none
	spare                    [][]byte // the peer's connection IDs that are not in use yet
	idsWanted                uint8    // to be requested
	idsAwaited, idsOwed      bool     // we have requested, the peer has

	path pathCheck

	events []Event
	first  [2]Event // where they begin
	rooms  rooms
	stats  Stats
}

// rooms is where lists of the usual length lie.
type rooms struct {
	prints [1]Fingerprint // of Config
	groups [len(groups)]Group
	chain  [1][]byte // the peer's
}

// Stats counts what HandlePacket and HandleRecord dropped.
type Stats struct {
	Malformed   uint64 // datagrams with a record or fragment that does not parse
	Epoch       uint64 // plaintext where only sealed records are accepted
	Unexpected  uint64 // repeated or useless messages
	Bounded     uint64 // dropped because a bound of limits.go was reached
	Resent      uint64 // flights sent again
	PlainAlerts uint64 // plaintext alerts, believed or not
}

// ConnectionState describes the association. Until Connected the certificates
// are those the peer claims and nothing more.
type ConnectionState struct {
	Version              uint16 // VersionDTLS12 or VersionDTLS13
	CipherSuite          uint16
	Group                Group
	SignatureScheme      SignatureScheme // of the server's signature
	SRTPProfile          SRTPProfile     // 0: none
	ALPN                 string          // "": none was agreed on
	ExtendedMasterSecret bool            // RFC 7627, or DTLS 1.3, which has no other
	PeerCertificates     [][]byte        // DER, leaf first

	// Connection IDs as negotiated, nil if they were not: what the peer puts into
	// its records, and what we do.
	LocalConnectionID, PeerConnectionID []byte
	// ReturnRoutability tells whether CheckPath works.
	ReturnRoutability bool
}

// session12 is what outlives the handshake: the secret and what exports need.
type session12 struct {
	suite                      *suite12
	master                     [masterLen]byte
	clientRandom, serverRandom [randomLen]byte
}

// session13 is the same for DTLS 1.3.
type session13 struct {
	suite    *suite13
	exporter []byte // exporter_master_secret
}

// v13 tells whether DTLS 1.3 was negotiated.
func (c *Conn) v13() bool { return c.state.Version == VersionDTLS13 }

// New makes a Conn. It fails with an error that wraps ErrConfig.
func New(cfg Config) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, hs: &handshake12{}}
	c.cfg.RemoteFingerprints = append(c.rooms.prints[:0], cfg.RemoteFingerprints...)
	c.cfg.Groups = append(c.rooms.groups[:0], cfg.Groups...)
	c.events = c.first[:0]
	return c, nil
}

// Start begins the handshake and its timeout: a client sends its first flight, a
// server waits. A second call does nothing.
func (c *Conn) Start(now mono.Time) {
	if c.phase != phaseNew {
		return
	}
	c.phase = phaseHandshake
	c.deadline = now.Add(c.cfg.HandshakeTimeout)
	if c.cfg.Role == Client {
		c.settle(c.startClient(now))
	}
}

// HandlePacket takes one datagram, which may hold several records. After
// hand-over its sealed records belong to Records.Open, and only what Records.Owns
// disowns comes here; the rest gives ErrHandedOver. The error, if any, is a reason for a
// drop, or ErrClosed; the end of the association is a Closed event.
func (c *Conn) HandlePacket(now mono.Time, b []byte) error {
	if c.phase == phaseNew {
		return ErrUnexpected
	}
	var first error
	for len(b) > 0 && c.phase != phaseClosed {
		rec, rest, ok := SplitRecordCID(b, len(c.cfg.ConnectionID))
		if !ok {
			return firstOf(first, c.drop(ErrRecord))
		}
		b = rest
		if err := c.handleRecord(now, rec); err == ErrHandedOver {
			first = err // whatever else was wrong: the datagram is for Records
		} else if err != nil {
			first = firstOf(first, c.drop(err))
		}
	}
	if c.phase == phaseClosed {
		return ErrClosed
	}
	return first
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// drop books the reason of a drop and returns it.
func (c *Conn) drop(err error) error {
	switch err {
	case ErrRecord, ErrMessage:
		c.stats.Malformed++
	case ErrEpoch:
		c.stats.Epoch++
	case ErrUnexpected:
		c.stats.Unexpected++
	case ErrBuffered:
		c.stats.Bounded++
	}
	return err
}

// handleRecord takes one record of any epoch.
func (c *Conn) handleRecord(now mono.Time, rec []byte) error {
	if unified(rec) {
		return c.handleUnified(now, rec)
	}
	switch Epoch(rec) {
	case 0:
		if !plainVersion(rec) {
			return ErrRecord
		}
		return c.handlePlain(now, rec)
	case 1:
		if c.v13() {
			return ErrEpoch
		}
		if c.handed {
			return ErrHandedOver
		}
		if c.records == nil {
			c.early.sealed = true
			return c.early.keep(rec)
		}
		return c.handleSealed(now, rec)
	}
	return ErrEpoch
}

// handlePlain takes a record of epoch 0, which anybody can have sent.
func (c *Conn) handlePlain(now mono.Time, rec []byte) error {
	payload := rec[headerLen:]
	switch rec[0] {
	case ContentHandshake:
		if c.phase != phaseHandshake {
			if c.v13() {
				return ErrUnexpected
			}
			return c.peerRepeats(now, payload)
		}
		return c.handleFragments(now, 0, sequence(rec), payload)
	case ContentChangeCipherSpec:
		// The epoch of each record says what this message would say, and that
		// even if it is lost (RFC 6347 §4.1).
		return nil
	case ContentAlert:
		return c.plainAlert(now, payload)
	}
	return ErrEpoch // never application data in the clear
}

// handleSealed opens a record while Conn owns the record layer.
func (c *Conn) handleSealed(now mono.Time, rec []byte) error {
	plain := c.openRoom(len(rec))
	n, typ, err := c.records.Open(plain, rec)
	if err != nil {
		return err
	}
	if typ == ContentApplicationData {
		if n == 0 {
			return nil
		}
		return c.early.keep(plain[:n])
	}
	return c.handleOpened(now, typ, plain[:n])
}

// openRoom is where a record of n bytes is opened to.
func (c *Conn) openRoom(n int) []byte {
	if c.hs != nil && n <= len(c.hs.opened) {
		return c.hs.opened[:n]
	}
	return make([]byte, n)
}

// handleOpened takes what Records.Open yields, application data excepted.
func (c *Conn) handleOpened(now mono.Time, contentType uint8, plain []byte) error {
	if c.v13() {
		return c.handleOpened13(now, contentType, plain)
	}
	switch contentType {
	case ContentAlert:
		return c.sealedAlert(plain)
	case ContentRoutability:
		return c.HandlePath(now, netip.AddrPort{}, true, plain)
	case ContentHandshake:
		if c.phase != phaseHandshake {
			return c.lateHandshake(now, plain)
		}
		return c.handleFragments(now, 1, 0, plain)
	}
	return c.impossible(contentType)
}

// impossible ends the association for an authentic record whose content nobody may
// seal, or not in its epoch (RFC 5246 §6, RFC 8446 §5, §5.4).
func (c *Conn) impossible(contentType uint8) error {
	if contentType == contentOverflow { // RFC 8446 §5.2
		c.settle(fatal(AlertRecordOverflow, ErrRecord))
	} else {
		c.settle(unexpected())
	}
	return ErrUnexpected
}

// HandleTimeout does what is due. It may be called early or late.
func (c *Conn) HandleTimeout(now mono.Time) {
	if c.ackAt != 0 && !now.Before(c.ackAt) {
		c.acknowledge()
	}
	if c.held { // Hold
		return
	}
	if c.phase == phaseConnected {
		c.forget(now)
		c.waiting(now)
		c.path.expire(c, now)
	}
	if c.phase != phaseHandshake && c.phase != phaseVerify {
		return
	}
	if c.graceEnd != 0 && !now.Before(c.graceEnd) {
		e := c.grace
		c.closed(&e)
		return
	}
	if !now.Before(c.deadline) {
		if c.writeEpoch > 0 { // the peer may believe itself connected
			c.alert(alertWarning, AlertCloseNotify)
		}
		c.closed(ErrTimeout)
		return
	}
	if c.out.expire(now) {
		c.stats.Resent++
	}
}

// Timeout returns when HandleTimeout is due, 0 for never.
func (c *Conn) Timeout() mono.Time {
	if c.held { // Hold
		return c.ackAt
	}
	next := mono.Earliest(c.ackAt, c.out.resendAt)
	switch c.phase {
	case phaseHandshake, phaseVerify:
		return mono.Earliest(next, mono.Earliest(c.deadline, c.graceEnd))
	case phaseConnected:
		return mono.Earliest(next, c.path.at)
	}
	return 0
}

// Event returns the next event: Connected at most once, at last Closed once.
func (c *Conn) Event() (Event, bool) {
	if len(c.events) == 0 {
		return nil, false
	}
	e := c.events[0]
	if c.events = c.events[1:]; len(c.events) == 0 {
		c.events = c.first[:0]
	}
	return e, true
}

// Event is Connected or Closed, or where connection IDs were agreed on,
// ConnectionIDsWanted, ConnectionIDChanged or PathChecked.
type Event interface{ event() }

// Connected: the handshake is done and the peer's certificate verified. Records,
// SRTPKeys and ExportKeyingMaterial are available.
type Connected struct{}

// Closed: the association has ended; what Transmit still has should be sent. Err
// is ErrCloseNotify, ErrClosed, ErrTimeout, or an *AlertError.
type Closed struct{ Err error }

// ConnectionIDsWanted: the peer asks for N more connection IDs of ours, 1 to 255
// (RFC 9147 §9). OfferConnectionIDs answers, with fewer if need be.
type ConnectionIDsWanted struct{ N int }

// ConnectionIDChanged: our records must bear ID from now on. After hand-over their
// owner calls Records.UseConnectionID; before, it is done.
type ConnectionIDChanged struct{ ID []byte }

// PathChecked: what CheckPath began is over. OK: the peer can be reached at Addr.
type PathChecked struct {
	Addr netip.AddrPort
	OK   bool
}

func (Connected) event()           {}
func (Closed) event()              {}
func (ConnectionIDsWanted) event() {}
func (ConnectionIDChanged) event() {}
func (PathChecked) event()         {}

// State describes the association, as far as it is known.
func (c *Conn) State() ConnectionState {
	s := c.state
	s.PeerCertificates = slices.Clone(s.PeerCertificates)
	s.ReturnRoutability = c.agreed.rrc
	return s
}

// Stats returns the counters so far.
func (c *Conn) Stats() Stats { return c.stats }

// SetRemoteFingerprints sets the fingerprints the peer signalled, at any time; an
// empty list changes nothing. A peer that matches none of them is refused, or
// dropped if it was connected, with bad_certificate: a new fingerprint means a
// new association (RFC 8827 §5.1.4). Drain Transmit and Event afterwards.
func (c *Conn) SetRemoteFingerprints(fs []Fingerprint) {
	if len(fs) == 0 || c.phase == phaseClosed || c.cfg.AnonymousClients {
		return
	}
	c.cfg.RemoteFingerprints = slices.Clone(fs)
	c.verified = false
	switch {
	case c.phase == phaseVerify:
		c.settle(c.connect())
	case len(c.state.PeerCertificates) > 0:
		c.settle(c.checkPeer())
	}
}

// Close ends the association: close_notify is sent, once, and Closed follows
// with ErrClosed. It waits for nothing.
func (c *Conn) Close(now mono.Time) {
	if c.phase == phaseClosed {
		return
	}
	if c.phase != phaseNew {
		c.alert(alertWarning, AlertCloseNotify)
	}
	c.closed(ErrClosed)
}

// settle ends the association if err, from a handshake function, says so.
func (c *Conn) settle(err error) {
	if e, ok := err.(*AlertError); ok {
		c.alert(alertFatal, e.Alert)
		c.closed(e)
	}
}

// closed ends the association. Alerts which are queued may still be sent.
func (c *Conn) closed(err error) {
	if c.phase == phaseClosed {
		return
	}
	c.phase = phaseClosed
	c.events = append(c.events, Closed{err})
	c.hs, c.hs13, c.doubt = nil, nil, nil
	clear(c.sess.master[:])
	clear(c.sess13.exporter)
	c.ackAt, c.ackDue, c.posting = 0, false, 0
	c.path = pathCheck{}
	c.spare, c.offers = nil, nil
	c.out.stop()
	c.verify = nil
	c.in = reassembler{}
	c.early = earlyQueue{}
}
