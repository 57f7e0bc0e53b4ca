package dataplane

import "github.com/sluicertc/sluice/rtp"

// cache keeps the newest packets of a stream on a shard, in plaintext, for
// retransmission to any receiver there. They lie one behind the other in a ring
// of bytes, so that each takes what it is long. Data lane.
type cache struct {
	mem []byte
	end uint64 // of what was written, in bytes since the beginning, gaps counted

	// By the last bits of the sequence number.
	seqs []int64  // extended, plus one; 0: empty
	at   []uint64 // where the packet begins, as end counts
	lens []uint16
}

// newCache makes room for a number of packets that is a power of two, so that
// the place of a packet follows from the last bits of its number, and for as many
// bytes as they have at a mean length. Longer ones make it remember fewer.
func newCache(p *pages, packets, mean int) *cache {
	c := &cache{seqs: make([]int64, packets), at: make([]uint64, packets), lens: make([]uint16, packets)}
	p.get(&c.mem, packets*mean)
	return c
}

func (c *cache) slot(seq int64) int { return int(uint64(seq) & uint64(len(c.seqs)-1)) }

func (c *cache) put(p *packet) {
	i, n := c.slot(p.seq), len(p.v.Raw)
	// A packet older than what the slot holds came too late to be asked for.
	if c.seqs[i] > p.seq+1 || n > maxPacket {
		return
	}
	size, at := uint64(len(c.mem)), c.end
	if left := size - at%size; left < uint64(n) {
		at += left // packets are in one piece
	}
	c.end = at + uint64(n)
	c.seqs[i], c.at[i], c.lens[i] = p.seq+1, at, uint16(n)
	copy(c.mem[at%size:], p.v.Raw)
}

// get returns the newest packet whose sequence number ends in seq, and its
// extended number.
func (c *cache) get(seq uint16) (v rtp.View, full int64, ok bool) {
	i, size := c.slot(int64(seq)), uint64(len(c.mem))
	full = c.seqs[i] - 1
	if full < 0 || uint16(full) != seq || c.end-c.at[i] > size {
		return rtp.View{}, 0, false // or overwritten
	}
	at := c.at[i] % size
	v, ok = rtp.Parse(c.mem[at : at+uint64(c.lens[i])])
	return v, full, ok
}
