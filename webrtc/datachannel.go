package webrtc

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/chain"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// DataChannelInit is RTCDataChannelInit; nil and the zero value are an
// ordered, reliable channel announced to the peer.
type DataChannelInit struct {
	Unordered         bool
	MaxPacketLifeTime *uint16 // ms
	MaxRetransmits    *uint16
	Protocol          string
	Negotiated        bool // the peer makes the same channel with the same ID
	ID                *uint16
	Priority          Priority
}

// Priority is RTCPriorityType.
type Priority uint16

// The priorities of RFC 8831 §6.4. Zero means PriorityLow.
const (
	PriorityVeryLow Priority = 128
	PriorityLow     Priority = 256
	PriorityMedium  Priority = 512
	PriorityHigh    Priority = 1024
)

// Message is what a data channel carries.
type Message struct {
	Text bool // UTF-8, to be shown as a string
	Data []byte
}

// DataChannel is RTCDataChannel.
type DataChannel struct {
	// Immutable.
	pc       *PeerConnection
	label    string
	protocol string
	init     DataChannelInit

	state atomic.Uint32
	id    atomic.Int32 // -1: not assigned
	meter dataplane.Meter
	stat  channelCounters

	onOpen    handler[struct{}]
	onClose   handler[struct{}]
	onError   handler[error]
	onMessage handler[Message]
	onLow     handler[struct{}]

	low      atomic.Int64
	wantsLow atomic.Bool // OnBufferedAmountLow is set
	watching atomic.Bool // see watchLow
	above    atomic.Bool // somebody has found more than low, and was not told since

	inbox      chain.Queue[Message] // messages that wait for their turn; who takes them holds mu
	isDetached atomic.Bool          // detached is set, or about to be

	mu       sync.Mutex
	putOff   []Message // messages whose turn came before OnMessage
	has      bool      // OnMessage is set
	kept     bool      // by OnMessageKept
	unwanted bool      // Close came before OnMessage
	over     bool      // OnClose has had its turn
	detached *DataChannelConn

	inParts atomic.Bool // a message is being written in parts: no other may come between

	// Ctl lane.
	transport *transport
}

type channelCounters struct {
	messagesSent, messagesReceived, bytesSent, bytesReceived atomic.Uint64
}

func (pc *PeerConnection) newDataChannel(label, protocol string, init DataChannelInit) *DataChannel {
	dc := &DataChannel{pc: pc, label: label, protocol: protocol, init: init}
	dc.id.Store(-1)
	dc.meter.Failed = func(err error) {
		pc.lane.Post(func(mono.Time) { dc.failed(err) })
	}
	if pc.cfg.DataChannels.Detach {
		dc.isDetached.Store(true)
		dc.detached = newChannelConn(dc)
	}
	return dc
}

