package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels of AVX-512. As there are masks, a packet is taken as if it began
// a block earlier: counter 1, whose key stream is the tag's mask, is then the
// first lane of the first vector, and the last block of AAD is hashed where
// that lane's ciphertext would be. Neither costs anything of its own.

const wideLanes = group / 64 // vectors of a group

// Registers that the other kernels do not have.
var (
	wideTag  = reg.X25 // key stream of counter 1
	wideWant = reg.X7  // the tag that a packet to open has
	wideBase = reg.Z26 // nonce xor round key 0, in every lane
	widePoly = reg.Z27
	// Masks of the first vector: all bytes but the first lane's, the same by
	// eight bytes, and the bytes of a vector's first three lanes.
	wideRest, wideRest8, wideThree = reg.K2, reg.K3, reg.K4
	// wideFirst are the counter blocks of a packet's first group.
	wideFirst = []reg.VecPhysical{reg.Z28, reg.Z29, reg.Z30, reg.Z31}
	// kept is a group of ciphertext, byte-swapped, that waits to be hashed:
	// reading it back from memory, across cache lines, takes longer.
	kept = []reg.VecPhysical{reg.Z20, reg.Z21, reg.Z22, reg.Z23}
)

// wide writes one function: a loop over jobs.
func (k *kernel) wide() {
	k.begin()
	k.broadcast(NewDataAddr(NewStaticSymbol("gcmPoly"), 0), widePoly)
	MOVQ(I32(-1<<16), k.tmp)
	KMOVQ(k.tmp, wideRest)
	KSHIFTRQ(U8(16), wideRest, wideThree)
	MOVL(U32(0xfc), k.tmp.As32())
	KMOVB(k.tmp.As32(), wideRest8)
	for i, v := range wideFirst {
		VMOVDQU64(NewDataAddr(NewStaticSymbol("gcmCounters"), 16+64*i), v)
	}

	next, end := k.name+"_next", k.name+"_end"
	short, loop, last := k.name+"_short", k.name+"_loop", k.name+"_last"
	Label(next)
	TESTQ(k.count, k.count)
	JE(LabelRef(end))
	k.wideStart()
	k.wideAdditional()
	CMPQ(k.n, U32(group))
	JB(LabelRef(short))
	k.wideGroup(k.name+"_first", true, !k.seal)
	Label(loop)
	CMPQ(k.n, U32(group))
	JB(LabelRef(last))
	k.wideGroup(k.name+"_group", false, true)
	JMP(LabelRef(loop))
	Label(last)
	if k.seal {
		for i := range wideLanes {
			k.wideHash(i, false)
		}
		k.wideReduce()
	}
	TESTQ(k.n, k.n)
	JE(LabelRef(k.name + "_whole"))
	k.wideTails(k.name+"_tail", false)
	Label(short)
	k.wideTails(k.name+"_short", true)
	k.wideFinish()
	ADDQ(U32(jobSize), k.job)
	DECQ(k.count)
	JMP(LabelRef(next))
	Label(end)
	VZEROUPPER()
	RET()
}

// wideStart loads the job, all of it as if it began a block earlier.
func (k *kernel) wideStart() {
	at := func(off int) Mem { return Mem{Base: k.job, Disp: off} }
	MOVQ(at(jobKey), k.key)
	MOVQ(Mem{Base: k.key, Disp: offRounds}, k.rounds)
	MOVQ(at(jobSrc), k.src)
	MOVQ(at(jobDst), k.dst)
	MOVQ(at(k.payload()), k.n)
	SUBQ(U8(16), k.src)
	SUBQ(U8(16), k.dst)
	ADDQ(U8(16), k.n)
	LEAQ(NewDataAddr(NewStaticSymbol("gcmCounters"), 16), k.ctr)
	k.nonce(xs[rD])
	VPXOR(k.roundKey(0), xs[rD], xs[rD])
	VSHUFI64X2(U8(0), zs[rD], zs[rD], wideBase)
	k.clearSums()
}

