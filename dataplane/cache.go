package dataplane

import "github.com/sluicertc/sluice/rtp"

// cache keeps the newest packets of a stream on a shard, in plaintext, for
// retransmission to any receiver there. Data lane.
type cache struct {
	mem  []byte
	seqs []int64 // extended sequence number plus one; 0: empty
	lens []uint16
}

// newCache makes room for a number of packets that is a power of two, so that
// the place of a packet follows from the last bits of its number.
func newCache(packets int) *cache {
	return &cache{mem: make([]byte, packets*maxPacket), seqs: make([]int64, packets), lens: make([]uint16, packets)}
}

func (c *cache) slot(seq int64) int { return int(uint64(seq) & uint64(len(c.seqs)-1)) }

func (c *cache) put(p *packet) {
	i := c.slot(p.seq)
	// A packet older than what the slot holds came too late to be asked for.
	if c.seqs[i] > p.seq+1 || len(p.v.Raw) > maxPacket {
		return
	}
	c.seqs[i] = p.seq + 1
	c.lens[i] = uint16(copy(c.mem[i*maxPacket:(i+1)*maxPacket], p.v.Raw))
}

// get returns the newest packet whose sequence number ends in seq, and its
// extended number.
func (c *cache) get(seq uint16) (v rtp.View, full int64, ok bool) {
	i := c.slot(int64(seq))
	full = c.seqs[i] - 1
	if full < 0 || uint16(full) != seq {
		return rtp.View{}, 0, false
	}
	v, ok = rtp.Parse(c.mem[i*maxPacket : i*maxPacket+int(c.lens[i])])
	return v, full, ok
}
