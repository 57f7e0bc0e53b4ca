package dtls

import (
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// ConnectionIdUsage of a NewConnectionId (RFC 9147 §9).
const (
	idImmediate = 0
	idSpare     = 1
)

// newConnectionID is RFC 9147 §9.
type newConnectionID struct {
	ids   [][]byte
	usage uint8
}

// parseNewConnectionID's result aliases b.
func parseNewConnectionID(b []byte) (m newConnectionID, ok bool) {
	r := reader{b: b}
	list := reader{b: r.vec16()}
	m.usage = r.u8()
	if !r.done() {
		return m, false
	}
	for n := 0; len(list.b) > 0; n++ {
		id := list.vec8()
		if list.bad {
			return m, false
		}
		if n < maxSpareIDs { // more may be discarded
			m.ids = append(m.ids, id)
		}
	}
	return m, true
}

func (m *newConnectionID) append(b []byte) []byte {
	b, at := open16(b)
	for _, id := range m.ids {
		b = appendVec8(b, id)
	}
	return append(close16(b, at), m.usage)
}

// onRequestConnectionID: the peer wants more IDs of ours.
func (c *Conn) onRequestConnectionID(m message) error {
	r := reader{b: m.body()}
	n := r.u8()
	switch {
	case !r.done():
		return malformed()
	case c.agreed.ids.len() == 0: // RFC 9147 §9
		return unexpected()
	case c.idsOwed:
		return fatal(AlertTooManyCIDsRequested, ErrUnexpected)
	case n == 0:
		return nil
	}
	c.idsOwed = true
	c.events = append(c.events, ConnectionIDsWanted{int(n)})
	return nil
}

// onNewConnectionID: the peer has more IDs for us.
func (c *Conn) onNewConnectionID(m message) error {
	if len(c.agreed.ids.peer) == 0 { // RFC 9147 §9
		return unexpected()
	}
	n, ok := parseNewConnectionID(m.body())
	if !ok {
		return malformed()
	}
	if n.usage > idSpare || n.usage == idImmediate && len(n.ids) == 0 {
		return fatal(AlertIllegalParameter, ErrParameter)
	}
	c.idsAwaited = false
	for _, id := range n.ids {
		if len(c.spare) < maxSpareIDs {
			c.spare = append(c.spare, slices.Clone(id))
		}
	}
	if n.usage == idImmediate {
		c.useID(slices.Clone(n.ids[0]))
		c.spare = slices.DeleteFunc(c.spare, func(id []byte) bool { return slices.Equal(id, n.ids[0]) })
	}
	return nil
}

// useID changes the connection ID in our records.
func (c *Conn) useID(id []byte) {
	c.agreed.ids.peer = id
	c.state.PeerConnectionID = id
	if c.handed {
		c.maxPlain = c.cfg.MTU - overhead13 - len(id)
		if c.agreed.maxSeal != 0 {
			c.maxPlain = min(c.maxPlain, c.agreed.maxSeal-1)
		}
	} else {
		c.records.UseConnectionID(id)
	}
	c.events = append(c.events, ConnectionIDChanged{slices.Clone(id)})
}

// RequestConnectionIDs asks the peer for n more connection IDs, 1 to 255 (RFC 9147
// §9); what comes is kept for SpareConnectionID. A request that is on its way makes
// another wait. Errors: ErrNotConnected, and ErrVersion in DTLS 1.2 or without a
// connection ID of the peer's. Drain TransmitRecord afterwards.
func (c *Conn) RequestConnectionIDs(now mono.Time, n uint8) error {
	if err := c.idsChange(len(c.agreed.ids.peer)); err != nil {
		return err
	}
	c.idsWanted = n
	c.postNext(now)
	return nil
}

func (c *Conn) idsChange(negotiated int) error {
	switch {
	case c.phase != phaseConnected:
		return ErrNotConnected
	case !c.v13() || negotiated == 0:
		return ErrVersion
	}
	return nil
}

// OfferConnectionIDs tells the peer more connection IDs of ours, as long as the
// first one; immediate demands that it goes over to the first of them at once. After
// hand-over call Records.AcceptConnectionID for each before. What does not fit into
// a datagram is left out; n is how many were taken, none while others are waiting
// to be sent. Errors as of RequestConnectionIDs, and ErrParameter for a wrong
// length. Drain TransmitRecord afterwards.
func (c *Conn) OfferConnectionIDs(now mono.Time, immediate bool, ids ...[]byte) (n int, err error) {
	size := c.agreed.ids.len()
	if err := c.idsChange(size); err != nil {
		return 0, err
	}
	if slices.ContainsFunc(ids, func(id []byte) bool { return len(id) != size }) || immediate && len(ids) == 0 {
		return 0, ErrParameter
	}
	if c.offers != nil {
		return 0, nil
	}
	if !c.handed {
		c.measure()
	}
	n = min(len(ids), maxSpareIDs, (c.maxPlain-messageHeaderLen-3)/(1+size))
	m := newConnectionID{ids: ids[:n], usage: idSpare}
	if immediate {
		m.usage = idImmediate
	}
	for _, id := range m.ids {
		c.agreed.ids.accept(id)
		if !c.handed {
			c.records.AcceptConnectionID(id)
		}
	}
	c.offers = m.append(nil)
	c.idsOwed = false
	c.postNext(now)
	return n, nil
}

// SpareConnectionID goes over to a connection ID of the peer's that was not used
// yet, as one should when one's address changes, lest somebody links the two (RFC
// 9147 §9). A ConnectionIDChanged event follows. ok is false when there is none.
func (c *Conn) SpareConnectionID() (ok bool) {
	if c.phase != phaseConnected || len(c.spare) == 0 {
		return false
	}
	id := c.spare[0]
	c.spare = c.spare[1:]
	c.useID(id)
	return true
}
