package sctp

import (
	"maps"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
)

// What the association reports, turned into what channels report.

// pump takes the association's events.
func (c *Channels) pump(now mono.Time) {
	c.now = now
	for {
		e, ok := c.assoc.events.pop() // parts when nothing else is left
		if !ok {
			return
		}
		switch e.Kind {
		case EventConnected:
			c.onConnected(now)
		case EventMessage:
			c.onMessage(now, &e)
		case EventMessageAborted:
			if c.channels[e.SID] != nil {
				c.events.push(ChannelEvent{Kind: ChannelMessageAborted, ID: e.SID})
			}
		case EventMessageRefused:
			c.onMessageRefused(now, e.SID)
		case EventStreamsReset:
			c.onStreamsReset(now, &e)
		case EventResetDone:
			c.onResetDone(now, &e)
		case EventBufferedAmountLow:
			if c.channels[e.SID] != nil {
				c.events.push(ChannelEvent{Kind: ChannelBufferedAmountLow, ID: e.SID})
			}
		case EventWritable:
			c.events.push(ChannelEvent{Kind: ChannelWritable})
		case EventRestarted:
			// The other end knows nothing of our channels any more.
			c.endAll(ErrRestarted)
			c.connected = false
		case EventClosed:
			c.endAll(e.Err)
			c.closed = true
			c.events.push(ChannelEvent{Kind: ChannelsClosed, Err: e.Err})
		}
	}
}

func (c *Channels) report(ch *channel, kind ChannelEventKind) {
	ch.ready = true
	p := ch.params
	c.events.push(ChannelEvent{Kind: kind, ID: ch.id, Params: &p})
}

func (c *Channels) onConnected(now mono.Time) {
	c.connected = true
	c.events.push(ChannelEvent{Kind: ChannelsConnected})
	for _, id := range c.ids() {
		ch := c.channels[id]
		switch {
		case id >= c.assoc.outStreams:
			ch.err = ErrChannelRefused
			c.remove(ch)
		case !ch.ready && !ch.closing:
			c.report(ch, ChannelReady)
		}
	}
}

// ids of all channels, in order, so that events do not depend on chance.
func (c *Channels) ids() []uint16 { return slices.Sorted(maps.Keys(c.channels)) }

// endAll closes every channel with the association.
func (c *Channels) endAll(err error) {
	for _, id := range c.ids() {
		ch := c.channels[id]
		if ch.err == nil {
			ch.err = err
		}
		delete(c.channels, id)
		c.events.push(ChannelEvent{Kind: ChannelClosed, ID: id, Err: ch.err})
	}
	c.names = 0
}

// onMessage sorts a message by its PPID, RFC 8831 §6.6.
func (c *Channels) onMessage(now mono.Time, e *Event) {
	if e.PPID == ppidDCEP {
		c.assoc.Consume(e.SID, len(e.Data))
		c.onDCEP(now, e)
		return
	}
	ch := c.channels[e.SID]
	text, empty := false, false
	switch e.PPID {
	case ppidText:
		text = true
	case ppidBinary:
	case ppidTextEmpty:
		text, empty = true, true
	case ppidBinaryEmpty:
		empty = true
	default:
		ch = nil // RFC 8831 §6.6 has no other
	}
	if ch == nil || ch.inDone || ch.deaf || !ch.ready { // not ready: refused
		c.unwanted++
		c.assoc.Consume(e.SID, len(e.Data))
		return
	}
	ch.acked = true // RFC 8832 §6: data says as much as an ACK
	if empty {
		c.assoc.Consume(e.SID, len(e.Data))
		e.Data = nil
	}
	c.events.push(ChannelEvent{Kind: ChannelMessage, ID: ch.id, Text: text, More: e.More, Data: e.Data})
}

// onMessageRefused closes a channel whose peer has sent a message that is too
// long: what follows it would be taken for what it was to be.
func (c *Channels) onMessageRefused(now mono.Time, sid uint16) {
	ch := c.channels[sid]
	if ch == nil || ch.deaf {
		return
	}
	ch.deaf = true
	if ch.err == nil {
		ch.err = ErrPeerMessage
	}
	if !ch.closing {
		if ch.ready {
			c.events.push(ChannelEvent{Kind: ChannelClosing, ID: sid})
		}
		c.close(now, ch)
	}
}

