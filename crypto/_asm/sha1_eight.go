// SHA-1 of eight messages with AVX2, for processors without the SHA
// instructions and for those where these are slow.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// eight is the kernel being generated. The schedule and the state before the
// block are on the stack.
type eight struct {
	hashArgs
	s      []reg.VecPhysical
	at     reg.GPPhysical
	stack  reg.GPPhysical
	f, r   reg.VecPhysical
	x, k   reg.VecPhysical
	swap   reg.VecPhysical
	column []reg.VecPhysical
}

func (e *eight) w(i int) Mem    { return Mem{Base: e.stack, Disp: 32 * (i & 15)} }
func (e *eight) save(i int) Mem { return Mem{Base: e.stack, Disp: 32 * (16 + i)} }

func eightBlocks() {
	const name = "sha1x8"
	e := &eight{hashArgs: hashStart(name, name+" is as sha1x4 for eight lanes, with AVX2 instead of SHA-NI."),
		s: append([]reg.VecPhysical(nil), ys[:5]...), at: reg.RDX, stack: reg.R12,
		f: ys[9], r: ys[10], x: ys[11], k: ys[12], swap: ys[15], column: ys[11:15]}
	LEAQ(AllocLocal(32*21+32), e.stack)
	ADDQ(U8(31), e.stack)
	ANDQ(I8(-32), e.stack)
	VBROADCASTI128(NewDataAddr(NewStaticSymbol("shaWords"), 0), e.swap)
	e.state(e.lane)
	XORQ(e.at, e.at)
	TESTQ(e.blocks, e.blocks)
	JE(LabelRef(name + "_next"))

	Label(name + "_loop")
	e.load()
	Label(name + "_rounds")
	for i, r := range e.s {
		VMOVDQA(r, e.save(i))
	}
	for t := range 80 {
		e.round(t)
		e.s = []reg.VecPhysical{e.s[4], e.s[0], e.s[1], e.s[2], e.s[3]}
	}
	for i, r := range e.s { // 80 rounds bring the names back
		VPADDD(e.save(i), r, r)
	}
	ADDQ(U8(64), e.at)
	DECQ(e.blocks)
	JNE(LabelRef(name + "_loop"))
	e.next(name, func() {
		e.toTails(8)
		XORQ(e.at, e.at)
	}, func() {
		// The digest is the message (RFC 2104 §2), of 20 bytes.
		for i, r := range e.s {
			VMOVDQA(r, e.w(i))
		}
		for off, i := range []int{5, 15} {
			VPBROADCASTD(NewDataAddr(NewStaticSymbol("shaEnd"), 4*off), e.x)
			VMOVDQA(e.x, e.w(i))
		}
		VPXOR(e.x, e.x, e.x)
		for i := 6; i < 15; i++ {
			VMOVDQA(e.x, e.w(i))
		}
		e.state(e.outerState())
		JMP(LabelRef(name + "_rounds"))
	})

	Label(name + "_store")
	e.store()
	VZEROUPPER()
	RET()
}

// store writes the state of every lane back.
func (e *eight) store() {
	transpose8(e.s[:4])
	for i := range 4 {
		VMOVDQU(xs[i], e.lane(i, 0))
		VEXTRACTI128(U8(1), e.s[i], e.lane(i+4, 0))
	}
	for q := range 2 {
		VEXTRACTI128(U8(uint8(q)), e.s[4], xs[5])
		for i := range 4 {
			VPEXTRD(U8(uint8(i)), xs[5], e.lane(4*q+i, laneE))
		}
	}
	// The state after opad is as good as the key: it does not stay behind.
	VPXOR(e.x, e.x, e.x)
	for i := range e.s {
		VMOVDQA(e.x, e.save(i))
	}
}

