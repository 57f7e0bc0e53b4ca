package sctp

import (
	"errors"

	"github.com/sluicertc/sluice/internal/mono"
)

// What the methods of Channels return beside the errors of Association.
var (
	ErrNoChannel     = errors.New("sctp: no such data channel")
	ErrChannelClosed = errors.New("sctp: data channel is closing")
	ErrChannelInUse  = errors.New("sctp: data channel id is in use")
	ErrNoFreeChannel = errors.New("sctp: all data channel ids are in use")
	ErrChannelParams = errors.New("sctp: label, protocol or options of a data channel out of range")
	// ErrChannelRefused: the peer closed the channel before acknowledging it
	// (RFC 8832 §6), or does not take as many streams.
	ErrChannelRefused = errors.New("sctp: peer refused the data channel")
)

// ChannelParams describes a data channel. The zero value is W3C's default:
// ordered, reliable, opened in-band with an id chosen here.
type ChannelParams struct {
	Label, Protocol string // at most 65535 bytes each
	Unordered       bool
	// At most one of these is set.
	MaxRetransmits    *uint16
	MaxPacketLifeTime *uint16 // ms
	// Negotiated: no OPEN is sent; the peer makes the same channel. ID is then
	// required, and otherwise optional. 65535 is no id.
	Negotiated bool
	ID         *uint16
	Priority   uint16 // RFC 8832 §8.2.1: 128, 256, 512 or 1024; 0: 256
}

// ChannelEventKind says what a ChannelEvent reports.
type ChannelEventKind uint8

const (
	// ChannelsConnected: the association is up. Channels made before are open
	// from here on, each with its ChannelReady.
	ChannelsConnected ChannelEventKind = iota + 1
	// ChannelOpened: the peer has opened ID with Params, which may be used.
	ChannelOpened
	// ChannelReady: a channel opened here is open, which it is as soon as the
	// association is up: messages may follow the OPEN (RFC 8832 §6). A peer that
	// does not want it closes it, and then ChannelClosed has ErrChannelRefused.
	ChannelReady
	// ChannelMessage: Text and Data. Call Consume when done with it.
	ChannelMessage
	// ChannelMessageAborted: the rest of a message with More will not come.
	ChannelMessageAborted
	// ChannelBufferedAmountLow: BufferedAmount fell to its threshold.
	ChannelBufferedAmountLow
	// ChannelWritable: a Send which failed with ErrSendBufferFull may be
	// tried again, on any channel.
	ChannelWritable
	// ChannelClosing: the peer has closed ID, or has sent a message that is too
	// long. What was sent here before is still delivered; nothing more can be
	// sent.
	ChannelClosing
	// ChannelClosed: ID is closed both ways and may be used again. Err is nil
	// after an orderly close, and ErrPeerMessage where a message came that is
	// longer than is taken: it closes its channel, and harms no other.
	ChannelClosed
	// ChannelsClosed: the association has ended; Err as in EventClosed. Each
	// channel has had its ChannelClosed. Nothing follows.
	ChannelsClosed
)

// ChannelEvent is an event of Channels.
type ChannelEvent struct {
	Kind   ChannelEventKind
	ID     uint16
	Text   bool
	More   bool // ChannelMessage: the message goes on (SetParts)
	Data   []byte
	Params *ChannelParams
	Err    error
}

// channel is one data channel.
type channel struct {
	id     uint16
	params ChannelParams
	remote bool // the peer sent the OPEN
	acked  bool // the peer knows of it: data may leave unordered (RFC 8832 §6)
	ready  bool // Opened or Ready has been reported

	deaf    bool  // what comes is not wanted any more
	closing bool  // no more Send; the reset of our stream was asked for
	outDone bool  // our stream is reset
	inDone  bool  // the peer's is
	skip    int   // resets of an earlier channel on our stream, not done yet
	err     error // to report with Closed
}

// Channels is an association which carries data channels. Data lane.
type Channels struct {
	assoc     *Association
	client    bool
	connected bool
	closed    bool
	channels  map[uint16]*channel
	names     int    // bytes of the labels and protocols of remote channels
	nextID    uint32 // where to look for a free id
	events    fifo[ChannelEvent]
	now       mono.Time // of the last call
	unwanted  uint64
}

