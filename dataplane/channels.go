package dataplane

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// ChannelEvent is what happens to the data channels of a transport. It is
// handed over whole: the receiver owns its data.
type ChannelEvent = sctp.ChannelEvent

// channels runs a transport's data channels on the data lane.
type channels struct {
	c      *sctp.Channels
	meters []*Meter // with something buffered
	// waiting are messages that the association has no memory for; the
	// application, which is told what is buffered, bounds them.
	waiting []outgoing

	tallied   [numChannelSums]uint64 // what the shard's counters have of it
	talliedAt mono.Time
}

// Meter tells any goroutine how much one data channel has buffered.
type Meter struct {
	// Failed is told of messages that the association refuses, on the data lane.
	Failed func(error)

	posted, drained atomic.Int64 // bytes given to Send, and gone from the buffers

	// Data lane.
	applied int64 // of posted, has reached the association
	id      uint16
	listed  bool // in channels.meters
}

// Buffered is the bytes given to Send that have not been put on the network.
func (m *Meter) Buffered() int64 {
	drained := m.drained.Load() // first: what is posted meanwhile is buffered
	return m.posted.Load() - drained
}

// applies notes that n bytes have reached the association, which has buffered as
// many. Data lane.
func (m *Meter) applies(n, buffered int) {
	m.applied += int64(n)
	m.drained.Store(m.applied - int64(buffered))
}

func (c *channels) timeout() mono.Time {
	if c.c == nil {
		return 0
	}
	return c.c.Timeout()
}

func (c *channels) handleTimeout(now mono.Time) { c.c.HandleTimeout(now) }

// SetChannels hands data channels, not started yet, to the data lane, which
// starts them. It comes before Send and Consume.
func (t *Transport) SetChannels(c *sctp.Channels) {
	t.outbox = newOutbox(t, c.Association().Stats().Window)
	t.shard.Post(func(_ *Shard, now mono.Time) {
		if t.closed {
			return
		}
		t.chans.c = c
		c.Start(now)
		t.wantDrain()
	})
}

// Channels calls f with the data channels on the data lane, behind what was sent
// before, and sends what comes of it. It does nothing after Close.
func (t *Transport) Channels(f func(c *sctp.Channels, now mono.Time)) {
	var before uint64 // Send and Consume
	if t.outbox != nil {
		before = t.outbox.added.Load()
	}
	t.shard.Post(func(_ *Shard, now mono.Time) {
		if t.chans.c != nil {
			t.takeUntil(now, before)
			f(t.chans.c, now)
			t.wantDrain()
		}
	})
}

// CloseChannel closes a data channel behind what was sent before, messages that
// wait for memory among it. It does nothing after Close.
func (t *Transport) CloseChannel(id uint16) {
	t.Channels(func(c *sctp.Channels, now mono.Time) {
		if len(t.chans.waiting) > 0 {
			t.chans.waiting = append(t.chans.waiting, outgoing{id: id})
		} else {
			c.Close(now, id)
		}
	})
}

// give hands a message to the association, or, without a meter, the channel's
// end. It reports false when there is no room for it.
func (c *channels) give(now mono.Time, o *outgoing) bool {
	m := o.m
	if m == nil {
		c.c.Close(now, o.id)
		return true
	}
	err := c.c.Send(now, o.id, o.text, o.data)
	if errors.Is(err, sctp.ErrSendBufferFull) {
		return false
	}
	m.id = o.id
	m.applies(len(o.data), c.c.BufferedAmount(o.id))
	if err != nil {
		m.Failed(err)
	} else if !m.listed {
		m.listed = true
		c.meters = append(c.meters, m)
	}
	return true
}

// giveWaiting hands over what has waited, as far as there is room again.
func (c *channels) giveWaiting(now mono.Time) {
	n := 0
	for n < len(c.waiting) && c.give(now, &c.waiting[n]) {
		n++
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
}

// measure brings the meters up to date.
func (c *channels) measure() {
	kept := c.meters[:0]
	for _, m := range c.meters {
		n := c.c.BufferedAmount(m.id)
		m.drained.Store(m.applied - int64(n))
		if m.listed = n > 0; m.listed {
			kept = append(kept, m)
		}
	}
	c.meters = kept
}

func (t *Transport) receiveSCTP(now mono.Time, b []byte) {
	if t.chans.c == nil {
		t.shard.drop(DropNoChannels)
		return
	}
	t.shard.channelsAt = now
	// What is wrong with a packet is counted by the association.
	_ = t.chans.c.HandlePacket(now, b)
	t.wantDrain()
}

// transmitChannels seals and queues every packet that the association has
// now: one SACK answers all that this turn has brought.
func (t *Transport) transmitChannels(now mono.Time) {
	x := &t.shard.tx
	x.begin(t)
	t.takeOutbox(now)
	if len(t.chans.waiting) > 0 {
		t.chans.giveWaiting(now)
	}
	for t.records != nil && t.remote.IsValid() {
		n := t.chans.c.Transmit(now, x.plain(t.records))
		if n == 0 {
			break
		}
		if t.chans.c.Association().Probing() {
			x.wholeRecord(t.records, n)
		} else {
			x.record(t.records, n)
		}
		t.shard.channelsAt = now
	}
	if t.records != nil && t.records.WantsUpdate() {
		t.askForKeys(now)
	}
	t.chans.measure()
	if now.Sub(t.chans.talliedAt) >= countInterval {
		t.chans.talliedAt = now
		t.chans.tally(t.shard)
	}
	for {
		ev, ok := t.chans.c.Event()
		if !ok {
			break
		}
		t.endpoint.HandleChannel(now, ev)
	}
	t.arm(t.chans.timeout())
}