// wideAdditional multiplies the AAD but for its last block into the sums, with
// the powers that the first group leaves above its own, and leaves that block
// in rY, where the hash so far is.
func (k *kernel) wideAdditional() {
	loop, last := k.name+"_aad_loop", k.name+"_aad_last"
	left, from := reg.RCX, reg.RSI
	MOVQ(Mem{Base: k.job, Disp: jobAAD}, from)
	MOVQ(Mem{Base: k.job, Disp: jobAAD + 8}, left)
	CMPQ(left, U8(16))
	JBE(LabelRef(last))
	// The first group's blocks: those of a group, or all there are and the
	// lengths; and those of the AAD but for one.
	LEAQ(Mem{Base: k.n, Disp: 31}, k.tmp)
	MOVQ(U32(group), k.h)
	CMPQ(k.n, U32(group))
	CMOVQCC(k.h, k.tmp)
	SHRQ(U8(4), k.tmp)
	LEAQ(Mem{Base: left, Disp: -1}, k.h)
	SHRQ(U8(4), k.h)
	ADDQ(k.h, k.tmp)
	SHLQ(U8(4), k.tmp)
	LEAQ(Mem{Base: k.key, Disp: offH + 16*powers}, k.h)
	SUBQ(k.tmp, k.h)
	Label(loop)
	VMOVDQU(Mem{Base: from}, xs[rD])
	VPSHUFB(xs[rMASK], xs[rD], xs[rD])
	k.wideProduct1(xs[rD], Mem{Base: k.h})
	ADDQ(U8(16), k.h)
	ADDQ(U8(16), from)
	SUBQ(U8(16), left)
	CMPQ(left, U8(16))
	JA(LabelRef(loop))
	Label(last)
	MOVQ(I32(-1), k.tmp)
	BZHIQ(left, k.tmp, k.tmp)
	KMOVQ(k.tmp, reg.K1)
	VMOVDQU8_Z(Mem{Base: from}, reg.K1, xs[rY])
	VPSHUFB(xs[rMASK], xs[rY], xs[rY])
}

// wideGroup encrypts or decrypts a group and advances. hash tells whether the
// ciphertext before (sealing) or this one (opening) is hashed meanwhile.
func (k *kernel) wideGroup(tag string, first, hash bool) {
	k.wideCounters(wideLanes, first)
	k.cipher(tag, wideLanes, -1, func(i int) {
		if hash && i < wideLanes {
			if !k.seal {
				k.wideLoad(i, first, k.wideMask(i, first), kept[i])
				VPSHUFB(zs[rMASK], kept[i], kept[i])
			}
			k.wideHash(i, first)
		}
	})
	for i := range wideLanes {
		VAESENCLAST(zs[rK], zs[i], zs[i])
		if first && i == 0 {
			VMOVDQA64(xs[0], wideTag)
			k.wideLoad(0, true, wideThree, zs[rD])
			VPXORQ(zs[rD], zs[0], zs[0])
		} else {
			VPXORQ(Mem{Base: k.src, Disp: 64 * i}, zs[i], zs[i])
		}
	}
	if hash {
		k.wideReduce()
	}
	for i := range wideLanes {
		k.wideStore(i, first, k.wideMask(i, first))
		switch {
		case k.seal && first && i == 0:
			VPSHUFB_Z(zs[rMASK], zs[0], wideRest, kept[0])
		case k.seal:
			VPSHUFB(zs[rMASK], zs[i], kept[i])
		}
	}
	ADDQ(U32(group), k.src)
	ADDQ(U32(group), k.dst)
	ADDQ(U32(group), k.ctr)
	SUBQ(U32(group), k.n)
}

// wideCounters lays out n vectors of counter blocks, xored with round key 0.
func (k *kernel) wideCounters(n int, first bool) {
	for i := range n {
		if first {
			VPXORQ(wideFirst[i], wideBase, zs[i])
		} else {
			VPXORQ(Mem{Base: k.ctr, Disp: 64 * i}, wideBase, zs[i])
		}
	}
}

// wideLoad and wideStore are for vector i. The first is the packet's first three
// blocks, shifted by a lane: with a mask the vector could begin before the
// packet, but where the page before is not present, that takes the processor
// hundreds of cycles. mask is for the bytes to load or store.
func (k *kernel) wideLoad(i int, first bool, mask, to Op) {
	switch {
	case first && i == 0:
		VMOVDQU8_Z(Mem{Base: k.src, Disp: 16}, mask, to)
		VSHUFI64X2_Z(U8(0x90), to, to, wideRest8, to)
	case mask != nil:
		VMOVDQU8_Z(Mem{Base: k.src, Disp: 64 * i}, mask, to)
	default:
		VMOVDQU64(Mem{Base: k.src, Disp: 64 * i}, to)
	}
}

