package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expandKey generates the key schedule (FIPS 197 §5.2) and the powers of H.
func expandKey() {
	TEXT("gcmExpand", NOSPLIT, "func(t, key *byte, rounds int)")
	Doc("gcmExpand fills t from a key of 16 bytes (10 rounds) or 32 (14 rounds).")
	Pragma("noescape")
	t, key, rounds := reg.R8, reg.R9, reg.R10
	Load(Param("t"), t)
	Load(Param("key"), key)
	Load(Param("rounds"), rounds)
	MOVQ(rounds, Mem{Base: t, Disp: offRounds})
	schedule(t, key, rounds, "hash")
	Label("hash")
	rk := func(i int) Mem { return Mem{Base: t, Disp: 16 * i} }
	// H = E(0), byte-swapped and multiplied by x, which saves a shift in
	// each product.
	h, p, poly := xs[0], xs[1], xs[5]
	VMOVDQU(rk(0), h)
	i := reg.RCX
	MOVQ(U32(1), i)
	Label("encrypt")
	MOVQ(i, reg.RAX)
	SHLQ(U8(4), reg.RAX)
	VAESENC(Mem{Base: t, Index: reg.RAX, Scale: 1}, h, h)
	INCQ(i)
	CMPQ(i, rounds)
	JB(LabelRef("encrypt"))
	MOVQ(i, reg.RAX)
	SHLQ(U8(4), reg.RAX)
	VAESENCLAST(Mem{Base: t, Index: reg.RAX, Scale: 1}, h, h)
	VPSHUFB(NewDataAddr(NewStaticSymbol("gcmSwap"), 0), h, h)
	VMOVDQU(NewDataAddr(NewStaticSymbol("gcmPoly"), 0), poly)
	VPSHUFD(U8(0xd3), h, xs[2])
	VPSRAD(U8(31), xs[2], xs[2])
	VPADDQ(h, h, h)
	VPAND(NewDataAddr(NewStaticSymbol("gcmDouble"), 0), xs[2], xs[2])
	VPXOR(xs[2], h, h)

	VMOVDQA(h, p)
	for n := 1; n <= powers; n++ {
		at := 16 * (powers - n)
		VMOVDQU(p, Mem{Base: t, Disp: offH + at})
		VPSHUFD(U8(0x4e), p, xs[2])
		VPXOR(p, xs[2], xs[2])
		VMOVDQU(xs[2], Mem{Base: t, Disp: offX + at})
		if n == powers {
			break
		}
		// p = p*h
		lo, hi, mi, tt := xs[6], xs[7], xs[8], xs[9]
		VPCLMULQDQ(U8(0x00), h, p, lo)
		VPCLMULQDQ(U8(0x11), h, p, hi)
		VPCLMULQDQ(U8(0x01), h, p, mi)
		VPCLMULQDQ(U8(0x10), h, p, tt)
		VPXOR(tt, mi, mi)
		VPCLMULQDQ(U8(0x01), lo, poly, tt)
		VPSHUFD(U8(0x4e), lo, lo)
		VPXOR(lo, mi, mi)
		VPXOR(tt, mi, mi)
		VPCLMULQDQ(U8(0x01), mi, poly, tt)
		VPSHUFD(U8(0x4e), mi, mi)
		VPXOR(mi, hi, hi)
		VPXOR(tt, hi, p)
	}
	RET()
}

// schedule writes the round keys of a key to t and goes to the label done,
// which has to follow.
func schedule(t, key, rounds reg.GPPhysical, done string) {
	rk := func(i int) Mem { return Mem{Base: t, Disp: 16 * i} }
	next := func(prev, gen reg.VecPhysical, shuffle uint8) {
		VPSHUFD(U8(shuffle), gen, gen)
		VPSLLDQ(U8(4), prev, xs[3])
		VPXOR(xs[3], prev, xs[4])
		VPSLLDQ(U8(8), xs[4], xs[3])
		VPXOR(xs[3], xs[4], xs[4])
		VPXOR(gen, xs[4], prev)
	}
	CMPQ(rounds, U8(14))
	JE(LabelRef("expand256"))
	VMOVDQU(Mem{Base: key}, xs[0])
	VMOVDQU(xs[0], rk(0))
	for i, rcon := range []uint8{1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36} {
		VAESKEYGENASSIST(U8(rcon), xs[0], xs[2])
		next(xs[0], xs[2], 0xff)
		VMOVDQU(xs[0], rk(i+1))
	}
	JMP(LabelRef(done))
	Label("expand256")
	VMOVDQU(Mem{Base: key}, xs[0])
	VMOVDQU(Mem{Base: key, Disp: 16}, xs[1])
	VMOVDQU(xs[0], rk(0))
	VMOVDQU(xs[1], rk(1))
	for i, rcon := range []uint8{1, 2, 4, 8, 16, 32, 64} {
		VAESKEYGENASSIST(U8(rcon), xs[1], xs[2])
		next(xs[0], xs[2], 0xff)
		VMOVDQU(xs[0], rk(2*i+2))
		if i == 6 {
			break
		}
		VAESKEYGENASSIST(U8(0), xs[0], xs[2])
		next(xs[1], xs[2], 0xaa)
		VMOVDQU(xs[1], rk(2*i+3))
	}
}
