//go:build !purego

package crypto

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// sha1NI is decided once. Tests switch it off: without it the standard library
// hashes.
var sha1NI = cpuid.CPU.Supports(cpuid.SHA)

// macLanes is how many messages are hashed at once.
const macLanes = 16

// sha1State is the state of every lane as the kernels read it.
type sha1State struct {
	abcd [macLanes][4]uint32
	e    [macLanes]uint32
}

// sha1Data is where each lane reads.
type sha1Data [macLanes]*byte

//go:noescape
func sha1x1(h *sha1State, p *sha1Data, blocks int)

//go:noescape
func sha1x2(h *sha1State, p *sha1Data, blocks int)

//go:noescape
func sha1x4(h *sha1State, p *sha1Data, blocks int)

//go:noescape
func sha1x16(h *sha1State, p *sha1Data, blocks int)

// sha1Lanes is how many lanes pay at this level: sixteen need AVX-512.
func sha1Lanes() int {
	if active == levelAVX512 {
		return macLanes
	}
	return 4
}

// digest writes the state of lane i as a hash.
func (s *sha1State) digest(i int, to *[sha1.Size]byte) {
	for w, v := range &s.abcd[i] {
		binary.BigEndian.PutUint32(to[4*w:], v)
	}
	binary.BigEndian.PutUint32(to[16:], s.e[i])
}

func (s *sha1State) get(i int) [5]uint32 {
	a := &s.abcd[i]
	return [5]uint32{a[0], a[1], a[2], a[3], s.e[i]}
}

func (s *sha1State) set(i int, h *[5]uint32) {
	s.abcd[i], s.e[i] = [4]uint32(h[:4]), h[4]
}

// macs computes the HMAC-SHA1 of a batch. Each lane walks through one job after
// the other, whatever their lengths: as soon as one is done it takes the next,
// so that all lanes work until the batch runs out.
type macs struct {
	state sha1State
	left  [macLanes]int // blocks still to hash of each lane's step
	lane  [macLanes]macLane
	used  int // lanes at work, the first ones
}

// macLane is a job on its way: the whole blocks of its packet, then what ends
// the inner hash, then the outer hash (RFC 2104 §2).
type macLane struct {
	job    int
	packet []byte
	step   macStep
	at     int // bytes of this step that are hashed
	tail   [2 * sha1.BlockSize]byte
}

type macStep uint8

const (
	stepPacket macStep = iota
	stepTail
	stepOuter
)

// hmacState is the state of SHA-1 after one block of auth xor pad.
func hmacState(auth []byte, pad byte) [5]uint32 {
	var b [sha1.BlockSize]byte
	copy(b[:], auth)
	for i := range b {
		b[i] ^= pad
	}
	var s sha1State
	s.set(0, &[5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}) // FIPS 180-4 §5.3.1
	sha1x1(&s, &sha1Data{&b[0]}, 1)
	clear(b[:])
	return s.get(0)
}

// run writes trailer and tag of every job and sets its OK or, where open is
// set, sets OK to whether the tag is right.
func (m *macs) run(jobs []CMJob, open bool) {
	next, lanes := 0, sha1Lanes()
	for m.used = 0; m.used < lanes && next < len(jobs); next++ {
		m.used++
		m.start(m.used-1, next, &jobs[next], open)
	}
	for m.used > 0 {
		n := slices.Min(m.left[:m.used])
		m.hash(n)
		for i := m.used - 1; i >= 0; i-- {
			l := &m.lane[i]
			l.at += n * sha1.BlockSize
			if m.left[i] -= n; m.left[i] > 0 {
				continue
			}
			j := &jobs[l.job]
			if l.step != stepOuter {
				m.turn(i, j)
				continue
			}
			m.finish(i, j, open)
			if next < len(jobs) {
				m.start(i, next, &jobs[next], open)
				next++
			} else {
				m.used--
				if i < m.used {
					m.move(i, m.used)
				}
			}
		}
	}
}

// start puts a job into lane i.
func (m *macs) start(i, job int, j *CMJob, open bool) {
	l := &m.lane[i]
	l.job = job
	if open {
		l.packet = j.Src[:j.Header+len(j.Dst)]
	} else {
		l.packet = j.Dst[:j.Header+len(j.Src)]
	}
	l.step, l.at = stepPacket, 0
	m.left[i] = len(l.packet) / sha1.BlockSize
	m.state.set(i, &j.Key.table.inner)
	if m.left[i] == 0 {
		m.turn(i, j)
	}
}

// turn prepares the step after the one that lane i has done.
func (m *macs) turn(i int, j *CMJob) {
	l := &m.lane[i]
	if l.step == stepPacket {
		clear(l.tail[:])
		n := copy(l.tail[:], l.packet[l.at:])
		*(*[4]byte)(l.tail[n:]) = j.Trailer
		m.left[i] = l.pad(n+len(j.Trailer), len(l.packet)+len(j.Trailer))
		l.step, l.at = stepTail, 0
		return
	}
	l.step, l.at = stepOuter, 0
	clear(l.tail[:sha1.BlockSize])
	m.state.digest(i, (*[sha1.Size]byte)(l.tail[:]))
	m.state.set(i, &j.Key.table.outer)
	m.left[i] = l.pad(sha1.Size, sha1.Size)
}

// pad ends a message of length bytes after the block of ipad or opad, whose
// last n bytes lie in tail, and returns the number of blocks there (FIPS 180-4
// §5.1.1).
func (l *macLane) pad(n, length int) int {
	l.tail[n] = 0x80
	blocks := (n + 1 + 8 + sha1.BlockSize - 1) / sha1.BlockSize
	binary.BigEndian.PutUint64(l.tail[blocks*sha1.BlockSize-8:], uint64(sha1.BlockSize+length)*8)
	return blocks
}

// data is where the lane reads next.
func (l *macLane) data() *byte {
	if l.step == stepPacket {
		return &l.packet[l.at]
	}
	return &l.tail[l.at]
}

// hash takes n blocks of every lane in use. A kernel with more lanes repeats
// the first: their states are free. Sixteen lanes take about as long as four
// with the SHA instructions, so they pay from five on.
func (m *macs) hash(n int) {
	var p sha1Data
	for i := range p {
		if i < m.used {
			p[i] = m.lane[i].data()
		} else {
			p[i] = p[0]
		}
	}
	switch {
	case m.used > 4:
		sha1x16(&m.state, &p, n)
	case m.used > 2:
		sha1x4(&m.state, &p, n)
	case m.used == 2:
		sha1x2(&m.state, &p, n)
	default:
		sha1x1(&m.state, &p, n)
	}
}

// move puts what lane from does into lane to.
func (m *macs) move(to, from int) {
	h := m.state.get(from)
	m.state.set(to, &h)
	m.lane[to], m.left[to] = m.lane[from], m.left[from]
}

// finish writes or compares the tag of the job that lane i has hashed.
func (m *macs) finish(i int, j *CMJob, open bool) {
	var sum [sha1.Size]byte
	m.state.digest(i, &sum)
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
