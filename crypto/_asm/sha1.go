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

const (
	shaE      = 256 // of sha1State: words A to D of sixteen lanes lie before their E
	shaGroups = 20  // of four rounds
)

// shaLane is one message: four registers, whose roles but the first rotate.
type shaLane struct {
	p             reg.GPPhysical
	a, e, free, m reg.VecPhysical
	first         reg.VecPhysical // which is e when a block begins
	w             [4]Mem          // the last sixteen words of the schedule
	a0, e0        Mem             // the state before the block
}

func shaUnit() {
	GLOBL("shaSwap", RODATA|NOPTR)
	DATA(0, U64(0x08090a0b0c0d0e0f))
	DATA(8, U64(0x0001020304050607))
	for _, lanes := range []int{1, 2, 4} {
		shaBlocks(lanes)
	}
	wideData()
	wideBlocks()
}

func shaBlocks(lanes int) {
	name := fmt.Sprintf("sha1x%d", lanes)
	TEXT(name, NOSPLIT, "func(h, p *byte, blocks int)")
	Doc(fmt.Sprintf("%s hashes blocks times 64 bytes, at least once, from each of %d pointers at p", name, lanes), "into the state of its lane in h.")
	Pragma("noescape")
	h, p, blocks, scratch := reg.RDI, reg.RSI, reg.RCX, reg.RDX
	const perLane = 96
	local := AllocLocal(perLane*lanes + 16)
	VZEROUPPER()
	Load(Param("h"), h)
	Load(Param("p"), p)
	Load(Param("blocks"), blocks)
	LEAQ(local, scratch)
	ADDQ(U8(15), scratch)
	ANDQ(I8(-16), scratch)
	ls := make([]*shaLane, lanes)
	for i := range ls {
		l := &shaLane{p: []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}[i], a: xs[4*i], e: xs[4*i+1], free: xs[4*i+2], m: xs[4*i+3]}
		l.first = l.e
		for j := range l.w {
			l.w[j] = Mem{Base: scratch, Disp: perLane*i + 16*j}
		}
		l.a0, l.e0 = Mem{Base: scratch, Disp: perLane*i + 64}, Mem{Base: scratch, Disp: perLane*i + 80}
		ls[i] = l
		MOVQ(Mem{Base: p, Disp: 8 * i}, l.p)
		// A in the highest word, E in the highest of its own.
		VPSHUFD(U8(0x1b), Mem{Base: h, Disp: 16 * i}, l.a)
		VMOVD(Mem{Base: h, Disp: shaE + 4*i}, l.e)
		VPSLLDQ(U8(12), l.e, l.e)
	}
	loop := name + "_loop"
	Label(loop)
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
	DECQ(blocks)
	JNE(LabelRef(loop))
	for i, l := range ls {
		VPSHUFD(U8(0x1b), l.a, l.a)
		VMOVDQU(l.a, Mem{Base: h, Disp: 16 * i})
		VPEXTRD(U8(3), l.first, Mem{Base: h, Disp: shaE + 4*i})
	}
	RET()
}

// group does rounds 4g to 4g+3.
func (l *shaLane) group(g int) {
	w := l.free
	if g < 4 {
		VMOVDQU(Mem{Base: l.p, Disp: 16 * g}, w)
		VPSHUFB(NewDataAddr(NewStaticSymbol("shaSwap"), 0), w, w)
	} else {
		VMOVDQA(l.w[g%4], w)
		SHA1MSG1(l.w[(g+1)%4], w)
		VPXOR(l.w[(g+2)%4], w, w)
		SHA1MSG2(l.m, w)
	}
	if g < shaGroups-2 {
		VMOVDQA(w, l.w[g%4])
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