func (k *kernel) wideStore(i int, first bool, mask Op) {
	switch {
	case first && i == 0:
		VSHUFI64X2(U8(0x39), zs[i], zs[i], zs[rD])
		VMOVDQU8(zs[rD], mask, Mem{Base: k.dst, Disp: 16})
	case mask != nil:
		VMOVDQU8(zs[i], mask, Mem{Base: k.dst, Disp: 64 * i})
	default:
		VMOVDQU64(zs[i], Mem{Base: k.dst, Disp: 64 * i})
	}
}

// wideMask is the mask for vector i of a group.
func (k *kernel) wideMask(i int, first bool) Op {
	if first && i == 0 {
		return wideThree
	}
	return nil
}

// wideHash multiplies vector i of a kept group into the sums.
func (k *kernel) wideHash(i int, first bool) {
	if i == 0 {
		VPXORQ(zs[rY], kept[0], kept[0]) // zero beyond its low 16 bytes
	}
	k.wideProduct(kept[i], Mem{Base: k.key, Disp: offH + 16*powers - group + 64*i})
}

// wideTails takes the last n bytes, 1 to 255.
func (k *kernel) wideTails(tag string, first bool) {
	for L := 1; L < wideLanes; L++ {
		CMPQ(k.n, U32(64*L))
		JBE(LabelRef(k.label("%s%d", tag, L)))
	}
	for L := wideLanes; L > 0; L-- {
		Label(k.label("%s%d", tag, L))
		k.wideTail(k.label("%s%d", tag, L), L, first)
		JMP(LabelRef(k.name + "_lengths"))
	}
}

// wideTail is for those that take L vectors.
func (k *kernel) wideTail(tag string, L int, first bool) {
	// Powers for the first block of this group: its blocks and the lengths.
	// h = table + 16*(powers-1-blocks).
	LEAQ(Mem{Base: k.n, Disp: 15}, k.tmp)
	ANDQ(I8(-16), k.tmp)
	LEAQ(Mem{Base: k.key, Disp: offH + 16*(powers-1)}, k.h)
	SUBQ(k.tmp, k.h)
	// K1 is for the bytes of the last vector in memory, K5 in the register.
	inMemory, inRegister := reg.K1, reg.K1
	off := 64 * (L - 1)
	if first && L == 1 {
		off, inRegister = 16, reg.K5
	}
	LEAQ(Mem{Base: k.n, Disp: -off}, reg.RCX)
	MOVQ(I32(-1), k.tmp)
	BZHIQ(reg.RCX, k.tmp, k.tmp)
	KMOVQ(k.tmp, inMemory)
	if inRegister != inMemory {
		KSHIFTLQ(U8(16), inMemory, inRegister)
	}

	k.wideCounters(L, first)
	k.cipher(tag, L, -1, nil)
	for i := range L {
		VAESENCLAST(zs[rK], zs[i], zs[i])
	}
	if first {
		VMOVDQA64(xs[0], wideTag)
	}
	mask := func(i int) Op {
		if i == L-1 {
			return inMemory
		}
		return k.wideMask(i, first)
	}
	// A load waits for a store before it that overlaps it, and be it by bytes
	// that a mask leaves out.
	for i := range L {
		k.wideLoad(i, first, mask(i), kept[i])
	}
	if !k.seal {
		VMOVDQU(Mem{Base: k.src, Index: k.n, Scale: 1}, wideWant)
	}
	for i := range L {
		VPXORQ(kept[i], zs[i], zs[i])
		k.wideStore(i, first, mask(i))
		switch { // what is beyond the packet is zero
		case !k.seal:
			VPSHUFB(zs[rMASK], kept[i], kept[i])
		case i == L-1:
			VMOVDQU8_Z(zs[i], inRegister, zs[i])
			VPSHUFB(zs[rMASK], zs[i], kept[i])
		case first && i == 0:
			VPSHUFB_Z(zs[rMASK], zs[i], wideRest, kept[i])
		default:
			VPSHUFB(zs[rMASK], zs[i], kept[i])
		}
	}
	VPXORQ(zs[rY], kept[0], kept[0])
	for i := range L {
		k.wideProduct(kept[i], Mem{Base: k.h, Disp: 64 * i})
	}
	k.wideSettle()
}