func (c *Channels) onDCEP(now mono.Time, e *Event) {
	if len(e.Data) == 0 {
		return
	}
	ch := c.channels[e.SID]
	switch e.Data[0] {
	case dcepAck:
		if ch != nil && !ch.remote && !ch.params.Negotiated {
			ch.acked = true
		}
	case dcepOpen:
		p, ok := parseOpen(e.Data)
		if ch != nil && ch.inDone {
			// The peer has seen the end of our stream, and opens it anew
			// before we have heard that it has.
			c.remove(ch)
			ch = nil
		}
		if ch != nil {
			c.close(now, ch) // in use: RFC 8832 §6
			return
		}
		c.accept(now, e.SID, &p, ok)
	}
}

// accept takes the peer's OPEN for a stream which is not in use. RFC 8832 §6:
// one which is not well formed is closed at once.
//
// Deviates: §6 has an id of our parity refused, too. aiortc takes the parity
// from the ICE role and not from DTLS; browsers accept it, and so it must open.
func (c *Channels) accept(now mono.Time, sid uint16, p *ChannelParams, ok bool) {
	ch := &channel{id: sid, params: *p, remote: true, acked: true, skip: c.assoc.resetsPending(sid)}
	ch.params.ID = &ch.id
	size := len(p.Label) + len(p.Protocol)
	ok = ok && sid < c.assoc.outStreams && c.names+size <= maxRemoteNames
	if ok {
		ok = c.assoc.write(now, sid, ppidDCEP, []byte{dcepAck}, SendOptions{}, writeMode{force: true, quiet: true}) == nil
	}
	if !ok {
		ch.params = ChannelParams{}
		c.channels[sid] = ch
		c.close(now, ch)
		return
	}
	c.names += size
	c.channels[sid] = ch
	c.assoc.SetPriority(sid, p.Priority)
	c.report(ch, ChannelOpened)
}

// close begins the closing procedure of our side.
func (c *Channels) close(now mono.Time, ch *channel) {
	if ch.closing {
		return
	}
	ch.closing = true
	if c.assoc.AbortPart(now, ch.id) != nil {
		// Its end cannot come any more, and without RFC 3758 nothing else may
		// follow it.
		c.assoc.Abort(now, "message given up")
		return
	}
	switch err := c.assoc.ResetStreams(now, []uint16{ch.id}); err {
	case nil:
	case ErrClosed: // ends with the association
	default:
		// Without RFC 6525 there is no way to tell the peer.
		ch.outDone, ch.inDone = true, true
		c.settle(now, ch)
	}
}

// onStreamsReset is the peer's half of a close.
func (c *Channels) onStreamsReset(now mono.Time, e *Event) {
	if e.AllStreams {
		for _, id := range c.ids() {
			c.peerClosed(now, c.channels[id])
		}
		return
	}
	for _, sid := range e.SIDs {
		if ch := c.channels[sid]; ch != nil {
			c.peerClosed(now, ch)
		} else if sid < c.assoc.outStreams {
			// No channel of ours: the peer still waits for our half.
			_ = c.assoc.ResetStreams(now, []uint16{sid})
		}
	}
}

func (c *Channels) peerClosed(now mono.Time, ch *channel) {
	ch.inDone = true
	if !ch.remote && !ch.acked && !ch.closing {
		ch.err = ErrChannelRefused
	}
	if !ch.closing {
		if ch.ready {
			c.events.push(ChannelEvent{Kind: ChannelClosing, ID: ch.id})
		}
		c.close(now, ch)
	}
	c.settle(now, ch)
}

// onResetDone is our half of a close.
func (c *Channels) onResetDone(now mono.Time, e *Event) {
	for _, sid := range e.SIDs {
		ch := c.channels[sid]
		if ch == nil {
			continue
		}
		if ch.skip > 0 {
			ch.skip--
			continue
		}
		ch.outDone = true
		if e.Err != nil {
			// The peer will not have it; to wait for its half would be to wait
			// for ever.
			ch.err, ch.inDone = e.Err, true
		}
		c.settle(now, ch)
	}
}

// settle removes a channel once both directions are reset.
func (c *Channels) settle(now mono.Time, ch *channel) {
	if ch.inDone && ch.outDone && c.channels[ch.id] == ch {
		c.remove(ch)
	}
}

func (c *Channels) remove(ch *channel) {
	delete(c.channels, ch.id)
	c.assoc.SetParts(ch.id, false)
	if ch.remote {
		c.names -= len(ch.params.Label) + len(ch.params.Protocol)
	}
	if ch.ready || !ch.remote {
		c.events.push(ChannelEvent{Kind: ChannelClosed, ID: ch.id, Err: ch.err})
	}
}
