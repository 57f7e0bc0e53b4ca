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
	results []int32 // of each packet its length, or -1-i for errs[i]
	errs    []error
	items   []item // of Add
	gcm     []crypto.GCMJob
	cm      []crypto.CMJob
	pending [pendingSlots]pending
	round   uint64
	strange bool // a source without a stream was seen
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
	header int32
	at     int32 // in results
	done   bool  // was a round of its own
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
	it.ctx, it.dst, it.pkt, it.at = c, dst, pkt, int32(len(b.results))
	if n := len(b.results); n < cap(b.results) {
		b.results = b.results[:n+1] // Protect or Unprotect fills it in
	} else {
		b.results = append(b.results, 0)
	}
}

// AddSplit adds a packet to protect whose parts are apart: dst[:header] holds
// the RTP header already, payload is the plaintext, which is only read and may
// belong to many packets of the batch. It is dst[header:], or does not overlap
// dst. The result is header, ciphertext and tag in dst. The packet takes its
// index now, and needs its context until Protect.
func (b *Batch) AddSplit(c *Context, dst []byte, header int, payload []byte) {
	// The next packet of the source that came last, whose header has no more
	// than an extension, is what nearly every packet is. All others, and those
	// that cannot be protected, take the longer way, on which lists grow.
	s, n, at := c.streams.last, header+len(payload)+c.rtp.tag, len(b.results)
	if s == nil || c.reshape || n > len(dst) || n > MaxPacket || header == 0 || header != commonHeader(dst) ||
		s.ssrc != ssrcOf(dst) || uint16(s.ahead) != seqOf(dst) || (s.ahead|c.sent)>>48 != 0 || at == cap(b.results) {
		b.addSplit(c, dst, header, payload)
		return
	}
	index := s.ahead
	if c.rtp.gcm != nil {
		k := len(b.gcm)
		if k == cap(b.gcm) {
			b.addSplit(c, dst, header, payload)
			return
		}
		b.gcm = b.gcm[:k+1]
		c.rtp.sealGCM(&b.gcm[k], dst, header, payload, s.ssrc, index)
	} else {
		k := len(b.cm)
		if k == cap(b.cm) {
			b.addSplit(c, dst, header, payload)
			return
		}
		b.cm = b.cm[:k+1]
		c.rtp.sealCM(&b.cm[k], dst, header, payload, s.ssrc, index)
	}
	s.window.next()
	c.sent++
	b.results = b.results[:at+1]
	b.results[at] = int32(n)
}

// addSplit is AddSplit for any packet.
func (b *Batch) addSplit(c *Context, dst []byte, header int, payload []byte) {
	b.results = append(b.results, 0)
	at := len(b.results) - 1
	switch {
	case c.closed:
		b.settle(at, 0, ErrClosed)
	case uint(header) > uint(len(dst)):
		b.settle(at, 0, ErrShort)
	case c.reshape:
		n, err := c.protectJoined(dst, header, payload)
		b.settle(at, n, err)
	default:
		n, err := headerLen(dst[:header])
		if err == nil && n != header {
			err = ErrFormat
		}
		if err == nil {
			n, err = b.seal(c, dst, dst, header, payload)
		}
		b.settle(at, n, err)
	}
}

// settle notes the result of packet i.
func (b *Batch) settle(i, n int, err error) {
	if err != nil {
		b.errs = append(b.errs, err)
		n = -len(b.errs)
	}
	b.results[i] = int32(n)
}

// Len returns the number of packets added since Reset.
func (b *Batch) Len() int { return len(b.results) }

// Result returns what Protect or Unprotect gave for packet i, in the order of
// adding: the length of the packet in its dst, or the error.
func (b *Batch) Result(i int) (n int, err error) {
	if n := b.results[i]; n >= 0 {
		return int(n), nil
	} else {
		return 0, b.errs[-1-n]
	}
}

// Reset empties the batch and drops its references to contexts and packets.
func (b *Batch) Reset() {
	clear(b.items)
	b.items, b.results, b.errs = b.items[:0], b.results[:0], b.errs[:0]
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
		var n int
		var err error
		if it.ctx.reshape {
			n, err = it.ctx.Protect(it.dst, it.pkt)
		} else {
			n, err = b.sealWhole(it.ctx, it.dst, it.pkt)
		}
		b.settle(int(it.at), n, err)
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
	ssrc := ssrcOf(head)
	index, err := c.nextIndex(ssrc, seqOf(head))
	if err != nil {
		return 0, err
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
