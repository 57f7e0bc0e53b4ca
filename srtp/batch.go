package srtp

import "github.com/sluicertc/sluice/crypto"

// Batch collects packets of many contexts, then protects or unprotects them
// together. The outcome of each is what the context's own method would have
// given it, had they come one by one in the order they were added. The zero
// value is ready; it keeps its memory from one use to the next, so that it
// allocates nothing once it has seen its largest batch.
//
// A Batch is scratch space of a shard and has one owner. The packets are
// borrowed until Reset.
type Batch struct {
	results []result
	items   []item // of Add
	gcm     []crypto.GCMJob
	cm      []crypto.CMJob
	pending [pendingSlots]pending
	round   uint64
	strange bool // a source without a stream was seen
}

// result is what became of a packet.
type result struct {
	n   int
	err error
}

// item is one whole packet.
type item struct {
	ctx    *Context
	dst    []byte
	pkt    []byte
	stream *stream
	index  uint64
	ssrc   uint32
	job    int32 // in gcm or cm, while a round is in work
	header int
	at     int  // in results
	done   bool // was a round of its own
}

// Add adds a whole packet. dst is pkt or does not overlap it, nor another
// packet of the batch, and has room as for Context.Protect or Unprotect.
func (b *Batch) Add(c *Context, dst, pkt []byte) {
	n := len(b.items)
	if n < cap(b.items) {
		b.items = b.items[:n+1] // empty: Reset has cleared it
	} else {
		b.items = append(b.items, item{})
	}
	it := &b.items[n]
	it.ctx, it.dst, it.pkt, it.at = c, dst, pkt, len(b.results)
	b.settle(0, nil)
}

// AddSplit adds a packet to protect whose parts are apart: dst[:header] holds
// the RTP header already, payload is the plaintext, which is only read and may
// belong to many packets of the batch. It is dst[header:], or does not overlap
// dst. The result is header, ciphertext and tag in dst. The packet takes its
// index now, and needs its context until Protect.
func (b *Batch) AddSplit(c *Context, dst []byte, header int, payload []byte) {
	switch {
	case c.closed:
		b.settle(0, ErrClosed)
	case uint(header) > uint(len(dst)):
		b.settle(0, ErrShort)
	case c.reshape:
		b.settle(c.protectJoined(dst, header, payload))
	default:
		n, err := headerLen(dst[:header])
		if err == nil && n != header {
			err = ErrFormat
		}
		if err != nil {
			b.settle(0, err)
			return
		}
		b.settle(b.seal(c, dst, dst, header, payload))
	}
}

// settle adds a result.
func (b *Batch) settle(n int, err error) { b.results = append(b.results, result{n, err}) }

// Len returns the number of packets added since Reset.
func (b *Batch) Len() int { return len(b.results) }

// Result returns what Protect or Unprotect gave for packet i, in the order of
// adding: the length of the packet in its dst, or the error.
func (b *Batch) Result(i int) (n int, err error) {
	r := &b.results[i]
	return r.n, r.err
}

// Reset empties the batch and drops its references to contexts and packets.
func (b *Batch) Reset() {
	clear(b.items)
	b.items, b.results = b.items[:0], b.results[:0]
	b.drop()
}

// drop empties the job lists.
func (b *Batch) drop() {
	clear(b.gcm)
	clear(b.cm)
	b.gcm, b.cm = b.gcm[:0], b.cm[:0]
}

// Protect protects all packets: see Context.Protect for the errors. A header
// that is not as long as AddSplit was told gives ErrFormat.
func (b *Batch) Protect() {
	for i := range b.items {
		it := &b.items[i]
		r := &b.results[it.at]
		if it.ctx.reshape {
			r.n, r.err = it.ctx.Protect(it.dst, it.pkt)
		} else {
			r.n, r.err = b.sealWhole(it.ctx, it.dst, it.pkt)
		}
	}
	crypto.SealBatch(b.gcm)
	crypto.SealCMBatch(b.cm)
}

// sealWhole sets up the job for a packet of Add.
func (b *Batch) sealWhole(c *Context, dst, pkt []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	header, err := headerLen(pkt)
	if err != nil {
		return 0, err
	}
	n, err := b.seal(c, dst, pkt, header, pkt[header:])
	if err == nil && &dst[0] != &pkt[0] {
		copy(dst, pkt[:header])
	}
	return n, err
}

// seal sets up the job for a packet and returns how long it will be. The first
// bytes of head are its header, which is needed in dst by the time the job
// runs.
func (b *Batch) seal(c *Context, dst, head []byte, header int, payload []byte) (int, error) {
	n := header + len(payload) + c.rtp.tag
	if len(dst) < n {
		return 0, ErrShort
	}
	if n > MaxPacket {
		return 0, ErrFormat
	}
	ssrc, seq := ssrcOf(head), seqOf(head)
	var index uint64
	if s := c.streams.last; s != nil && s.ssrc == ssrc && uint16(s.ahead) == seq && s.ahead < MaxRTP && c.sent < MaxRTP {
		// Next in order, which nearly every packet is.
		index = s.ahead
		s.window.next()
		c.sent++
	} else {
		var err error
		if index, err = c.nextIndex(ssrc, seq); err != nil {
			return 0, err
		}
	}
	if c.rtp.gcm == nil {
		c.rtp.sealCM(b.nextCM(), dst, header, payload, ssrc, index)
		return n, nil
	}
	c.rtp.sealGCM(b.nextGCM(), dst, header, payload, ssrc, index)
	return n, nil
}

// nextGCM and nextCM add a job, every field of which is to be set.
func (b *Batch) nextGCM() *crypto.GCMJob {
	n := len(b.gcm)
	if n < cap(b.gcm) {
		b.gcm = b.gcm[:n+1]
	} else {
		b.gcm = append(b.gcm, crypto.GCMJob{})
	}
	return &b.gcm[n]
}

func (b *Batch) nextCM() *crypto.CMJob {
	n := len(b.cm)
	if n < cap(b.cm) {
		b.cm = b.cm[:n+1]
	} else {
		b.cm = append(b.cm, crypto.CMJob{})
	}
	return &b.cm[n]
}