// CreateDataChannel makes a channel; init may be nil.
func (pc *PeerConnection) CreateDataChannel(label string, init *DataChannelInit) (*DataChannel, error) {
	if init == nil {
		init = &DataChannelInit{}
	}
	switch {
	case len(label) > 65535 || len(init.Protocol) > 65535:
		return nil, fmt.Errorf("%w: label and protocol may have 65535 bytes", ErrType)
	case init.MaxPacketLifeTime != nil && init.MaxRetransmits != nil:
		return nil, fmt.Errorf("%w: MaxPacketLifeTime and MaxRetransmits exclude each other", ErrType)
	case init.Negotiated && init.ID == nil:
		return nil, fmt.Errorf("%w: a negotiated channel needs an ID", ErrType)
	case init.ID != nil && *init.ID == 65535:
		return nil, fmt.Errorf("%w: 65535 is no channel id", ErrType)
	case !utf8.ValidString(label) || !utf8.ValidString(init.Protocol):
		return nil, fmt.Errorf("%w: label and protocol must be UTF-8", ErrType)
	}
	own := *init
	for _, p := range []**uint16{&own.ID, &own.MaxRetransmits, &own.MaxPacketLifeTime} {
		if *p != nil {
			v := **p // the caller may use its variable again
			*p = &v
		}
	}
	init = &own
	dc := pc.newDataChannel(label, init.Protocol, own)
	err := pc.do(func(mono.Time) error {
		if pc.sctpState == SCTPTransportClosed {
			return fmt.Errorf("%w: the SCTP transport is closed", ErrInvalidState)
		}
		if id := init.ID; id != nil && pc.idInUse(*id) {
			return fmt.Errorf("%w: channel id %d is in use", ErrOperation, *id)
		}
		pc.wantChannels = true
		if t := pc.sctpTransport; t != nil && t.channels != nil {
			dc.open(t)
		} else {
			pc.opening = append(pc.opening, dc)
		}
		pc.checkNegotiation()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return dc, nil
}

// idInUse reports whether a channel has an id, or will ask for it.
func (pc *PeerConnection) idInUse(id uint16) bool {
	asks := func(dc *DataChannel) bool { return dc.init.ID != nil && *dc.init.ID == id }
	return pc.channels[id] != nil || slices.ContainsFunc(pc.opening, asks) || slices.ContainsFunc(pc.starting, asks)
}

func (dc *DataChannel) params() sctp.ChannelParams {
	return sctp.ChannelParams{
		Label: dc.label, Protocol: dc.protocol, Unordered: dc.init.Unordered,
		MaxRetransmits: dc.init.MaxRetransmits, MaxPacketLifeTime: dc.init.MaxPacketLifeTime,
		Negotiated: dc.init.Negotiated, ID: dc.init.ID, Priority: uint16(dc.init.Priority),
	}
}

// open opens the channel on the association. Ctl lane.
func (dc *DataChannel) open(t *transport) {
	dc.transport = t
	dc.pc.starting = append(dc.pc.starting, dc)
	t.data.Channels(func(c *sctp.Channels, now mono.Time) {
		id, err := c.Open(now, dc.params())
		// Posted before any event of this channel.
		dc.pc.lane.Post(func(mono.Time) {
			dc.pc.starting = slices.DeleteFunc(dc.pc.starting, func(x *DataChannel) bool { return x == dc })
			if err != nil {
				dc.ended(err)
				return
			}
			dc.id.Store(int32(id))
			dc.pc.channels[id] = dc
			if dc.ReadyState() == DataChannelClosing {
				// Close came before there was an id.
				dc.onTransport((*dataplane.Transport).CloseChannel)
			}
		})
	})
}

// Label is the channel's name.
func (dc *DataChannel) Label() string { return dc.label }

// Protocol is the application's name for what it carries.
func (dc *DataChannel) Protocol() string { return dc.protocol }

// Ordered reports whether messages arrive in order.
func (dc *DataChannel) Ordered() bool { return !dc.init.Unordered }

// MaxPacketLifeTime is in ms, nil when not limited.
func (dc *DataChannel) MaxPacketLifeTime() *uint16 { return dc.init.MaxPacketLifeTime }

// MaxRetransmits is nil when not limited.
func (dc *DataChannel) MaxRetransmits() *uint16 { return dc.init.MaxRetransmits }

// Negotiated reports whether the application agreed on the channel itself.
func (dc *DataChannel) Negotiated() bool { return dc.init.Negotiated }

// ID is the stream identifier; ok is false before it is assigned.
func (dc *DataChannel) ID() (id uint16, ok bool) {
	n := dc.id.Load()
	return uint16(n), n >= 0
}

// ReadyState is the channel's state.
func (dc *DataChannel) ReadyState() DataChannelState { return DataChannelState(dc.state.Load()) }

// BufferedAmount is the bytes sent that are not yet on the network.
func (dc *DataChannel) BufferedAmount() int64 { return dc.meter.Buffered() }

// SetBufferedAmountLowThreshold sets at how many bytes OnBufferedAmountLow is
// called.
func (dc *DataChannel) SetBufferedAmountLowThreshold(n int) {
	dc.low.Store(int64(max(n, 0)))
	dc.onTransport(func(t *dataplane.Transport, id uint16) {
		t.Channels(func(c *sctp.Channels, _ mono.Time) {
			c.SetBufferedAmountLowThreshold(id, n)
			// The fall below it may have come before the association knew of it.
			switch {
			case !dc.above.Load():
				dc.pc.lane.Post(func(mono.Time) { dc.writable() })
			case dc.BufferedAmount() <= int64(n):
				dc.pc.lane.Post(func(mono.Time) { dc.lowered() })
			default:
				dc.watchLow(id)
			}
		})
	})
}

// watchLow sees to it that who finds BufferedAmount above the threshold after
// a Send hears of its fall. The association reports the fall of what it has;
// BufferedAmount counts what is on its way to it too, and that may come in
// parts of which none exceeds the threshold.
func (dc *DataChannel) watchLow(id uint16) {
	low := dc.low.Load()
	if low == 0 || dc.BufferedAmount() <= low {
		return // at 0 each message rises above it
	}
	dc.above.Store(true)
	if dc.watching.Swap(true) {
		return
	}
	dc.transport.data.Channels(func(c *sctp.Channels, _ mono.Time) {
		dc.watching.Store(false)
		switch low := dc.low.Load(); {
		case dc.BufferedAmount() <= low:
			dc.pc.lane.Post(func(mono.Time) { dc.lowered() })
		case int64(c.BufferedAmount(id)) <= low:
			dc.watchLow(id) // behind what is on its way
		}
	})
}

// lowered tells that BufferedAmount has fallen. Ctl lane.
func (dc *DataChannel) lowered() {
	dc.above.Store(false)
	dc.pc.events.push(func() { dc.onLow.call(struct{}{}) })
	dc.writable()
	// What the association had has fallen; much may be on its way to it yet,
	// and who finds that and waits again sends nothing that would be watched.
	if id, ok := dc.ID(); ok {
		dc.watchLow(id)
	}
}

// BufferedAmountLowThreshold is what was set.
func (dc *DataChannel) BufferedAmountLowThreshold() int { return int(dc.low.Load()) }

// onTransport calls f once the channel has an id. Ctl lane.
func (dc *DataChannel) onTransport(f func(t *dataplane.Transport, id uint16)) {
	dc.pc.lane.Post(func(mono.Time) {
		id, ok := dc.ID()
		if ok && dc.transport != nil && dc.transport.data != nil {
			f(dc.transport.data, id)
		}
	})
}

// OnOpen is called when the channel opens, at once if it is open. One that was
// made here is open when the connection is up: messages may follow its
// announcement, which the peer may not have got yet (RFC 8832 §6).
func (dc *DataChannel) OnOpen(f func()) {
	f = sync.OnceFunc(f)
	dc.onOpen.set(func(struct{}) { f() })
	if dc.ReadyState() == DataChannelOpen {
		dc.pc.events.push(f)
	}
}

// OnClose is called when the channel has closed.
func (dc *DataChannel) OnClose(f func()) { dc.onClose.set(func(struct{}) { f() }) }

// OnError is called before OnClose when the channel closes for a fault.
func (dc *DataChannel) OnError(f func(error)) { dc.onError.set(f) }

// OnBufferedAmountLow is called when BufferedAmount has fallen to the
// threshold; under load it may be called once more than that.
func (dc *DataChannel) OnBufferedAmountLow(f func()) {
	dc.onLow.set(func(struct{}) { f() })
	dc.wantsLow.Store(true)
}

// OnMessage is called for each message, those included that came before it
// was set: they come first. Until it returns, the message counts against the
// receive window.
func (dc *DataChannel) OnMessage(f func(Message)) { dc.handleMessages(f, false) }

// OnMessageKept is OnMessage for who keeps messages to work on them later: a
// message counts against the receive window until Consume has been called for
// it. So the peer is made to wait while no handler does.
func (dc *DataChannel) OnMessageKept(f func(Message)) { dc.handleMessages(f, true) }

// Consume tells that n bytes of messages which OnMessageKept was given are
// done with.
func (dc *DataChannel) Consume(n int) {
	if n > 0 {
		dc.consume(n)
	}
}

func (dc *DataChannel) handleMessages(f func(Message), kept bool) {
	dc.onMessage.set(f)
	dc.mu.Lock()
	n := len(dc.putOff)
	dc.has, dc.kept = true, kept
	dc.mu.Unlock()
	dc.pc.events.unshift(dc.deliver, n)
}

// deliver gives the handler the next message. It is called once for each: at
// that place in the order of events it is handled, or put off until there is a
// handler, which then has it called again.
func (dc *DataChannel) deliver() {
	dc.mu.Lock()
	m, ok := dc.nextMessage()
	kept := dc.kept
	dc.mu.Unlock()
	if !ok {
		return
	}
	if !kept {
		defer dc.consume(len(m.Data)) // even if the handler ends the goroutine
	}
	dc.onMessage.call(m)
}

// nextMessage takes the oldest message, if it can be handled now. dc.mu is held.
func (dc *DataChannel) nextMessage() (m Message, ok bool) {
	if dc.detached != nil {
		dc.moveInbox() // came while Detach was called
		return m, false
	}
	if dc.has && len(dc.putOff) > 0 {
		m, dc.putOff[0] = dc.putOff[0], Message{}
		if dc.putOff = dc.putOff[1:]; len(dc.putOff) == 0 {
			dc.putOff = nil
		}
		return m, true
	}
	switch m, ok = dc.inbox.Pop(); {
	case !ok, dc.has && !dc.over:
		return m, ok
	case dc.has || dc.unwanted:
		// Nobody will ask for it, and it would keep the window closed.
		dc.consume(len(m.Data))
	default:
		dc.putOff = append(dc.putOff, m)
	}
	return Message{}, false
}

// consume opens the window for n bytes that this channel has received.
func (dc *DataChannel) consume(n int) {
	if id, ok := dc.ID(); ok && n > 0 {
		dc.transport.data.Consume(id, n)
	}
}

// partial tells that the rest of a message will not come. Ctl lane.
func (dc *DataChannel) partial() {
	dc.mu.Lock()
	defer dc.mu.Unlock()
	if dc.detached != nil {
		dc.detached.push(piece{aborted: true})
	}
}

// received takes a message, or with more a part of one. Ctl lane.
func (dc *DataChannel) received(m Message, more bool) {
	if !more {
		dc.stat.messagesReceived.Add(1)
	}
	dc.stat.bytesReceived.Add(uint64(len(m.Data)))
	dc.mu.Lock()
	defer dc.mu.Unlock()
	if dc.detached != nil {
		dc.moveInbox() // came before
		dc.detached.push(piece{Message: m, more: more})
		return
	}
	dc.inbox.Push(m)
	dc.pc.events.push(dc.deliver)
}

// Send sends a binary message, which is copied: at most 16 MiB, and what the
// peer takes. For longer ones, Detach.
func (dc *DataChannel) Send(data []byte) error { return dc.send(false, data) }

// SendText sends a string, which must be UTF-8.
func (dc *DataChannel) SendText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: a text message must be UTF-8", ErrType)
	}
	return dc.send(true, []byte(s))
}