// transpose8 is transpose for four rows of two lanes each.
func transpose8(r []reg.VecPhysical) {
	t := ys[5:9]
	VPUNPCKLDQ(r[1], r[0], t[0])
	VPUNPCKHDQ(r[1], r[0], t[1])
	VPUNPCKLDQ(r[3], r[2], t[2])
	VPUNPCKHDQ(r[3], r[2], t[3])
	VPUNPCKLQDQ(t[2], t[0], r[0])
	VPUNPCKHQDQ(t[2], t[0], r[1])
	VPUNPCKLQDQ(t[3], t[1], r[2])
	VPUNPCKHQDQ(t[3], t[1], r[3])
}

// state reads the state of eight lanes, each at(lane, 0).
func (e *eight) state(at func(lane, off int) Mem) {
	for i := range 4 {
		VMOVDQU(at(i, 0), xs[i])
		VINSERTI128(U8(1), at(i+4, 0), e.s[i], e.s[i])
	}
	transpose8(e.s[:4])
	for q := range 2 {
		VMOVD(at(4*q, laneE), xs[4+q])
		for i := 1; i < 4; i++ {
			VPINSRD(U8(uint8(i)), at(4*q+i, laneE), xs[4+q], xs[4+q])
		}
	}
	VINSERTI128(U8(1), xs[5], e.s[4], e.s[4])
}

// load reads a block of every lane into the schedule.
func (e *eight) load() {
	low := xs[11:15]
	for i := 0; i < 16; i += 4 {
		for l := range 4 {
			for q, r := range []reg.GPPhysical{reg.R8, reg.R9} {
				MOVQ(e.from(l+4*q), r)
			}
			VMOVDQU(Mem{Base: reg.R8, Index: e.at, Scale: 1, Disp: 4 * i}, low[l])
			VINSERTI128(U8(1), Mem{Base: reg.R9, Index: e.at, Scale: 1, Disp: 4 * i}, e.column[l], e.column[l])
			VPSHUFB(e.swap, e.column[l], e.column[l])
		}
		transpose8(e.column)
		for j, r := range e.column {
			VMOVDQA(r, e.w(i+j))
		}
	}
}

// round is round t: the new A replaces E (FIPS 180-4 §6.1.2).
func (e *eight) round(t int) {
	a, b, c, d, n := e.s[0], e.s[1], e.s[2], e.s[3], e.s[4]
	if t%20 == 0 {
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("shaK"), t/20*4), e.k)
	}
	VPADDD(e.k, n, n)
	if t < 16 {
		VPADDD(e.w(t), n, n)
	} else {
		VMOVDQA(e.w(t-3), e.x)
		VPXOR(e.w(t-8), e.x, e.x)
		VPXOR(e.w(t-14), e.x, e.x)
		VPXOR(e.w(t), e.x, e.x)
		e.rotate(1, e.x)
		if t < 77 {
			VMOVDQA(e.x, e.w(t))
		}
		VPADDD(e.x, n, n)
	}
	switch t / 20 { // FIPS 180-4 §4.1.1
	case 0:
		VPXOR(d, c, e.f)
		VPAND(b, e.f, e.f)
		VPXOR(d, e.f, e.f)
	case 2:
		VPXOR(c, b, e.f)
		VPXOR(d, b, e.r)
		VPAND(e.r, e.f, e.f)
		VPXOR(b, e.f, e.f)
	default:
		VPXOR(c, b, e.f)
		VPXOR(d, e.f, e.f)
	}
	VPADDD(e.f, n, n)
	VPSLLD(U8(5), a, e.r)
	VPSRLD(U8(27), a, e.f)
	VPOR(e.f, e.r, e.r)
	VPADDD(e.r, n, n)
	e.rotate(30, b)
}

// rotate turns each word of v left by n bits.
func (e *eight) rotate(n int, v reg.VecPhysical) {
	VPSLLD(U8(uint8(n)), v, e.r)
	VPSRLD(U8(uint8(32-n)), v, v)
	VPOR(e.r, v, v)
}
