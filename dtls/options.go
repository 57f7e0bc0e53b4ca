package dtls

import (
	"encoding/binary"
	"slices"
)

// options are the extensions which both sides may do without. Nil means that one
// is absent.
type options struct {
	alpn  []byte // the ProtocolNameList, without its length (RFC 7301 §3.1)
	limit int    // record_size_limit (RFC 8449 §4); 0: absent
	id    []byte // connection_id (RFC 9146 §3); empty but not nil for an empty one
	rrc   bool   // RFC 9853 §3
}

// extension takes an extension in if it is one of options.
func (o *options) extension(typ uint16, e *reader) (known, ok bool) {
	switch typ {
	case extALPN:
		o.alpn = e.vec16()
		ok = validALPN(o.alpn)
	case extRecordSizeLimit:
		o.limit = int(e.u16())
		ok = !e.bad
		if o.limit == 0 {
			o.limit = -1 // present, and as wrong as all below 64
		}
	case extConnectionID:
		o.id = e.vec8()
		ok = o.id != nil
	case extRRC:
		o.rrc, ok = true, true
	default:
		return false, false
	}
	return true, ok
}

func (o *options) append(b []byte) []byte {
	if o.alpn != nil {
		var at int
		b, at = open16(binary.BigEndian.AppendUint16(b, extALPN))
		b = close16(appendVec16(b, o.alpn), at)
	}
	if o.limit != 0 {
		b = append(binary.BigEndian.AppendUint16(b, extRecordSizeLimit), 0, 2)
		b = binary.BigEndian.AppendUint16(b, uint16(max(o.limit, 0)))
	}
	if o.id != nil {
		var at int
		b, at = open16(binary.BigEndian.AppendUint16(b, extConnectionID))
		b = close16(appendVec8(b, o.id), at)
	}
	if o.rrc {
		b = append(binary.BigEndian.AppendUint16(b, extRRC), 0, 0)
	}
	return b
}

// validALPN tells whether b is a list of at least one name, none of them empty
// (RFC 7301 §3.1).
func validALPN(b []byte) bool {
	r := reader{b: b}
	for len(r.b) > 0 && !r.bad {
		if len(r.vec8()) == 0 {
			return false
		}
	}
	return len(b) > 0 && !r.bad
}

func appendALPN(b []byte, names ...string) []byte {
	for _, n := range names {
		b = append(append(b, byte(len(n))), n...)
	}
	return b
}

// soleALPN returns the name of a list which must hold one (RFC 7301 §3.1).
func soleALPN(list []byte) (string, bool) {
	r := reader{b: list}
	name := r.vec8()
	return string(name), r.done()
}

// holdsALPN tells whether a valid list has a name.
func holdsALPN(list []byte, name string) bool {
	for r := (reader{b: list}); len(r.b) > 0; {
		if string(r.vec8()) == name {
			return true
		}
	}
	return false
}

// agreement is what the options came to.
type agreement struct {
	ids              connectionIDs
	maxSeal, maxOpen int // see Records; 0: no limit was agreed on
	rrc              bool
}

// offerOptions is the options of our ClientHello.
func (c *Conn) offerOptions() (o options) {
	if len(c.cfg.ALPN) > 0 {
		o.alpn = appendALPN(nil, c.cfg.ALPN...)
	}
	o.limit = c.cfg.RecordSizeLimit
	o.id = c.cfg.ConnectionID
	o.rrc = c.cfg.ReturnRoutability
	return o
}