// maxMessage is the largest message that the peer takes.
func (dc *DataChannel) maxMessage() int { return int(dc.pc.maxMessage.Load()) }

func (dc *DataChannel) send(text bool, data []byte) error {
	if s := dc.ReadyState(); s != DataChannelOpen {
		return fmt.Errorf("%w: the data channel is %v", ErrInvalidState, s)
	}
	if n := min(dc.maxMessage(), maxWhole); len(data) > n {
		return fmt.Errorf("%w: a message of %d bytes; at most %d can be sent", ErrType, len(data), n)
	}
	if n := dc.BufferedAmount(); n > 0 && n+int64(len(data)) > maxBuffered {
		return fmt.Errorf("%w: %d bytes are buffered; wait for OnBufferedAmountLow", ErrOperation, n)
	}
	if dc.inParts.Load() {
		return fmt.Errorf("%w: a message is being written in parts", ErrInvalidState)
	}
	id, _ := dc.ID()
	dc.stat.messagesSent.Add(1)
	dc.stat.bytesSent.Add(uint64(len(data)))
	dc.transport.data.Send(&dc.meter, id, text, slices.Clone(data))
	dc.watchLow(id)
	return nil
}

// failed closes a channel whose message the association did not take: W3C's
// answer to an overrun buffer.
func (dc *DataChannel) failed(err error) {
	if dc.ReadyState() != DataChannelClosed && !errors.Is(err, sctp.ErrClosed) {
		dc.pc.events.push(func() { dc.onError.call(err) })
		_ = dc.Close()
	}
}