// NewChannels makes the channels of one transport. The DTLS client uses even
// stream ids and the DTLS server odd ones (RFC 8832 §6).
func NewChannels(cfg Config, dtlsClient bool) *Channels {
	cfg.DTLS = true
	c := &Channels{
		assoc: New(cfg), client: dtlsClient,
		channels: make(map[uint16]*channel),
	}
	c.assoc.refuses, c.assoc.rx.data.refuses = true, true
	return c
}

// Association returns the association underneath, for Stats and limits. Its
// verbs and Event belong to Channels.
func (c *Channels) Association() *Association { return c.assoc }

// SetDTLSClient says which side of DTLS this is, where NewChannels was called
// before that was known: before Start.
func (c *Channels) SetDTLSClient(client bool) { c.client = client }

// SetBudget replaces Config.Budget, where the goroutine that is to own the
// association was not known when it was made: before Start.
func (c *Channels) SetBudget(b *Budget) { c.assoc.cfg.Budget = b }

// Start sends an INIT; both sides do.
func (c *Channels) Start(now mono.Time) { c.assoc.Start(now) }

// HandlePacket takes one SCTP packet; see Association.HandlePacket.
func (c *Channels) HandlePacket(now mono.Time, b []byte) error {
	err := c.assoc.HandlePacket(now, b)
	c.pump(now)
	return err
}

// HandleTimeout does what is due at now.
func (c *Channels) HandleTimeout(now mono.Time) {
	c.assoc.HandleTimeout(now)
	c.pump(now)
}

// Timeout returns when HandleTimeout is due; 0: never.
func (c *Channels) Timeout() mono.Time { return c.assoc.Timeout() }

// Transmit writes one packet into b; see Association.Transmit.
func (c *Channels) Transmit(now mono.Time, b []byte) int {
	n := c.assoc.Transmit(now, b)
	c.pump(now)
	return n
}

// Event returns the next event. Drain it after every other call.
func (c *Channels) Event() (ChannelEvent, bool) {
	if c.events.len() == 0 {
		c.assoc.rx.data.flushParts()
		c.pump(c.now)
	}
	return c.events.pop()
}

// Open makes a channel and returns its id. Before the association is up the
// OPEN waits; Send may be used at once. Errors: ErrChannelParams,
// ErrChannelInUse, ErrNoFreeChannel, and those of Association.Write.
func (c *Channels) Open(now mono.Time, p ChannelParams) (id uint16, err error) {
	if c.closed {
		return 0, ErrClosed
	}
	if len(p.Label) > maxName || len(p.Protocol) > maxName || (p.MaxRetransmits != nil && p.MaxPacketLifeTime != nil) ||
		(p.Negotiated && p.ID == nil) || (p.ID != nil && *p.ID >= c.assoc.outStreams) {
		return 0, ErrChannelParams
	}
	if p.ID != nil {
		id = *p.ID
		if c.channels[id] != nil {
			return 0, ErrChannelInUse
		}
	} else if id, err = c.freeID(); err != nil {
		return 0, err
	}
	ch := &channel{id: id, params: p, acked: p.Negotiated, skip: c.assoc.resetsPending(id)}
	ch.params.ID = &ch.id
	if !p.Negotiated {
		err = c.assoc.write(now, id, ppidDCEP, appendOpen(nil, &p), SendOptions{}, writeMode{quiet: true})
		if err != nil {
			return 0, err
		}
	}
	c.assoc.SetPriority(id, p.Priority)
	c.channels[id] = ch
	if c.connected {
		c.report(ch, ChannelReady)
	}
	return id, nil
}

// freeID returns an unused id of our parity. It goes around, so that an id is
// not used again at once.
func (c *Channels) freeID() (uint16, error) {
	first := uint32(1)
	if c.client {
		first = 0
	}
	n := (uint32(c.assoc.outStreams) + 1 - first) / 2
	for range n {
		id := uint16(first + 2*(c.nextID%n))
		c.nextID = (c.nextID + 1) % n
		if c.channels[id] == nil {
			return id, nil
		}
	}
	return 0, ErrNoFreeChannel
}

