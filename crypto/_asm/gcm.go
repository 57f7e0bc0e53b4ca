// The AES-GCM kernels: a batch of packets, each under its own key, sealed or
// opened by one call.
//
// A packet is taken in groups of 256 bytes, sixteen counter blocks in flight
// (of 128 bytes where a vector holds one block).
// While a group is encrypted, the ciphertext before it (when opening, its own)
// is multiplied into the hash: AES and carry-less multiplication use different
// ports. A group is reduced once. The last, shorter group is written out for
// each number of vectors it may take, with the tag's mask as one more lane.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in gcmTable and GCMJob; a test compares them with the Go types.
const (
	offRounds = 240
	offH      = 256
	offX      = 656
	powers    = 21 // H^21 at offH, ..., H^1 at offH+16*20, four times zero behind

	jobKey, jobNonce = 0, 8
	jobDst, jobSrc   = 24, 48
	jobAAD, jobOK    = 72, 96
	jobSize          = 104
	group            = 256 // the longest of a kernel
)

// kernel is one function being generated: a width and a direction.
type kernel struct {
	width int // bytes of a vector: 16, 32 or 64
	seal  bool
	name  string

	waiting bool // of AVX-512: an odd product is in Z16 and Z19, at this point of the code

	job, count          reg.GPPhysical
	key, src, dst, n    reg.GPPhysical
	rounds, ctr, tmp, h reg.GPPhysical
	aad, aadLen         reg.GPPhysical
	base, buf, mask     Mem // stack: counter base, partial vector, tag mask
}

// Vector registers.
const (
	rK, rLO, rMI, rHI, rD, rT, rY, rMASK = 8, 9, 10, 11, 12, 13, 14, 15
)

var (
	ys = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	xs = []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7, reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15}
	zs = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15}
)

func (k *kernel) v(i int) reg.VecPhysical {
	switch k.width {
	case 64:
		return zs[i]
	case 32:
		return ys[i]
	}
	return xs[i]
}

// lanes is the number of vectors of a group: what hides the latency of AES, and
// no more than eight, for which there are registers.
func (k *kernel) lanes() int { return min(8, group/k.width) }

// group is the number of bytes taken at once.
func (k *kernel) group() int { return k.lanes() * k.width }

func (k *kernel) xor(a, b, dst Op) {
	if k.width == 64 {
		VPXORQ(a, b, dst)
	} else {
		VPXOR(a, b, dst)
	}
}

func (k *kernel) load(m Mem, dst Op) {
	if k.width == 64 {
		VMOVDQU64(m, dst)
	} else {
		VMOVDQU(m, dst)
	}
}

func (k *kernel) store(src Op, m Mem) {
	if k.width == 64 {
		VMOVDQU64(src, m)
	} else {
		VMOVDQU(src, m)
	}
}

// broadcast copies 16 bytes of memory to every lane.
func (k *kernel) broadcast(m Mem, dst Op) {
	switch k.width {
	case 64:
		VBROADCASTI32X4(m, dst)
	case 32:
		VBROADCASTI128(m, dst)
	default:
		VMOVDQU(m, dst)
	}
}

func (k *kernel) roundKey(i int) Mem { return Mem{Base: k.key, Disp: 16 * i} }