// wideProduct adds d times the powers at h to the unreduced sums. d stays. Four
// multiplications, with three-way xor, take fewer instructions than Karatsuba's
// three.
func (k *kernel) wideProduct(d reg.VecPhysical, h Mem) {
	a, b, u, t := reg.Z16, reg.Z17, reg.Z18, reg.Z19
	if k.waiting {
		a, t = reg.Z24, zs[rT]
	}
	VMOVDQU64(h, a)
	VPCLMULQDQ(U8(0x00), a, d, t)
	VPCLMULQDQ(U8(0x01), a, d, b)
	VPCLMULQDQ(U8(0x10), a, d, u)
	VPCLMULQDQ(U8(0x11), a, d, a)
	VPTERNLOGQ(U8(0x96), b, u, zs[rMI])
	if k.waiting {
		VPTERNLOGQ(U8(0x96), reg.Z19, t, zs[rLO])
		VPTERNLOGQ(U8(0x96), reg.Z16, a, zs[rHI])
	}
	k.waiting = !k.waiting
}

// wideSettle adds a product that waits for another to be added together with.
func (k *kernel) wideSettle() {
	if k.waiting {
		VPXORQ(reg.Z19, zs[rLO], zs[rLO])
		VPXORQ(reg.Z16, zs[rHI], zs[rHI])
		k.waiting = false
	}
}

// wideProduct1 is wideProduct for one block; the upper lanes of the sums stay.
func (k *kernel) wideProduct1(d reg.VecPhysical, h Mem) {
	for _, p := range []struct{ halves, sum int }{{0x00, rLO}, {0x11, rHI}, {0x01, rMI}, {0x10, rMI}} {
		VPCLMULQDQ(U8(p.halves), h, d, xs[rT])
		VPXORQ(zs[rT], zs[p.sum], zs[p.sum]) // an xmm result has zeros above
	}
}

// wideReduce folds the sums into the hash, in the low 16 bytes of rY: lane by
// lane first, then the lanes into one.
func (k *kernel) wideReduce() {
	k.wideSettle()
	lo, mi, hi, t := zs[rLO], zs[rMI], zs[rHI], zs[rT]
	VPCLMULQDQ(U8(0x01), lo, widePoly, t)
	VPSHUFD(U8(0x4e), lo, lo)
	VPTERNLOGQ(U8(0x96), lo, t, mi)
	VPCLMULQDQ(U8(0x01), mi, widePoly, t)
	VPSHUFD(U8(0x4e), mi, mi)
	VPTERNLOGQ(U8(0x96), mi, t, hi)
	VEXTRACTI64X4(U8(1), hi, ys[rT])
	VPXOR(ys[rT], ys[rHI], ys[rHI])
	VEXTRACTI128(U8(1), ys[rHI], xs[rT])
	VPXOR(xs[rT], xs[rHI], xs[rY])
	k.clearSums()
}

// wideFinish multiplies the lengths in, and writes or compares the tag.
func (k *kernel) wideFinish() {
	// Without a tail the hash of whole groups has not been taken up.
	Label(k.name + "_whole")
	k.wideLengths()
	VPXOR(xs[rY], xs[rD], xs[rD])
	if !k.seal {
		VMOVDQU(Mem{Base: k.src}, wideWant)
	}
	JMP(LabelRef(k.name + "_multiply"))
	Label(k.name + "_lengths")
	k.wideLengths()
	Label(k.name + "_multiply")
	k.wideProduct1(xs[rD], Mem{Base: k.key, Disp: offH + 16*(powers-1)})
	k.wideReduce()
	VPSHUFB(xs[rMASK], xs[rY], xs[rY])
	VPXORQ(wideTag, xs[rY], xs[rY])
	if k.seal {
		VMOVDQU(xs[rY], Mem{Base: k.dst, Index: k.n, Scale: 1})
		MOVB(U8(1), Mem{Base: k.job, Disp: jobOK})
		return
	}
	VPXOR(wideWant, xs[rY], xs[rY])
	VPTEST(xs[rY], xs[rY])
	SETEQ(Mem{Base: k.job, Disp: jobOK})
}

// wideLengths makes the block of lengths in bits, big-endian: byte-swapped that
// is bits of the payload in the low half, of the AAD in the high half.
func (k *kernel) wideLengths() {
	VMOVQ(Mem{Base: k.job, Disp: k.payload()}, xs[rD])
	VMOVHPS(Mem{Base: k.job, Disp: jobAAD + 8}, xs[rD], xs[rD])
	VPSLLQ(U8(3), xs[rD], xs[rD])
}
