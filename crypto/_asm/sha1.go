// SHA-1 (FIPS 180-4 §6.1) of several messages at once with the SHA
// instructions. One stream is bound by the latency of SHA1RNDS4; streams
// interleaved hide it where the processor's throughput allows.
//
// The SHA instructions exist in the legacy encoding only. It is slow beside
// upper halves of vectors that are not zero, hence the VZEROUPPER, and its
// operands in memory must be aligned, which Go's stack is not: the scratch
// space is aligned here.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in macLane; a test compares them with the Go type. The five words of
// the state lie at its start.
const (
	laneE     = 16
	laneOuter = 32
	laneTail  = 120
	laneSize  = 264

	shaGroups = 20 // of four rounds
)

// hashArgs are the parameters of each kernel, in registers.
type hashArgs struct {
	lanes, p, blocks, tails, outer reg.GPPhysical
}

// shaLane is one message: four registers, whose roles but the first rotate.
type shaLane struct {
	p             reg.GPPhysical
	a, e, free, m reg.VecPhysical
	x             reg.VecPhysical // scratch, where wide is set
	wide          bool            // the schedule is computed without SHA1MSG1 and 2 where it can be
	first         reg.VecPhysical // which is e when a block begins
	w             []Mem           // the last groups of the schedule
	a0, e0        Mem             // the state before the block
	at            func(off int) Mem
}

func shaUnit() {
	GLOBL("shaSwap", RODATA|NOPTR)
	DATA(0, U64(0x08090a0b0c0d0e0f))
	DATA(8, U64(0x0001020304050607))
	GLOBL("shaPad", RODATA|NOPTR) // of the outer message: its end and its length
	DATA(0, U64(0x80<<32))
	DATA(8, U64(0))
	DATA(16, U64(0))
	DATA(24, U64(0xa002<<48)) // 8*(64+20), big-endian
	for lanes := 1; lanes <= 4; lanes++ {
		shaBlocks(lanes)
	}
	wideData()
	eightBlocks()
	wideBlocks()
}

// hashStart declares a kernel and loads its parameters.
func hashStart(name string, doc ...string) hashArgs {
	TEXT(name, NOSPLIT, "func(lanes, p *byte, blocks, tails int, outer bool)")
	Doc(doc...)
	Pragma("noescape")
	g := hashArgs{lanes: reg.RDI, p: reg.R13, blocks: reg.RCX, tails: reg.RSI, outer: reg.RBX}
	Load(Param("lanes"), g.lanes)
	Load(Param("p"), g.p)
	Load(Param("blocks"), g.blocks)
	Load(Param("tails"), g.tails)
	Load(Param("outer"), g.outer.As8())
	return g
}

// from is the pointer to what lane i hashes next.
func (g *hashArgs) from(i int) Mem { return Mem{Base: g.p, Disp: 8 * i} }

func (g *hashArgs) lane(i, off int) Mem { return Mem{Base: g.lanes, Disp: laneSize*i + off} }

// next goes on, when blocks is used up, with the blocks of the tails, then with
// the outer message, then at the label store.
func (g *hashArgs) next(name string, tail, outer func()) {
	noTail, store := name+"_no_tail", name+"_store"
	Label(name + "_next")
	TESTQ(g.tails, g.tails)
	JE(LabelRef(noTail))
	tail()
	MOVQ(g.tails, g.blocks)
	XORQ(g.tails, g.tails)
	JMP(LabelRef(name + "_loop"))
	Label(noTail)
	TESTB(g.outer.As8(), g.outer.As8())
	JE(LabelRef(store))
	XORQ(g.outer, g.outer)
	MOVQ(U32(1), g.blocks)
	outer()
}

func shaBlocks(lanes int) {
	name := fmt.Sprintf("sha1x%d", lanes)
	g := hashStart(name, name+" takes the HMACs of a group of lanes further: it hashes blocks times 64 bytes",
		"from each lane's p, then tails blocks of its tail, then, if outer", "is set, the outer message. The state is left in the lane.")
	slots := 4
	if lanes <= 3 {
		slots = 8
	}
	perLane := 16 * (slots + 2)
	local, scratch := AllocLocal(perLane*lanes+16), reg.RDX
	VZEROUPPER()
	LEAQ(local, scratch)
	ADDQ(U8(15), scratch)
	ANDQ(I8(-16), scratch)
	ls := make([]*shaLane, lanes)
	for i := range ls {
		ls[i] = newLane(&g, i, slots, Mem{Base: scratch, Disp: perLane * i})
		MOVQ(g.from(i), ls[i].p)
		ls[i].load(ls[i].at)
	}
	TESTQ(g.blocks, g.blocks)
	JE(LabelRef(name + "_next"))
	Label(name + "_loop")
	for _, l := range ls {
		VMOVDQA(l.a, l.a0)
		VMOVDQA(l.e, l.e0)
	}
	for g := range shaGroups {
		for _, l := range ls {
			l.group(g)
		}
	}
	for _, l := range ls {
		SHA1NEXTE(l.e0, l.e)
		VPADDD(l.a0, l.a, l.a)
		VMOVDQA(l.e, l.first)
		ADDQ(U8(64), l.p)
	}
	DECQ(g.blocks)
	JNE(LabelRef(name + "_loop"))
	g.next(name, func() {
		for _, l := range ls {
			LEAQ(l.at(laneTail), l.p)
		}
	}, func() {
		for i, l := range ls {
			l.outer(xs[4*i+2])
		}
		JMP(LabelRef(name + "_loop"))
	})
	Label(name + "_store")
	for _, l := range ls {
		VPSHUFD(U8(0x1b), l.a, l.a)
		VMOVDQU(l.a, l.at(0))
		VPEXTRD(U8(3), l.first, l.at(laneE))
	}
	// The state after opad is as good as the key: it does not stay behind.
	VPXOR(xs[0], xs[0], xs[0])
	for _, l := range ls {
		VMOVDQA(xs[0], l.a0)
		VMOVDQA(xs[0], l.e0)
	}
	RET()
}

