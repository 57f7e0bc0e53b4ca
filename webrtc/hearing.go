package webrtc

import (
	"sync/atomic"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// hearing is how events of data channels leave the data lane: over the ctl lane,
// but for messages, which go to the queue of events at once as soon as nothing
// that has to come before them is on its way over the ctl lane. Data lane.
type hearing struct {
	heard map[uint16]*heardChannel // those that are open
}

// heardChannel is one channel, from its opening to its end.
type heardChannel struct {
	// dc is set by the ctl lane, when all that precedes the messages is in the
	// queue of events.
	dc atomic.Pointer[DataChannel]
	// behind is how many messages are on their way over the ctl lane.
	behind atomic.Int32
}

// HandleChannel implements dataplane.Endpoint. Data lane.
func (p *port) HandleChannel(_ mono.Time, ev dataplane.ChannelEvent) {
	h := p.hearing.heard[ev.ID]
	switch ev.Kind {
	case sctp.ChannelOpened, sctp.ChannelReady:
		if p.hearing.heard == nil {
			p.hearing.heard = make(map[uint16]*heardChannel)
		}
		h = new(heardChannel)
		p.hearing.heard[ev.ID] = h
	case sctp.ChannelClosed:
		delete(p.hearing.heard, ev.ID) // the id may be used again before the ctl lane knows
	case sctp.ChannelMessage:
		if h == nil {
			break
		}
		if dc := h.dc.Load(); dc != nil && !ev.More && h.behind.Load() == 0 && dc.heard(Message{Text: ev.Text, Data: ev.Data}) {
			return
		}
		h.behind.Add(1)
	case sctp.ChannelBufferedAmountLow:
		// Which each message is followed by where the threshold is 0.
		if h != nil && h.dc.Load().ignoresLow() {
			return
		}
	}
	p.onLane(h, ev)
}

// onLane takes an event to the ctl lane.
func (p *port) onLane(h *heardChannel, ev dataplane.ChannelEvent) {
	p.lane.Post(func(mono.Time) {
		if p.t != nil {
			p.t.handleChannel(h, ev)
		}
		if h != nil && ev.Kind == sctp.ChannelMessage {
			h.behind.Add(-1)
		}
	})
}

// heard takes a whole message. It reports false for a channel that is read by
// other means than OnMessage, and takes nothing then. Data lane.
func (dc *DataChannel) heard(m Message) bool {
	if dc.isDetached.Load() {
		return false
	}
	dc.stat.messagesReceived.Add(1)
	dc.stat.bytesReceived.Add(uint64(len(m.Data)))
	dc.inbox.Push(m)
	dc.pc.events.message(dc)
	if dc.isDetached.Load() {
		// Detach may have missed it.
		dc.pc.lane.Post(func(mono.Time) {
			dc.mu.Lock()
			defer dc.mu.Unlock()
			dc.moveInbox()
		})
	}
	return true
}

// ignoresLow reports whether nobody is to be told that BufferedAmount has fallen.
// Data lane.
func (dc *DataChannel) ignoresLow() bool {
	if dc == nil || dc.wantsLow.Load() || dc.isDetached.Load() {
		return false
	}
	dc.above.Store(false)
	return true
}

// moveInbox gives who has detached the channel what waits for OnMessage. dc.mu is
// held.
func (dc *DataChannel) moveInbox() {
	dc.emptyInbox(func(m Message) { dc.detached.push(piece{Message: m}) })
}

// emptyInbox calls f with all messages that have not been delivered. dc.mu is
// held.
func (dc *DataChannel) emptyInbox(f func(Message)) {
	for _, m := range dc.putOff {
		f(m)
	}
	dc.putOff = nil
	for {
		m, ok := dc.inbox.Pop()
		if !ok {
			return
		}
		f(m)
	}
}