// answerOptions negotiates what a ClientHello offers. In DTLS 1.3 the answer is
// divided: hello goes into ServerHello, sealed into EncryptedExtensions; in 1.2
// both are one.
func (c *Conn) answerOptions(o *options) (hello, sealed options, err error) {
	if len(c.cfg.ALPN) > 0 && o.alpn != nil {
		i := slices.IndexFunc(c.cfg.ALPN, func(n string) bool { return holdsALPN(o.alpn, n) })
		if i < 0 { // RFC 7301 §3.2
			return hello, sealed, fatal(AlertNoApplicationProtocol, ErrNegotiation)
		}
		c.state.ALPN = c.cfg.ALPN[i]
		sealed.alpn = appendALPN(nil, c.state.ALPN)
	}
	if o.limit != 0 {
		if err := c.limitRecords(o.limit); err != nil {
			return hello, sealed, err
		}
		sealed.limit = c.ownLimit()
	}
	if o.id != nil && c.cfg.ConnectionID != nil {
		c.agreeIDs(o.id)
		hello.id = c.cfg.ConnectionID
		hello.rrc = o.rrc && c.cfg.ReturnRoutability
		c.agreed.rrc = hello.rrc
	}
	return hello, sealed, nil
}

// takeOptions checks what a server answers. The client's hello has everything it
// may answer to.
func (c *Conn) takeOptions(o *options) error {
	offered := &c.hs.hello.options
	if o.alpn != nil && offered.alpn == nil || o.limit != 0 && offered.limit == 0 ||
		o.id != nil && offered.id == nil || o.rrc && !offered.rrc { // RFC 8446 §4.2
		return fatal(AlertUnsupportedExtension, ErrParameter)
	}
	if o.alpn != nil {
		name, sole := soleALPN(o.alpn)
		if !sole {
			return malformed()
		}
		if !slices.Contains(c.cfg.ALPN, name) { // RFC 7301 §3.2
			return fatal(AlertIllegalParameter, ErrParameter)
		}
		c.state.ALPN = name
	}
	if o.limit != 0 {
		if err := c.limitRecords(o.limit); err != nil {
			return err
		}
	}
	if o.id != nil {
		c.agreeIDs(o.id)
	}
	if o.rrc && len(c.agreed.ids.peer)+c.agreed.ids.len() == 0 && o.id == nil { // RFC 9853 §3
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	c.agreed.rrc = c.agreed.rrc || o.rrc
	return nil
}

// agreeIDs notes the connection ID that the peer wants to be sent.
func (c *Conn) agreeIDs(peer []byte) {
	c.agreed.ids.peer = slices.Clone(peer)
	c.agreed.ids.accept(c.cfg.ConnectionID)
	c.state.LocalConnectionID = c.cfg.ConnectionID
	c.state.PeerConnectionID = c.agreed.ids.peer
}

// limitRecords notes the peer's record_size_limit. In DTLS 1.2 it is about the
// plaintext, in 1.3 the type and padding count as well (RFC 8449 §4).
func (c *Conn) limitRecords(n int) error {
	if n < minRecordSize {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	c.agreed.maxSeal, c.agreed.maxOpen = n, c.ownLimit()
	return nil
}

// ownLimit is the record_size_limit that we answer with.
func (c *Conn) ownLimit() int {
	most := maxFragment
	if c.v13() {
		most++
	}
	if c.cfg.RecordSizeLimit == 0 {
		return most
	}
	return min(most, c.cfg.RecordSizeLimit)
}

// dress gives a new record layer what was agreed on.
func (c *Conn) dress(r *Records) {
	a := &c.agreed
	r.ids = connectionIDs{ours: slices.Clone(a.ids.ours), peer: a.ids.peer}
	r.pad, r.mtu = c.cfg.PadTo, c.cfg.MTU
	if !r.v13 && len(a.ids.peer) > 0 {
		r.maxSeal = maxFragment + 1 // the type is sealed, too
	}
	if !r.v13 && a.ids.len() > 0 {
		r.maxOpen = maxPayload13
	}
	if a.maxSeal != 0 {
		r.maxSeal = min(r.maxSeal, a.maxSeal)
	}
	if a.maxOpen != 0 && a.maxOpen < maxFragment {
		r.maxOpen = a.maxOpen
	}
	r.measure()
}