// newLane lays lane i out, with so many groups of the schedule at scratch, and
// the state before a block behind them. Four lanes leave no register for x.
func newLane(g *hashArgs, i, slots int, scratch Mem) *shaLane {
	l := &shaLane{p: []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}[i], wide: slots > 4,
		a: xs[4*i], e: xs[4*i+1], free: xs[4*i+2], m: xs[4*i+3], at: func(off int) Mem { return g.lane(i, off) }}
	if l.wide {
		l.x = xs[12+i]
	}
	l.first = l.e
	for j := range slots {
		l.w = append(l.w, scratch.Offset(16*j))
	}
	l.a0, l.e0 = scratch.Offset(16*slots), scratch.Offset(16*slots+16)
	return l
}

// load reads a state: A in the highest word of a, E in the highest of first.
func (l *shaLane) load(at func(off int) Mem) {
	VPSHUFD(U8(0x1b), at(0), l.a)
	VMOVD(at(laneE), l.first)
	VPSLLDQ(U8(12), l.first, l.first)
}

// outer writes the digest, as the message of the outer hash (RFC 2104 §2), over
// the tail, and loads the state after opad.
func (l *shaLane) outer(t reg.VecPhysical) {
	swap := NewDataAddr(NewStaticSymbol("shaSwap"), 0)
	VPSHUFB(swap, l.a, t)
	VMOVDQU(t, l.at(laneTail))
	VPSHUFB(swap, l.first, t)
	VPOR(NewDataAddr(NewStaticSymbol("shaPad"), 0), t, t)
	VMOVDQU(t, l.at(laneTail+16))
	VPXOR(t, t, t)
	VMOVDQU(t, l.at(laneTail+32))
	VMOVDQU(NewDataAddr(NewStaticSymbol("shaPad"), 16), t)
	VMOVDQU(t, l.at(laneTail+48))
	MOVQ(l.at(laneOuter), l.p)
	l.load(func(off int) Mem { return Mem{Base: l.p, Disp: off} })
	LEAQ(l.at(laneTail), l.p)
}

// group does rounds 4g to 4g+3.
func (l *shaLane) group(g int) {
	w := l.free
	slot := func(back int) Mem { return l.w[(g-back+8)%len(l.w)] }
	switch {
	case g < 4:
		VMOVDQU(Mem{Base: l.p, Disp: 16 * g}, w)
		VPSHUFB(NewDataAddr(NewStaticSymbol("shaSwap"), 0), w, w)
	case g < 8 || !l.wide:
		VMOVDQA(slot(4), w)
		SHA1MSG1(slot(3), w)
		VPXOR(slot(2), w, w)
		SHA1MSG2(l.m, w)
	default:
		// From round 32 on the recurrence, applied to itself, reaches back six
		// words and more: W(t) = (W(t-6) ^ W(t-16) ^ W(t-28) ^ W(t-32)) <<< 2,
		// four words at once without SHA1MSG2, which some processors are slow at.
		VMOVDQA(slot(2), w)
		VPALIGNR(U8(8), l.m, w, w)
		VPXOR(slot(4), w, w)
		VPXOR(slot(7), w, w)
		VPXOR(slot(8), w, w)
		VPSLLD(U8(2), w, l.x)
		VPSRLD(U8(30), w, w)
		VPXOR(l.x, w, w)
	}
	if g < shaGroups-2 {
		VMOVDQA(w, slot(0))
	}
	if g == 0 {
		VPADDD(w, l.e, l.e)
	} else {
		SHA1NEXTE(w, l.e)
	}
	VMOVDQA(l.a, l.m)
	SHA1RNDS4(U8(g/5), l.e, l.a)
	l.e, l.free, l.m = l.m, l.e, w
}
