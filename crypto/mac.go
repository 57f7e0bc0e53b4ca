//go:build (amd64 || arm64) && !purego

package crypto

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"unsafe"
)

// macLanes is how many messages are hashed at once at most.
const macLanes = 16

// sha1State is a state of SHA-1: five words, and what makes it a whole vector.
type sha1State [8]uint32

// sha1Start is the state before the first block (FIPS 180-4 §5.3.1).
var sha1Start = sha1State{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}

// macLane is a packet whose HMAC is being computed (RFC 2104 §2): the whole
// blocks of the packet, then a tail, which ends the inner hash, then the outer
// hash. The kernels read it by offset.
type macLane struct {
	h     sha1State
	outer *sha1State // after opad
	whole int        // blocks of the packet still to hash
	tails int        // blocks of the tail still to hash
	// buf holds the tail from its second block on. Its first takes what lies in
	// the packet before, so that the end is copied with moves of fixed size.
	buf [tailAt + 2*sha1.BlockSize + 16]byte
}

const tailAt = sha1.BlockSize

// sha1Data is where each lane reads.
type sha1Data [macLanes]*byte

// pad makes s the state after one block of auth xor pad.
func (s *sha1State) pad(auth []byte, pad byte) {
	var lanes [macLanes]macLane
	_, n := activeHash.pick(macLanes)
	for i := range n {
		l := &lanes[i]
		l.h = sha1Start
		b := l.buf[tailAt : tailAt+sha1.BlockSize]
		copy(b, auth)
		for i := range b {
			b[i] ^= pad
		}
	}
	sha1Lanes(lanes[:n], &sha1Data{}, 0, 1, false)
	*s = lanes[0].h
	clear(lanes[:])
}

// macBatch writes trailer and tag of every job and sets its OK or, where open
// is set, sets OK to whether the tag is right.
func macBatch(jobs []CMJob, open bool) {
	if len(jobs) == 1 {
		// The one packet of a call does not pay for lanes it has no use for.
		if _, n := activeHash.pick(1); n == 1 {
			var l [1]macLane
			p := sha1Data{l[0].start(&jobs[0], open)}
			sha1Lanes(l[:], &p, l[0].whole, l[0].tails, true)
			l[0].finish(&jobs[0], open)
			return
		}
	}
	if len(jobs) <= 2 || activeHash == hashStdlib {
		if _, n := activeHash.pick(len(jobs)); n == 0 {
			macStdlib(jobs, open)
			return
		}
	}
	var g macGroup
	for len(jobs) > 0 {
		n := min(len(jobs), macSort)
		g.sort(jobs[:n], open)
		for at := 0; at < n; {
			take, lanes := activeHash.pick(n - at)
			if lanes == 0 {
				for _, j := range g.order[at:n] {
					macStdlib(jobs[j:j+1], open)
				}
				break
			}
			g.run(jobs, g.order[at:at+take], lanes, open)
			at += take
		}
		jobs = jobs[n:]
	}
}

// macStdlib is macBatch by the standard library.
func macStdlib(jobs []CMJob, open bool) {
	for i := range jobs {
		if open {
			jobs[i].openTag()
		} else {
			jobs[i].sealTag()
		}
	}
}

// macSort is how many packets are sorted by length: the lanes of a group are
// then of about equal length, whatever the batch is a mixture of.
const macSort = 64

// macGroup is scratch space for groups of packets.
type macGroup struct {
	lanes [macLanes]macLane
	order [macSort]uint8
}

// signed is the part of the packet that is authenticated before the trailer.
func (j *CMJob) signed(open bool) []byte {
	if open {
		return j.Src[:j.Header+len(j.Dst)]
	}
	return j.Dst[:j.Header+len(j.Src)]
}

// sort puts the jobs in order of the blocks they take.
func (g *macGroup) sort(jobs []CMJob, open bool) {
	const most = 80 // what is longer counts as this
	var blocks [macSort]uint8
	uniform := true
	for i := range jobs {
		blocks[i] = uint8(min(most-1, len(jobs[i].signed(open))/sha1.BlockSize))
		uniform = uniform && blocks[i] == blocks[0]
		g.order[i] = uint8(i)
	}
	if uniform {
		return
	}
	var at [most]uint8 // of each number of blocks, the longest first
	for _, b := range blocks[:len(jobs)] {
		at[b]++
	}
	for n, b := uint8(0), most-1; b >= 0; b-- {
		at[b], n = n, n+at[b]
	}
	for i, b := range blocks[:len(jobs)] {
		g.order[at[b]] = uint8(i)
		at[b]++
	}
}

// run does the jobs named by order, which are no more than the lanes.
func (g *macGroup) run(jobs []CMJob, order []uint8, n int, open bool) {
	lanes, used := g.lanes[:n], len(order)
	var p sha1Data
	uniform := true
	for i, j := range order {
		p[i] = lanes[i].start(&jobs[j], open)
		uniform = uniform && lanes[i].whole == lanes[0].whole && lanes[i].tails == lanes[0].tails
	}
	for i := used; i < n; i++ { // lanes without a packet hash any
		p[i], lanes[i].outer = p[0], lanes[0].outer
	}
	if uniform {
		sha1Lanes(lanes, &p, lanes[0].whole, lanes[0].tails, true)
	} else {
		mixed(lanes, used, p)
	}
	for i, j := range order {
		lanes[i].finish(&jobs[j], open)
	}
}

