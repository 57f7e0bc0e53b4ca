package rtcp

// Status symbols (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.1).
// The symbol of a received packet is also the length of its delta in bytes.
const (
	notReceived = 0
	smallDelta  = 1 // 0 to 63.75 ms
	largeDelta  = 2 // -8192 to 8191.75 ms
	reserved    = 3
)

const (
	vectorChunk = 0x8000 // else a run
	twoBits     = 0x4000 // per symbol, else one

	maxRun  = 1<<13 - 1
	narrow  = 14 // symbols of one bit in a chunk
	wide    = 7  // symbols of two bits
	chunkSz = 2
)

// minFeedback is the length of a packet about one arrival: two sources, eight
// bytes of its own header, up to two chunks and one delta, aligned.
// worstEntry is the most that one more arrival can add: the chunks that the
// chunker still holds, a run of lost packets before it, itself, its delta, and
// the alignment.
const (
	minFeedback = headerLen + feedbackLen + 8 + 2*chunkSz + largeDelta + 2
	worstEntry  = 2*chunkSz + 2*chunkSz + 2*chunkSz + largeDelta + 3
)

// chunker packs status symbols into chunks. It holds back up to narrow symbols
// that are not all alike, or one run.
type chunker struct {
	b   []byte
	sym [narrow]uint8
	n   int // symbols held
	run int // > 0: this many times sym[0], and n is 0
}

// add appends a symbol times over.
func (c *chunker) add(s uint8, times int) {
	for times > 0 {
		if c.run > 0 {
			if s == c.sym[0] && c.run < maxRun {
				k := min(times, maxRun-c.run)
				c.run, times = c.run+k, times-k
				continue
			}
			c.putRun(c.sym[0], c.run)
			c.run = 0
		}
		c.sym[c.n] = s
		c.n++
		times--
		if c.n == narrow {
			c.pack()
		}
	}
}

// pack makes room: narrow symbols alike become a run that may grow, those
// that fit one bit a vector, else the first wide of them a vector.
func (c *chunker) pack() {
	same, large := c.survey()
	switch {
	case same:
		c.run, c.n = c.n, 0
	case !large:
		c.putVector(c.n, 1)
	default:
		c.putVector(wide, 2)
	}
}

// flush writes what is held and returns the bytes.
func (c *chunker) flush() []byte {
	if c.run > 0 {
		c.putRun(c.sym[0], c.run)
		c.run = 0
	}
	for c.n > 0 {
		same, large := c.survey()
		switch {
		case same:
			c.putRun(c.sym[0], c.n)
			c.drop(c.n)
		case !large:
			c.putVector(c.n, 1)
		default:
			c.putVector(min(c.n, wide), 2)
		}
	}
	return c.b
}

// survey reports whether the held symbols are alike, and whether one needs two
// bits.
func (c *chunker) survey() (same, large bool) {
	same = true
	for _, s := range c.sym[:c.n] {
		same = same && s == c.sym[0]
		large = large || s == largeDelta
	}
	return same, large
}

func (c *chunker) putRun(s uint8, n int) {
	v := uint16(s)<<13 | uint16(n)
	c.b = append(c.b, uint8(v>>8), uint8(v))
}

// putVector writes the first n held symbols as one vector, in width bits each.
// Fewer than a vector has may only be the last: the rest of it reads as lost.
func (c *chunker) putVector(n, width int) {
	v := uint16(vectorChunk)
	if width == 2 {
		v |= twoBits
	}
	for i, s := range c.sym[:n] {
		v |= uint16(s) << (14 - width*(i+1))
	}
	c.b = append(c.b, uint8(v>>8), uint8(v))
	c.drop(n)
}

func (c *chunker) drop(n int) {
	copy(c.sym[:], c.sym[n:c.n])
	c.n -= n
}
