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
	GLOBL("shaEnd", RODATA|NOPTR) // words 5 and 15 of the outer message
	DATA(0, U32(0x80000000))
	DATA(4, U32(8*(64+20)))
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
	const name = "sha1x16"
	g := hashStart(name, name+" is as sha1x4 for sixteen lanes, with AVX-512 instead of SHA-NI.")
	at := reg.RDX
	s := append([]reg.VecPhysical(nil), zs[:5]...)
	wideState(s, g.lane)
	XORQ(at, at)
	TESTQ(g.blocks, g.blocks)
	JE(LabelRef(name + "_next"))

	Label(name + "_loop")
	wideLoad(&g, at)
	Label(name + "_rounds")
	for i := range s {
		VMOVDQA32(s[i], wideSave[i])
	}
	for t := range 80 {
		wideRound(t, s)
		s = []reg.VecPhysical{s[4], s[0], s[1], s[2], s[3]}
	}
	for i := range s { // 80 rounds bring the names back
		VPADDD(wideSave[i], s[i], s[i])
	}
	ADDQ(U8(64), at)
	DECQ(g.blocks)
	JNE(LabelRef(name + "_loop"))
	g.next(name, func() {
		g.toTails(16)
		XORQ(at, at)
	}, func() {
		// The digest is the message (RFC 2104 §2), of 20 bytes.
		for i := range s {
			VMOVDQA32(s[i], wideW[i])
		}
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("shaEnd"), 0), wideW[5])
		for i := 6; i < 15; i++ {
			VPXORD(wideW[i], wideW[i], wideW[i])
		}
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("shaEnd"), 4), wideW[15])
		wideState(s, g.outerState())
		JMP(LabelRef(name + "_rounds"))
	})

	Label(name + "_store")
	transpose(s[:4])
	for i := range 4 {
		VMOVDQU(xs[i], g.lane(i, 0))
		for q := 1; q < 4; q++ {
			VEXTRACTI32X4(U8(uint8(q)), s[i], g.lane(i+4*q, 0))
		}
	}
	for q := range 4 {
		VEXTRACTI32X4(U8(uint8(q)), s[4], xs[5])
		for i := range 4 {
			VPEXTRD(U8(uint8(i)), xs[5], g.lane(4*q+i, laneE))
		}
	}
	VZEROUPPER()
	RET()
}

// toTails lets n lanes read from their tails.
func (g *hashArgs) toTails(n int) {
	for i := range n {
		LEAQ(g.lane(i, laneTail), reg.RAX)
		MOVQ(reg.RAX, g.from(i))
	}
}

// outerState finds the states after opad, lane by lane.
func (g *hashArgs) outerState() func(lane, off int) Mem {
	return func(lane, off int) Mem {
		MOVQ(g.lane(lane, laneOuter), reg.RAX)
		return Mem{Base: reg.RAX, Disp: off}
	}
}

// wideState reads the state of sixteen lanes, each at(lane, 0).
func wideState(s []reg.VecPhysical, at func(lane, off int) Mem) {
	for i := range 4 {
		VMOVDQU(at(i, 0), xs[i])
		for q := 1; q < 4; q++ {
			VINSERTI32X4(U8(uint8(q)), at(i+4*q, 0), s[i], s[i])
		}
	}
	transpose(s[:4])
	for q := range 4 {
		VMOVD(at(4*q, laneE), xs[5+q])
		for i := 1; i < 4; i++ {
			VPINSRD(U8(uint8(i)), at(4*q+i, laneE), xs[5+q], xs[5+q])
		}
	}
	VMOVDQA(xs[5], xs[4])
	for q := 1; q < 4; q++ {
		VINSERTI32X4(U8(uint8(q)), xs[5+q], s[4], s[4])
	}
}

// wideLoad reads a block of every lane into the schedule.
func wideLoad(g *hashArgs, at reg.GPPhysical) {
	VBROADCASTI32X4(NewDataAddr(NewStaticSymbol("shaWords"), 0), zs[10])
	from := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}
	low := []reg.VecPhysical{reg.X16, reg.X17, reg.X18, reg.X19, reg.X20, reg.X21, reg.X22, reg.X23, reg.X24, reg.X25, reg.X26, reg.X27, reg.X28, reg.X29, reg.X30, reg.X31}
	for l := range 4 {
		for q, r := range from {
			MOVQ(g.from(l+4*q), r)
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
