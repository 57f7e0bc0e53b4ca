//go:build !purego

package crypto

import (
	"crypto/sha1"
	"encoding/binary"

	"github.com/klauspost/cpuid/v2"
)

// hashLevel is a way to compute SHA-1.
type hashLevel uint8

const (
	hashStdlib   hashLevel = iota // one packet after the other
	hashSHA                       // the SHA instructions, up to four packets interleaved
	hashLevelNum = iota
)

var hashNames = [hashLevelNum]string{"stdlib", "sha"}

// hashLevels lists what this processor can do, the best last.
func hashLevels() []hashLevel {
	if !cpuid.CPU.Supports(cpuid.SHA1) {
		return []hashLevel{hashStdlib}
	}
	return []hashLevel{hashStdlib, hashSHA}
}

// pick returns how many of n messages to hash next and in how many lanes: none
// where the standard library does it.
func (l hashLevel) pick(n int) (take, lanes int) {
	if l == hashStdlib {
		return 1, 0
	}
	return min(n, 4), min(n, 4)
}

// sha1Lanes takes the lanes further: first blocks times 64 bytes from their p,
// then tails blocks of their tails, then, where outer is set, the outer
// message, which is written over the tail. The state is left in h, and p is
// undefined. A lane without p is right where blocks is zero.
func sha1Lanes(l []macLane, p *sha1Data, blocks, tails int, outer bool) {
	var h [4]*sha1State
	var at [4]*byte
	for i := range l {
		h[i], at[i] = &l[i].h, p[i]
	}
	if blocks > 0 {
		sha1Blocks(len(l), &h, &at, blocks)
	}
	if tails > 0 {
		for i := range l {
			at[i] = &l[i].buf[tailAt]
		}
		sha1Blocks(len(l), &h, &at, tails)
	}
	if !outer {
		return
	}
	for i := range l {
		b := l[i].buf[tailAt : tailAt+sha1.BlockSize]
		clear(b)
		for k, w := range l[i].h[:sha1.Size/4] {
			binary.BigEndian.PutUint32(b[4*k:], w)
		}
		b[sha1.Size] = 0x80
		binary.BigEndian.PutUint64(b[sha1.BlockSize-8:], 8*(sha1.BlockSize+sha1.Size))
		l[i].h = *l[i].outer
		at[i] = &b[0]
	}
	sha1Blocks(len(l), &h, &at, 1)
}

func sha1Blocks(lanes int, h *[4]*sha1State, p *[4]*byte, blocks int) {
	switch lanes {
	case 1:
		sha1x1(h, p, blocks)
	case 2:
		sha1x2(h, p, blocks)
	case 3:
		sha1x3(h, p, blocks)
	case 4:
		sha1x4(h, p, blocks)
	default:
		panic("crypto: no kernel for so many lanes")
	}
}

//go:noescape
func sha1x1(h *[4]*sha1State, p *[4]*byte, blocks int)

//go:noescape
func sha1x2(h *[4]*sha1State, p *[4]*byte, blocks int)

//go:noescape
func sha1x3(h *[4]*sha1State, p *[4]*byte, blocks int)

//go:noescape
func sha1x4(h *[4]*sha1State, p *[4]*byte, blocks int)