func (k *kernel) label(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// product adds d times the powers at h to the unreduced sums. d stays.
func (k *kernel) product(d reg.VecPhysical, h, x Mem) {
	t := k.v(rT)
	VPCLMULQDQ(U8(0x00), h, d, t)
	k.xor(t, k.v(rLO), k.v(rLO))
	VPCLMULQDQ(U8(0x11), h, d, t)
	k.xor(t, k.v(rHI), k.v(rHI))
	VPSHUFD(U8(0x4e), d, t)
	k.xor(d, t, t)
	VPCLMULQDQ(U8(0x00), x, t, t)
	k.xor(t, k.v(rMI), k.v(rMI))
}

// reduce folds the sums into the hash, in the low 16 bytes of rY.
func (k *kernel) reduce() {
	// Karatsuba's middle.
	k.xor(k.v(rLO), k.v(rMI), k.v(rMI))
	k.xor(k.v(rHI), k.v(rMI), k.v(rMI))
	for _, r := range []int{rLO, rMI, rHI} {
		if k.width > 16 {
			VEXTRACTI128(U8(1), ys[r], xs[rT])
			VPXOR(xs[rT], xs[r], xs[r])
		}
	}
	poly := NewDataAddr(NewStaticSymbol("gcmPoly"), 0)
	VMOVDQU(poly, xs[rD])
	VPCLMULQDQ(U8(0x01), xs[rLO], xs[rD], xs[rT])
	VPSHUFD(U8(0x4e), xs[rLO], xs[rLO])
	VPXOR(xs[rLO], xs[rMI], xs[rMI])
	VPXOR(xs[rT], xs[rMI], xs[rMI])
	VPCLMULQDQ(U8(0x01), xs[rMI], xs[rD], xs[rT])
	VPSHUFD(U8(0x4e), xs[rMI], xs[rMI])
	VPXOR(xs[rMI], xs[rHI], xs[rHI])
	VPXOR(xs[rT], xs[rHI], xs[rY])
	k.clearSums()
}

func (k *kernel) clearSums() {
	for _, r := range []int{rLO, rMI, rHI} {
		VPXOR(xs[r], xs[r], xs[r]) // clears the whole register
	}
}

// hashStep multiplies vector i of a group of ciphertext at p into the sums,
// after the hash so far went into the group's first block.
func (k *kernel) hashStep(p reg.GPPhysical, disp, i int) {
	d := k.v(rD)
	k.load(Mem{Base: p, Disp: disp + i*k.width}, d)
	VPSHUFB(k.v(rMASK), d, d)
	if i == 0 {
		k.xor(k.v(rY), d, d) // zero beyond its low 16 bytes
	}
	at := 16*powers - k.group() + i*k.width
	k.product(d, Mem{Base: k.key, Disp: offH + at}, Mem{Base: k.key, Disp: offX + at})
}

// counters lays out n vectors of counter blocks, xored with round key 0.
func (k *kernel) counters(n int) {
	k.broadcast(k.base, k.v(rD))
	for i := range n {
		k.xor(Mem{Base: k.ctr, Disp: i * k.width}, k.v(rD), k.v(i))
	}
}

// cipher runs all rounds but the last over vectors 0 to n-1, and over the
// extra xmm register where extra is not negative; after each of the first
// rounds it calls between. The last round key is then in rK.
func (k *kernel) cipher(tag string, n, extra int, between func(round int)) {
	round := func(i int) {
		k.broadcast(k.roundKey(i), k.v(rK))
		for s := range n {
			VAESENC(k.v(rK), k.v(s), k.v(s))
		}
		if extra >= 0 {
			VAESENC(xs[rK], xs[extra], xs[extra])
		}
	}
	for i := 1; i <= 9; i++ {
		round(i)
		if between != nil {
			between(i - 1)
		}
	}
	last := k.label("%s_last", tag)
	k.broadcast(k.roundKey(10), k.v(rK))
	CMPQ(k.rounds, U8(10))
	JE(LabelRef(last))
	for i := 10; i <= 13; i++ {
		round(i)
	}
	k.broadcast(k.roundKey(14), k.v(rK))
	Label(last)
}

// fullGroup encrypts or decrypts a group and advances. hash tells whether
// the ciphertext before (sealing) or this one (opening) is hashed meanwhile.
func (k *kernel) fullGroup(tag string, hash bool) {
	n := k.lanes()
	k.counters(n)
	var between func(int)
	if hash {
		disp := 0
		p := k.src
		if k.seal {
			p, disp = k.dst, -k.group()
		}
		between = func(i int) {
			if i < n {
				k.hashStep(p, disp, i)
			}
		}
	}
	k.cipher(tag, n, -1, between)
	for i := range n {
		VAESENCLAST(k.v(rK), k.v(i), k.v(i))
		k.xor(Mem{Base: k.src, Disp: i * k.width}, k.v(i), k.v(i))
	}
	if hash {
		k.reduce()
	}
	for i := range n {
		k.store(k.v(i), Mem{Base: k.dst, Disp: i * k.width})
	}
	ADDQ(U32(uint32(k.group())), k.src)
	ADDQ(U32(uint32(k.group())), k.dst)
	ADDQ(U32(uint32(k.group())), k.ctr)
	SUBQ(U32(uint32(k.group())), k.n)
}
