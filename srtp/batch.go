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
	items   []item
	gcm     []crypto.GCMJob
	cm      []crypto.CMJob
	pending [pendingSlots]pending
	round   uint64
	strange bool // a source without a stream was seen
}

// item is one packet and what became of it.
type item struct {
	ctx    *Context
	dst    []byte
	pkt    []byte
	stream *stream
	index  uint64
	ssrc   uint32
	job    int32 // in gcm or cm, while a round is in work
	header int
	split  bool // of AddSplit, whose job is set up already
	done   bool // was a round of its own
	n      int
	err    error
}

// Add adds a whole packet. dst is pkt or does not overlap it, nor another
// packet of the batch, and has room as for Context.Protect or Unprotect.
func (b *Batch) Add(c *Context, dst, pkt []byte) {
	it := b.next()
	it.ctx, it.dst, it.pkt = c, dst, pkt
}

// AddSplit adds a packet to protect whose parts are apart: dst[:header] holds
// the RTP header already, payload is the plaintext, which is only read and may
// belong to many packets of the batch. It is dst[header:], or does not overlap
// dst. The result is header, ciphertext and tag in dst. The packet takes its
// index now, and needs its context until Protect.
func (b *Batch) AddSplit(c *Context, dst []byte, header int, payload []byte) {
	it := b.next()
	it.split = true
	if c.closed {
		it.err = ErrClosed
		return
	}
	if uint(header) > uint(len(dst)) {
		it.err = ErrShort
		return
	}
	if c.reshape {
		it.n, it.err = c.protectJoined(dst, header, payload)
		return
	}
	n, err := headerLen(dst[:header])
	if err == nil && n != header {
		err = ErrFormat
	}
	if err == nil {
		n, err = b.seal(c, dst, dst[:header], payload)
	}
	if err != nil {
		it.err = err
		return
	}
	it.n = n
}

// next adds an empty item: Reset has cleared those beyond the length.
func (b *Batch) next() *item {
	n := len(b.items)
	if n < cap(b.items) {
		b.items = b.items[:n+1]
	} else {
		b.items = append(b.items, item{})
	}
	return &b.items[n]
}

// Len returns the number of packets added since Reset.
func (b *Batch) Len() int { return len(b.items) }

// Result returns what Protect or Unprotect gave for packet i, in the order of
// adding: the length of the packet in its dst, or the error.
func (b *Batch) Result(i int) (n int, err error) {
	it := &b.items[i]
	return it.n, it.err
}

// Reset empties the batch and drops its references to contexts and packets.
func (b *Batch) Reset() {
	clear(b.items)
	b.items = b.items[:0]
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
		switch it := &b.items[i]; {
		case it.split:
		case it.ctx.reshape:
			it.n, it.err = it.ctx.Protect(it.dst, it.pkt)
		default:
			it.n, it.err = b.sealWhole(it.ctx, it.dst, it.pkt)
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
	n, err := b.seal(c, dst, pkt[:header], pkt[header:])
	if err == nil {
		copy(dst, pkt[:header])
	}
	return n, err
}

// seal sets up the job for a packet and returns how long it will be. The
// header's bytes are needed in dst by the time the job runs.
func (b *Batch) seal(c *Context, dst, header, payload []byte) (int, error) {
	n := len(header) + len(payload) + c.rtp.tag
	if len(dst) < n {
		return 0, ErrShort
	}
	if n > MaxPacket {
		return 0, ErrFormat
	}
	index, err := c.nextIndex(header)
	if err != nil {
		return 0, err
	}
	if c.profile.aead() {
		c.rtp.sealGCM(b.nextGCM(), dst, len(header), payload, ssrcOf(header), index)
	} else {
		c.rtp.sealCM(b.nextCM(), dst, len(header), payload, ssrcOf(header), index)
	}
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
