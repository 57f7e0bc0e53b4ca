package webrtc

import (
	"fmt"
	"math"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sdp"
)

// applyData notes that data channels were negotiated, and starts them when
// DTLS is up. Ctl lane.
func (pc *PeerConnection) applyData(sec *section, remote *sdp.Media) {
	pc.wantChannels = true
	n := uint64(65536) // RFC 8841 §6.1
	if remote.HasMaxMessageSize {
		n = remote.MaxMessageSize
	}
	if n == 0 || n > math.MaxInt32 { // 0: any (§6)
		n = math.MaxInt32
	}
	pc.maxMessage.Store(int64(n))
	pc.peerInit = remote.SCTPInit
	if pc.sctpTransport == nil {
		pc.sctpTransport = sec.transport
		pc.startChannels(sec.transport)
	}
}

// endData ends the data channels, whose section was rejected. Ctl lane.
func (pc *PeerConnection) endData() {
	pc.wantChannels = false
	err := fmt.Errorf("%w: data channels were not negotiated", ErrOperation)
	for _, dc := range append(pc.opening, pc.starting...) {
		dc.ended(err)
	}
	pc.opening = nil
	for _, dc := range pc.channels {
		dc.ended(nil)
	}
	clear(pc.channels)
	if t := pc.sctpTransport; t != nil {
		pc.sctpState = SCTPTransportClosed
		if t.data != nil {
			t.data.Channels(func(c *sctp.Channels, now mono.Time) { c.Abort(now, "section rejected") })
		}
	}
}

func (pc *PeerConnection) newChannels() *sctp.Channels {
	return sctp.NewChannels(pc.cfg.DataChannels.association(), false)
}

// announceChannels is the value of a=sctp-init, empty without Config.SNAP. What
// was said once is said again in later descriptions.
func (pc *PeerConnection) announceChannels() string {
	if pc.cfg.SNAP && pc.sctpInit == "" && (pc.sctpTransport == nil || pc.sctpTransport.channels == nil) {
		pc.announced = pc.newChannels()
		pc.sctpInit = pc.announced.Association().InitText()
	}
	return pc.sctpInit
}

// importInit gives c what the peer has announced, if anything.
func (pc *PeerConnection) importInit(c *sctp.Channels, peer string) error {
	if peer == "" {
		return nil
	}
	return c.Association().ImportInitText(peer)
}

// answerInit is the value of a=sctp-init in an answer: empty where the offer had
// none, or one that cannot be used.
func (pc *PeerConnection) answerInit(offered string) string {
	if offered == "" {
		if pc.announced != nil {
			pc.announced, pc.sctpInit = nil, ""
		}
		return ""
	}
	if own := pc.announceChannels(); pc.announced == nil || pc.importInit(pc.announced, offered) == nil {
		return own
	}
	pc.announced, pc.sctpInit = nil, ""
	return ""
}

// startChannels hands the association to the data lane.
func (pc *PeerConnection) startChannels(t *transport) {
	if pc.sctpTransport != t || t.channels != nil || t.dtlsState != DTLSTransportConnected {
		return
	}
	if t.channels, pc.announced = pc.announced, nil; t.channels == nil {
		t.channels = pc.newChannels()
	} else if err := pc.importInit(t.channels, pc.peerInit); err != nil {
		// A handshake of another association, which the peer takes for a restart.
		pc.log.Info("the peer's a=sctp-init is of no use", "id", pc.id, "err", err)
		t.channels = pc.newChannels()
	}
	t.channels.SetDTLSClient(t.isClient())
	t.channels.SetBudget(t.data.Shard().ChannelMemory())
	t.channels.Association().SetMaxSendMessageSize(int(pc.maxMessage.Load()))
	t.data.SetChannels(t.channels)
	for _, dc := range pc.opening {
		dc.open(t)
	}
	pc.opening = nil
}

// handleChannel takes an event of the data channels, and what the data lane knows
// of the channel.
func (t *transport) handleChannel(h *heardChannel, ev dataplane.ChannelEvent) {
	pc := t.pc
	if pc.closed {
		return
	}
	dc := pc.channels[ev.ID]
	switch ev.Kind {
	case sctp.ChannelsConnected:
		pc.sctpState = SCTPTransportConnected
	case sctp.ChannelsClosed:
		pc.sctpState = SCTPTransportClosed
	case sctp.ChannelOpened:
		p := ev.Params
		dc = pc.newDataChannel(p.Label, p.Protocol, DataChannelInit{
			Unordered: p.Unordered, MaxPacketLifeTime: p.MaxPacketLifeTime, MaxRetransmits: p.MaxRetransmits,
			Priority: Priority(p.Priority),
		})
		dc.transport = t
		dc.id.Store(int32(ev.ID))
		pc.channels[ev.ID] = dc
		pc.events.push(func() { pc.onDataChannel.call(dc) })
		dc.opened()
		h.dc.Store(dc)
	case sctp.ChannelReady:
		if dc != nil {
			dc.opened()
			h.dc.Store(dc)
		}
	case sctp.ChannelMessage:
		if dc != nil {
			dc.received(Message{Text: ev.Text, Data: ev.Data}, ev.More)
		}
	case sctp.ChannelMessageAborted:
		if dc != nil {
			dc.partial()
		}
	case sctp.ChannelWritable:
		for _, dc := range pc.channels {
			dc.writable()
		}
	case sctp.ChannelBufferedAmountLow:
		if dc != nil {
			dc.lowered()
		}
	case sctp.ChannelClosing:
		if dc != nil {
			dc.state.CompareAndSwap(uint32(DataChannelOpen), uint32(DataChannelClosing))
		}
	case sctp.ChannelClosed:
		if dc != nil {
			delete(pc.channels, ev.ID)
			dc.ended(ev.Err)
		}
	}
}