// Send queues one message and copies data, which may be empty. Text is not
// checked to be UTF-8. Errors: ErrNoChannel, ErrChannelClosed and those of
// Association.Write.
func (c *Channels) Send(now mono.Time, id uint16, text bool, data []byte) error {
	return c.send(now, id, text, data, writeMode{})
}

// SendPart queues part of a message, which is open while more is true; see
// Association.WritePart. The channel must be reliable.
func (c *Channels) SendPart(now mono.Time, id uint16, text bool, data []byte, more bool) error {
	ch := c.channels[id]
	switch {
	case ch != nil && (ch.params.MaxRetransmits != nil || ch.params.MaxPacketLifeTime != nil):
		return ErrMessageOpen
	case len(data) == 0 && (more || c.assoc.MessageOpen(id)):
		return ErrEmptyMessage
	}
	return c.send(now, id, text, data, writeMode{part: true, more: more})
}

// AbortPart gives up a channel's open message; see Association.AbortPart.
func (c *Channels) AbortPart(now mono.Time, id uint16) error { return c.assoc.AbortPart(now, id) }

// SetParts has the messages of an ordered channel reported in parts as they
// come; see Association.SetParts. It lasts until the channel is closed.
func (c *Channels) SetParts(id uint16, on bool) {
	if c.channels[id] != nil {
		c.assoc.SetParts(id, on)
	}
}

func (c *Channels) send(now mono.Time, id uint16, text bool, data []byte, mode writeMode) error {
	ch := c.channels[id]
	switch {
	case c.closed:
		return ErrClosed
	case ch == nil:
		return ErrNoChannel
	case ch.closing:
		return ErrChannelClosed
	}
	ppid := uint32(ppidBinary)
	switch {
	case text && len(data) == 0:
		ppid = ppidTextEmpty
	case text:
		ppid = ppidText
	case len(data) == 0:
		ppid = ppidBinaryEmpty
	}
	empty := len(data) == 0
	if empty {
		data = []byte{0} // RFC 8831 §6.6
	}
	// RFC 8832 §6: ordered until the ACK, so that nothing overtakes the OPEN.
	opt := SendOptions{Unordered: ch.params.Unordered && ch.acked}
	if v := ch.params.MaxRetransmits; v != nil {
		opt.Reliability, opt.Value = Rexmit, uint32(*v)
	} else if v := ch.params.MaxPacketLifeTime; v != nil {
		opt.Reliability, opt.Value = Timed, uint32(*v)
	}
	mode.quiet = empty
	return c.assoc.write(now, id, ppid, data, opt, mode)
}

// Close closes a channel: what was sent is delivered first, but for a message
// which is still open (SendPart), then our stream is reset, and the peer resets its own (RFC 8831 §6.7). ChannelClosed follows.
// Closing twice, or a channel which is not there, does nothing.
func (c *Channels) Close(now mono.Time, id uint16) {
	if ch := c.channels[id]; ch != nil {
		c.close(now, ch)
		c.pump(now)
	}
}

// Consume tells that n bytes of a channel's messages have been dealt with; see
// Association.Consume.
func (c *Channels) Consume(id uint16, n int) { c.assoc.Consume(id, n) }

// BufferedAmount is the bytes sent on a channel and not yet on the network.
func (c *Channels) BufferedAmount(id uint16) int { return c.assoc.BufferedAmount(id) }

// SetBufferedAmountLowThreshold sets when ChannelBufferedAmountLow is reported.
func (c *Channels) SetBufferedAmountLowThreshold(id uint16, n int) {
	if c.channels[id] != nil {
		c.assoc.SetBufferedAmountLowThreshold(id, n)
	}
}

// Shutdown ends the association after everything has been delivered.
func (c *Channels) Shutdown(now mono.Time) {
	c.assoc.Shutdown(now)
	c.pump(now)
}

// Abort ends the association at once.
func (c *Channels) Abort(now mono.Time, reason string) {
	c.assoc.Abort(now, reason)
	c.pump(now)
}

// Stats returns those of the association.
func (c *Channels) Stats() Stats { return c.assoc.Stats() }
