// SHA-1 of sixteen messages, one in each word of a vector: with the rotations
// and three-way logic of AVX-512 that is about ten instructions a round for all
// sixteen, a fraction of what the SHA instructions take.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Truth tables of FIPS 180-4 §4.1.1 for operands z, y, x.
const (
	shaCh, shaParity, shaMaj = 0xb8, 0x96, 0xe8
)

// Registers: the schedule, temporary ones and the state before a block.
var (
	wideW    = []reg.VecPhysical{reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}
	wideTemp = zs[5:9]
	wideSave = zs[11:16]
)

func wideData() {
	GLOBL("shaWords", RODATA|NOPTR)
	DATA(0, U64(0x0405060700010203))
	DATA(8, U64(0x0c0d0e0f08090a0b))
	GLOBL("shaK", RODATA|NOPTR) // FIPS 180-4 §4.2.1
	for i, k := range []uint32{0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6} {
		DATA(4*i, U32(k))
	}
}

// transpose turns four rows, of four words of lanes i, i+4, i+8 and i+12, into
// four columns, each of one word of sixteen lanes. Columns it turns into rows
// whose quarters are the lanes' words.
func transpose(r []reg.VecPhysical) {
	t := wideTemp
	VPUNPCKLDQ(r[1], r[0], t[0])
	VPUNPCKHDQ(r[1], r[0], t[1])
	VPUNPCKLDQ(r[3], r[2], t[2])
	VPUNPCKHDQ(r[3], r[2], t[3])
	VPUNPCKLQDQ(t[2], t[0], r[0])
	VPUNPCKHQDQ(t[2], t[0], r[1])
	VPUNPCKLQDQ(t[3], t[1], r[2])
	VPUNPCKHQDQ(t[3], t[1], r[3])
}

func wideBlocks() {
	TEXT("sha1x16", NOSPLIT, "func(h, p *byte, blocks int)")
	Doc("sha1x16 is as sha1x4 for sixteen lanes, with AVX-512 instead of SHA-NI.")
	Pragma("noescape")
	h, p, blocks, at := reg.RDI, reg.RSI, reg.RCX, reg.RDX
	Load(Param("h"), h)
	Load(Param("p"), p)
	Load(Param("blocks"), blocks)
	XORQ(at, at)
	s := append([]reg.VecPhysical(nil), zs[:5]...)
	word := func(lane int) Mem { return Mem{Base: h, Disp: 16 * lane} }
	for i := range 4 {
		VMOVDQU(word(i), xs[i])
		for q := 1; q < 4; q++ {
			VINSERTI32X4(U8(uint8(q)), word(i+4*q), s[i], s[i])
		}
	}
	transpose(s[:4])
	VMOVDQU32(Mem{Base: h, Disp: shaE}, s[4])

	Label("sha1x16_loop")
	for i := range s {
		VMOVDQA32(s[i], wideSave[i])
	}
	VBROADCASTI32X4(NewDataAddr(NewStaticSymbol("shaWords"), 0), zs[10])
	wideLoad(p, at)
	for t := range 80 {
		wideRound(t, s)
		s = []reg.VecPhysical{s[4], s[0], s[1], s[2], s[3]}
	}
	for i := range s { // 80 rounds bring the names back
		VPADDD(wideSave[i], s[i], s[i])
	}
	ADDQ(U8(64), at)
	DECQ(blocks)
	JNE(LabelRef("sha1x16_loop"))

	transpose(s[:4])
	for i := range 4 {
		VMOVDQU(xs[i], word(i))
		for q := 1; q < 4; q++ {
			VEXTRACTI32X4(U8(uint8(q)), s[i], word(i+4*q))
		}
	}
	VMOVDQU32(s[4], Mem{Base: h, Disp: shaE})
	VZEROUPPER()
	RET()
}

// wideLoad reads a block of every lane into the schedule.
func wideLoad(p, at reg.GPPhysical) {
	from := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}
	low := []reg.VecPhysical{reg.X16, reg.X17, reg.X18, reg.X19, reg.X20, reg.X21, reg.X22, reg.X23, reg.X24, reg.X25, reg.X26, reg.X27, reg.X28, reg.X29, reg.X30, reg.X31}
	for l := range 4 {
		for q, r := range from {
			MOVQ(Mem{Base: p, Disp: 8 * (l + 4*q)}, r)
		}
		for i := 0; i < 16; i += 4 {
			VMOVDQU32(Mem{Base: from[0], Index: at, Scale: 1, Disp: 4 * i}, low[i+l])
			for q := 1; q < 4; q++ {
				VINSERTI32X4(U8(uint8(q)), Mem{Base: from[q], Index: at, Scale: 1, Disp: 4 * i}, wideW[i+l], wideW[i+l])
			}
			VPSHUFB(zs[10], wideW[i+l], wideW[i+l])
		}
	}
	for i := 0; i < 16; i += 4 {
		transpose(wideW[i : i+4])
	}
}

// wideRound is round t: the new A replaces E (FIPS 180-4 §6.1.2).
func wideRound(t int, s []reg.VecPhysical) {
	a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
	f, r := zs[9], zs[10]
	w := func(i int) reg.VecPhysical { return wideW[i&15] }
	if t >= 16 {
		VPTERNLOGD(U8(shaParity), w(t-14), w(t-8), w(t))
		VPXORD(w(t-3), w(t), w(t))
		VPROLD(U8(1), w(t), w(t))
	}
	table := []uint8{shaCh, shaParity, shaMaj, shaParity}[t/20]
	VMOVDQA32(d, f)
	VPTERNLOGD(U8(table), c, b, f)
	VPADDD_BCST(NewDataAddr(NewStaticSymbol("shaK"), t/20*4), e, e)
	VPADDD(w(t), e, e)
	VPADDD(f, e, e)
	VPROLD(U8(5), a, r)
	VPADDD(r, e, e)
	VPROLD(U8(30), b, b)
}