// Close closes the channel once everything sent has been delivered. It does
// not wait.
func (dc *DataChannel) Close() error {
	for {
		s := dc.state.Load()
		if DataChannelState(s) >= DataChannelClosing {
			return nil
		}
		if dc.state.CompareAndSwap(s, uint32(DataChannelClosing)) {
			break
		}
	}
	dc.mu.Lock()
	if dc.unwanted = !dc.has; dc.unwanted {
		dc.emptyInbox(func(m Message) { dc.consume(len(m.Data)) })
	}
	dc.mu.Unlock()
	dc.pc.lane.Post(func(mono.Time) {
		if i := slices.Index(dc.pc.opening, dc); i >= 0 {
			dc.pc.opening = slices.Delete(dc.pc.opening, i, i+1)
			dc.ended(nil)
			return
		}
		dc.onTransport((*dataplane.Transport).CloseChannel)
	})
	return nil
}

// opened and ended change the state. Ctl lane.
func (dc *DataChannel) opened() {
	if dc.state.CompareAndSwap(uint32(DataChannelConnecting), uint32(DataChannelOpen)) {
		dc.pc.dataChannels++
		dc.pc.events.push(func() { dc.onOpen.call(struct{}{}) })
		if n := dc.BufferedAmountLowThreshold(); n > 0 {
			dc.SetBufferedAmountLowThreshold(n)
		}
	}
}

func (dc *DataChannel) ended(err error) {
	if DataChannelState(dc.state.Swap(uint32(DataChannelClosed))) == DataChannelClosed {
		return
	}
	dc.mu.Lock()
	if dc.detached != nil {
		why := err
		if dc.pc.stranded {
			why = net.ErrClosed // nobody has closed the channel
		}
		dc.detached.end(why)
	}
	dc.mu.Unlock()
	dc.pc.events.push(func() {
		dc.mu.Lock()
		dc.over = true
		dc.mu.Unlock()
		if err != nil {
			dc.onError.call(err)
		}
		dc.onClose.call(struct{}{})
	})
}