// mixed is for lanes of which those used are of unequal lengths. It goes from
// the end of one lane to the end of the next.
func mixed(lanes []macLane, used int, p sha1Data) {
	var inner [macLanes]sha1State
	done := 0
	for i := range lanes[:used] {
		if l := &lanes[i]; l.whole == 0 {
			p[i] = l.tail()
		}
	}
	for done < used {
		n, busy := 0, 0
		for i := range lanes[:used] {
			if w := lanes[i].whole; w > 0 && (n == 0 || w < n) {
				n, busy = w, i
			}
		}
		for i := range lanes {
			if i >= used || lanes[i].whole == 0 { // hashes any, to no use
				p[i] = p[busy]
			}
		}
		at := p // the kernel changes it
		sha1Lanes(lanes, &at, n, 0, false)
		for i := range lanes[:used] {
			l := &lanes[i]
			if l.whole == 0 {
				continue
			}
			if l.whole -= n; l.whole > 0 {
				p[i] = (*byte)(unsafe.Add(unsafe.Pointer(p[i]), n*sha1.BlockSize))
			} else if l.tails > 0 {
				p[i] = l.tail()
			} else {
				inner[i] = l.h
				done++
			}
		}
	}
	for i := range lanes[:used] {
		lanes[i].h = inner[i]
	}
	sha1Lanes(lanes, &p, 0, 0, true)
}

// tail lets the lane go on with its tail, where the result lies.
func (l *macLane) tail() *byte {
	l.whole, l.tails = l.tails, 0
	return &l.buf[tailAt]
}

// start puts a job into the lane and returns where its packet begins, if that
// has a whole block.
func (l *macLane) start(j *CMJob, open bool) (p *byte) {
	packet := j.signed(open)
	l.h, l.outer = j.Key.table.inner, &j.Key.table.outer
	l.whole = len(packet) / sha1.BlockSize
	n := len(packet) % sha1.BlockSize
	tail := l.buf[tailAt:]
	if l.whole > 0 {
		p = &packet[0]
		copyBlock((*[sha1.BlockSize]byte)(l.buf[n:]), (*[sha1.BlockSize]byte)(packet[len(packet)-sha1.BlockSize:]))
	} else {
		copy(tail, packet)
	}
	*(*[4]byte)(tail[n:]) = j.Trailer
	n += len(j.Trailer)
	// FIPS 180-4 §5.1.1. The block of ipad counts.
	copyBlock((*[sha1.BlockSize]byte)(tail[n:]), &padding)
	l.tails = (n + 1 + 8 + sha1.BlockSize - 1) / sha1.BlockSize
	binary.BigEndian.PutUint64(tail[l.tails*sha1.BlockSize-8:], uint64(sha1.BlockSize+len(packet)+len(j.Trailer))*8)
	return p
}

// padding is what follows a message, but for its length.
var padding = [sha1.BlockSize]byte{0x80}

// copyBlock is a copy in registers, without the call that a copy of bytes which
// may overlap makes.
func copyBlock(dst, src *[sha1.BlockSize]byte) {
	le := binary.LittleEndian
	a, b, c, d := le.Uint64(src[0:]), le.Uint64(src[8:]), le.Uint64(src[16:]), le.Uint64(src[24:])
	e, f, g, h := le.Uint64(src[32:]), le.Uint64(src[40:]), le.Uint64(src[48:]), le.Uint64(src[56:])
	le.PutUint64(dst[0:], a)
	le.PutUint64(dst[8:], b)
	le.PutUint64(dst[16:], c)
	le.PutUint64(dst[24:], d)
	le.PutUint64(dst[32:], e)
	le.PutUint64(dst[40:], f)
	le.PutUint64(dst[48:], g)
	le.PutUint64(dst[56:], h)
}

// finish writes or compares the tag of the lane's job.
func (l *macLane) finish(j *CMJob, open bool) {
	if j.TagLen == 10 && !j.InPacket { // an SRTP packet's 80 bits: RFC 3711 §5.2
		head, rest := uint64(l.h[0])<<32|uint64(l.h[1]), uint16(l.h[2]>>16)
		if open {
			tag := j.Src[j.Header+len(j.Dst):][:10]
			differ := binary.BigEndian.Uint64(tag) ^ head | uint64(binary.BigEndian.Uint16(tag[8:])^rest)
			j.OK = subtle.ConstantTimeEq(int32(differ|differ>>32), 0) == 1
			return
		}
		tag := j.Dst[j.Header+len(j.Src):][:10]
		binary.BigEndian.PutUint64(tag, head)
		binary.BigEndian.PutUint16(tag[8:], rest)
		j.OK = true
		return
	}
	var sum [sha1.Size]byte
	for i := range sha1.Size / 4 {
		binary.BigEndian.PutUint32(sum[4*i:], l.h[i])
	}
	if open {
		tag := j.Src[j.Header+len(j.Dst)+j.trailer():]
		j.OK = subtle.ConstantTimeCompare(sum[:j.TagLen], tag) == 1
		return
	}
	tag := j.Dst[j.Header+len(j.Src):]
	if j.InPacket {
		tag = tag[copy(tag, j.Trailer[:]):]
	}
	copy(tag, sum[:j.TagLen])
	j.OK = true
}
