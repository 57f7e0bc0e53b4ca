package srtp

import "github.com/sluicertc/sluice/crypto"

// A packet's index depends on which packets of its source before it were
// authentic, which is known only after the crypto of them all. Unprotect
// therefore works in rounds: a round takes packets as long as their indexes are
// the same whichever of the round's others turn out authentic. Since estimate
// never falls when ahead grows, it is enough that it agrees for none of them
// and for all. Only leaps of half the sequence space within a batch, which are
// nearly always forgeries, end a round early.

const (
	pendingBits  = 6
	pendingSlots = 1 << pendingBits
)

// pending is what top is to a stream, for a source that has none: how far
// ahead the round's packets may take it. Sources that fall on one slot end the
// round.
type pending struct {
	round uint64
	ctx   *Context
	ssrc  uint32
	top   uint64
}

// Unprotect unprotects all packets: see Context.Unprotect for the errors. A
// packet of AddSplit gets ErrFormat.
func (b *Batch) Unprotect() {
	if len(b.items) < len(b.results) {
		for i := range b.results {
			b.settle(i, 0, ErrFormat)
		}
	}
	for from := 0; from < len(b.items); {
		b.drop()
		to := b.gather(from)
		crypto.OpenBatch(b.gcm)
		crypto.OpenCMBatch(b.cm)
		b.commit(b.items[from:to])
		from = to
	}
	if b.strange {
		clear(b.pending[:])
		b.strange = false
	}
}

// gather sets up the jobs of a round and returns where the next one starts,
// which is at least one packet further.
func (b *Batch) gather(from int) int {
	b.round++
	for i := from; i < len(b.items); i++ {
		it := &b.items[i]
		if b.takeInOrder(it) {
			continue
		}
		if it.ctx.reshape && !it.ctx.closed {
			if i > from {
				return i
			}
			n, err := it.ctx.unprotectReshaped(it.dst, it.pkt)
			b.settle(int(it.at), n, err)
			it.done = true
			return i + 1
		}
		header, err := it.check()
		if err != nil {
			b.settle(int(it.at), 0, err)
			it.done = true
			continue
		}
		seq := seqOf(it.pkt)
		it.ssrc, it.header = ssrcOf(it.pkt), int32(header)
		it.stream = it.ctx.streams.find(it.ssrc)
		top, ahead := b.top(it), uint64(0)
		if it.stream != nil {
			ahead = it.stream.ahead
		}
		// The round's first always goes: its top is ahead.
		if i > from && (top == nil || estimate(*top, seq) != estimate(ahead, seq)) {
			return i
		}
		if it.index, err = guess(it.stream, seq); err != nil {
			b.settle(int(it.at), 0, err)
			it.done = true
			continue
		}
		*top = max(*top, it.index+1)
		b.open(it)
	}
	return len(b.items)
}

// takeInOrder sets up the job of the next packet in order of the source that came
// last, if it has a common header: nearly every packet is that. Its index is
// then beyond all that the round has; and with the round's others authentic or
// not it is the same, since the round spans less than half the sequence space.
func (b *Batch) takeInOrder(it *item) bool {
	c, s, pkt := it.ctx, it.ctx.streams.last, it.pkt
	header, n := commonHeader(pkt), len(pkt)-c.rtp.tag
	if s == nil || c.reshape || header == 0 || header > n || n > len(it.dst) || len(pkt) > MaxPacket ||
		s.ssrc != ssrcOf(pkt) || uint16(s.top) != seqOf(pkt) || s.top-s.ahead >= 1<<14 || s.ahead == 0 || s.top >= MaxRTP {
		return false
	}
	index := s.top
	k := len(b.gcm)
	if c.rtp.gcm == nil {
		k = len(b.cm)
		if k == cap(b.cm) {
			return false // the list grows
		}
		b.cm = b.cm[:k+1]
		c.rtp.openCM(&b.cm[k], it.dst[:n], pkt, header, s.ssrc, index)
	} else {
		if k == cap(b.gcm) {
			return false
		}
		b.gcm = b.gcm[:k+1]
		c.rtp.openGCM(&b.gcm[k], it.dst[:n], pkt, header, s.ssrc, index)
	}
	copyHeader(it.dst, pkt, header)
	it.dst = it.dst[:n]
	it.stream, it.ssrc, it.header, it.index, it.job = s, s.ssrc, int32(header), index, int32(k)
	s.top = index + 1
	return true
}

// check returns the header's length of a packet that can be unprotected.
func (it *item) check() (int, error) {
	if it.ctx.closed {
		return 0, ErrClosed
	}
	return it.ctx.checkRTP(it.dst, it.pkt)
}

// top returns how far ahead the round may take the packet's source, or nil if
// another source is in its place.
func (b *Batch) top(it *item) *uint64 {
	if it.stream != nil {
		return &it.stream.top
	}
	b.strange = true
	p := &b.pending[it.ssrc*0x9e3779b1>>(32-pendingBits)]
	if p.round != b.round {
		*p = pending{round: b.round, ctx: it.ctx, ssrc: it.ssrc}
	} else if p.ctx != it.ctx || p.ssrc != it.ssrc {
		return nil
	}
	return &p.top
}

// open sets up the job for one packet.
func (b *Batch) open(it *item) {
	c, header := it.ctx, int(it.header)
	it.dst = it.dst[:len(it.pkt)-c.rtp.tag]
	copyHeader(it.dst, it.pkt, header)
	if c.rtp.gcm != nil {
		it.job = int32(len(b.gcm))
		c.rtp.openGCM(b.nextGCM(), it.dst, it.pkt, header, it.ssrc, it.index)
	} else {
		it.job = int32(len(b.cm))
		c.rtp.openCM(b.nextCM(), it.dst, it.pkt, header, it.ssrc, it.index)
	}
}

// commit settles a round's packets in their order. An authentic packet's index
// is certain, whatever it was guessed from.
func (b *Batch) commit(items []item) {
	for i := range items {
		it := &items[i]
		if it.done {
			continue
		}
		c, ok, at := it.ctx, false, int(it.at)
		if c.rtp.gcm != nil {
			ok = b.gcm[it.job].OK
		} else {
			ok = b.cm[it.job].OK
		}
		s := it.stream
		if ok && s != nil && s.ahead == it.index { // as nearly all are
			s.window.next()
			s.top = s.ahead
			c.streams.touch(s)
			b.results[at] = int32(len(it.dst))
			continue
		}
		if s == nil {
			s = c.streams.find(it.ssrc) // perhaps made by this round
		}
		switch {
		case s != nil && !s.fresh(it.index):
			b.settle(at, 0, ErrReplay) // the round has had it already
			clear(it.dst[it.header:])
		case !ok:
			b.settle(at, 0, ErrAuth)
		default:
			b.settle(at, len(it.dst), nil)
			c.streams.accept(s, it.ssrc, it.index)
			continue
		}
		if s != nil {
			s.top = s.ahead
		}
	}
}
