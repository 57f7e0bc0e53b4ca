//go:build !purego

package crypto

import (
	"github.com/klauspost/cpuid/v2"
)

// hashLevel is a way to compute SHA-1, chosen apart from the level of AES:
// there are processors with any mixture of the two.
type hashLevel uint8

const (
	hashStdlib   hashLevel = iota // one packet after the other
	hashAVX2                      // eight packets at once
	hashSHA                       // the SHA instructions, up to four packets interleaved
	hashSHAWide                   // the same for up to three, AVX2 for more
	hashAVX512                    // sixteen at once; the SHA instructions, if there, for few
	hashLevelNum = iota
)

var hashNames = [hashLevelNum]string{"stdlib", "avx2", "sha", "sha+avx2", "avx512"}

// intel reports a processor whose SHA instructions are slower than eight lanes
// of AVX2.
var intel = cpuid.CPU.VendorID == cpuid.Intel

// hashLevels lists what this processor can do, the best last. Intel's SHA
// instructions have half the throughput of AMD's, so that eight lanes of AVX2
// overtake them there.
func hashLevels() []hashLevel {
	cpu := &cpuid.CPU
	all := []hashLevel{hashStdlib}
	avx2, sha := cpu.Supports(cpuid.AVX2), hasSHA
	if avx2 {
		all = append(all, hashAVX2)
	}
	if sha && avx2 && !intel {
		all = append(all, hashSHAWide)
	}
	if sha {
		all = append(all, hashSHA)
	}
	if sha && avx2 && intel {
		all = append(all, hashSHAWide)
	}
	if cpu.Supports(cpuid.AVX2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ) {
		all = append(all, hashAVX512)
	}
	return all
}

// hasSHA reports whether the SHA instructions, and AVX for what is around them,
// are there. Tests do without.
var hasSHA = cpuid.CPU.Supports(cpuid.SHA, cpuid.AVX)

// narrow reports whether the SHA instructions may be used.
func (l hashLevel) narrow() bool {
	return l == hashSHA || l == hashSHAWide || l == hashAVX512 && hasSHA
}

// pick returns how many of n messages to hash next and in how many lanes: none
// where the standard library is faster.
func (l hashLevel) pick(n int) (take, lanes int) {
	switch {
	case l == hashAVX512 && n > 3:
		return min(n, 16), 16
	case l == hashAVX2 && n > 2 || l == hashSHAWide && n > 3:
		return min(n, 8), 8
	case l.narrow():
		return min(n, 4), min(n, 4)
	case l == hashAVX512 && n > 1:
		return n, 16
	}
	return 1, 0
}

// sha1Lanes takes the lanes further: first blocks times 64 bytes from their p,
// then tails blocks of their tails, then, where outer is set, the outer
// message, which is written over the tail. The state is left in h, and p is
// undefined. A lane without p is right where blocks is zero.
func sha1Lanes(l []macLane, p *sha1Data, blocks, tails int, outer bool) {
	switch len(l) {
	case 1:
		sha1x1(&l[0], p, blocks, tails, outer)
	case 2:
		sha1x2(&l[0], p, blocks, tails, outer)
	case 3:
		sha1x3(&l[0], p, blocks, tails, outer)
	case 4:
		sha1x4(&l[0], p, blocks, tails, outer)
	case 8:
		sha1x8(&l[0], p, blocks, tails, outer)
	case 16:
		sha1x16(&l[0], p, blocks, tails, outer)
	default:
		panic("crypto: no kernel for so many lanes")
	}
}

//go:noescape
func sha1x1(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)

//go:noescape
func sha1x2(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)

//go:noescape
func sha1x3(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)

//go:noescape
func sha1x4(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)

//go:noescape
func sha1x8(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)

//go:noescape
func sha1x16(lanes *macLane, p *sha1Data, blocks, tails int, outer bool)
