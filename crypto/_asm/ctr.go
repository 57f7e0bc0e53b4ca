// AES counter mode over a batch of packets, each under its own key.
//
// The counter is below 256, one byte of the block: its high bits count groups,
// its low bits the blocks of a group. What is constant in a
// packet, the IV and the first round key, is one register.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in CMJob; a test compares them with the Go type. Key, Dst, Src and
// OK lie as in GCMJob.
const (
	cmJobIV     = 8
	cmJobHeader = 72
	cmJobSize   = 104
)

func ctrUnit() {
	GLOBL("ctrBlocks", RODATA|NOPTR)
	for i := range 16 {
		DATA(16*i, U64(0))
		DATA(16*i+8, U64(uint64(i)<<56))
	}
	GLOBL("ctrGroups", RODATA|NOPTR)
	for i := range 32 {
		DATA(16*i, U64(0))
		DATA(16*i+8, U64(uint64(i)<<59))
	}
	ctrExpand()
	for _, k := range []*kernel{{width: 16, name: "ctrAESNI"}, {width: 32, name: "ctrVAES"}, {width: 64, name: "ctrAVX512"}} {
		k.counterMode()
	}
}

func ctrExpand() {
	TEXT("ctrExpand", NOSPLIT, "func(t, key *byte, rounds int)")
	Doc("ctrExpand fills t from a key of 16 bytes (10 rounds) or 32 (14 rounds).")
	Pragma("noescape")
	t, key, rounds := reg.R8, reg.R9, reg.R10
	Load(Param("t"), t)
	Load(Param("key"), key)
	Load(Param("rounds"), rounds)
	MOVQ(rounds, Mem{Base: t, Disp: offRounds})
	schedule(t, key, rounds, "done")
	Label("done")
	RET()
}

// counterMode writes one function: a loop over jobs.
func (k *kernel) counterMode() {
	TEXT(k.name, NOSPLIT, "func(jobs *byte, n int, open bool)")
	Doc(k.name+" encrypts the payloads of n jobs, each of at most ctrMaxPayload bytes, or,", "where open is set, decrypts those of the jobs whose OK is set.")
	Pragma("noescape")
	k.job, k.count, k.key = reg.R8, reg.R9, reg.R10
	k.src, k.dst, k.n = reg.R11, reg.R12, reg.R13
	k.rounds, k.ctr, k.tmp = reg.R14, reg.RDX, reg.RAX
	k.buf = AllocLocal(32)
	open := reg.RBX
	Load(Param("jobs"), k.job)
	Load(Param("n"), k.count)
	Load(Param("open"), open.As8())

	loop, skip, end := k.name+"_loop", k.name+"_next", k.name+"_end"
	Label(loop)
	TESTQ(k.count, k.count)
	JE(LabelRef(end))
	k.ctrStart(open, skip)
	groups, rest := k.name+"_groups", k.name+"_rest"
	Label(groups)
	CMPQ(k.n, U32(uint32(k.group())))
	JB(LabelRef(rest))
	k.ctrGroup()
	JMP(LabelRef(groups))
	Label(rest)
	TESTQ(k.n, k.n)
	JE(LabelRef(skip))
	for L := 1; L < k.lanes(); L++ {
		CMPQ(k.n, U32(L*k.width))
		JBE(LabelRef(k.label("%s_tail%d", k.name, L)))
	}
	for L := k.lanes(); L > 0; L-- { // the longest is jumped to by none
		k.ctrTail(L)
		if L > 1 {
			JMP(LabelRef(skip))
		}
	}
	Label(skip)
	ADDQ(U32(cmJobSize), k.job)
	DECQ(k.count)
	JMP(LabelRef(loop))
	Label(end)
	VPXOR(xs[0], xs[0], xs[0])
	for _, m := range []Mem{k.buf, k.buf.Offset(16)} { // key stream does not stay behind
		VMOVDQU(xs[0], m)
	}
	VZEROUPPER()
	RET()
}

// ctrStart loads the job and lays what is constant in it into rY.
func (k *kernel) ctrStart(open reg.GPPhysical, skip string) {
	at := func(off int) Mem { return Mem{Base: k.job, Disp: off} }
	seal, ready := k.name+"_seal", k.name+"_ready"
	MOVQ(at(jobKey), k.key)
	MOVQ(at(jobSrc), k.src)
	MOVQ(at(jobDst), k.dst)
	MOVQ(at(cmJobHeader), k.tmp)
	TESTB(open.As8(), open.As8())
	JE(LabelRef(seal))
	CMPB(at(jobOK), U8(0))
	JE(LabelRef(skip))
	ADDQ(k.tmp, k.src)
	MOVQ(at(jobDst+8), k.n)
	JMP(LabelRef(ready))
	Label(seal)
	ADDQ(k.tmp, k.dst)
	MOVQ(at(jobSrc+8), k.n)
	Label(ready)
	MOVQ(Mem{Base: k.key, Disp: offRounds}, k.rounds)
	LEAQ(NewDataAddr(NewStaticSymbol("ctrGroups"), 0), k.ctr)
	k.broadcast(at(cmJobIV), k.v(rY))
	k.broadcast(k.roundKey(0), k.v(rK))
	k.xor(k.v(rK), k.v(rY), k.v(rY))
}

// ctrStream makes n vectors of key stream, of the group at ctr.
func (k *kernel) ctrStream(tag string, n int) {
	k.broadcast(Mem{Base: k.ctr}, k.v(rD))
	k.xor(k.v(rY), k.v(rD), k.v(rD))
	for i := range n {
		k.xor(NewDataAddr(NewStaticSymbol("ctrBlocks"), i*k.width), k.v(rD), k.v(i))
	}
	k.cipher(tag, n, -1, nil)
	for i := range n {
		VAESENCLAST(k.v(rK), k.v(i), k.v(i))
	}
}

// ctrGroup does a group and advances.
func (k *kernel) ctrGroup() {
	n := k.lanes()
	k.ctrStream(k.name+"_group", n)
	for i := range n {
		k.ctrWhole(i)
	}
	ADDQ(U32(uint32(k.group())), k.src)
	ADDQ(U32(uint32(k.group())), k.dst)
	ADDQ(U8(uint8(k.group()/8)), k.ctr) // an entry for eight blocks
	SUBQ(U32(uint32(k.group())), k.n)
}

func (k *kernel) ctrWhole(i int) {
	k.xor(Mem{Base: k.src, Disp: i * k.width}, k.v(i), k.v(i))
	k.store(k.v(i), Mem{Base: k.dst, Disp: i * k.width})
}

// ctrTail does the last n bytes, which take exactly L vectors, and reads and
// writes not a byte more.
func (k *kernel) ctrTail(L int) {
	tag := k.label("%s_tail%d", k.name, L)
	Label(tag)
	k.ctrStream(tag, L)
	for i := range L - 1 {
		k.ctrWhole(i)
	}
	i, left := L-1, reg.RCX
	off := i * k.width
	MOVQ(k.n, left)
	if off > 0 {
		SUBQ(I32(off), left)
	}
	if k.width == 64 {
		// mask = ones >> (64 - left)
		MOVQ(I64(-1), k.tmp)
		NEGQ(left)
		ADDQ(U8(64), left)
		SHRQ(reg.CL, k.tmp)
		KMOVQ(k.tmp, reg.K1)
		VMOVDQU8_Z(Mem{Base: k.src, Disp: off}, reg.K1, zs[rD])
		VPXORQ(zs[rD], zs[i], zs[i])
		VMOVDQU8(zs[i], reg.K1, Mem{Base: k.dst, Disp: off})
		return
	}
	VMOVDQU(k.v(i), k.buf)
	if off > 0 {
		ADDQ(U32(off), k.src)
		ADDQ(U32(off), k.dst)
	}
	k.xorBytes(tag+"_xor", left)
}

// xorBytes xors left bytes of src, 1 to 32 and no more than a vector, with the key stream at buf, in
// pieces of falling size, to dst.
func (k *kernel) xorBytes(tag string, left reg.GPPhysical) {
	stream := reg.RDI
	LEAQ(k.buf, stream)
	whole, end := tag+"32", tag+"0"
	if k.width > 16 {
		TESTQ(U32(32), left)
		JNE(LabelRef(whole))
	}
	piece := func(size int, move func(src, key, dst Mem)) {
		next := k.label("%s_%d", tag, size)
		TESTQ(U32(uint32(size)), left)
		JE(LabelRef(next))
		move(Mem{Base: k.src}, Mem{Base: stream}, Mem{Base: k.dst})
		if size > 1 {
			for _, p := range []reg.GPPhysical{k.src, k.dst, stream} {
				ADDQ(U8(uint8(size)), p)
			}
		}
		Label(next)
	}
	t := k.tmp
	piece(16, func(src, key, dst Mem) { VMOVDQU(src, xs[rT]); VPXOR(key, xs[rT], xs[rT]); VMOVDQU(xs[rT], dst) })
	piece(8, func(src, key, dst Mem) { MOVQ(src, t); XORQ(key, t); MOVQ(t, dst) })
	piece(4, func(src, key, dst Mem) { MOVL(src, t.As32()); XORL(key, t.As32()); MOVL(t.As32(), dst) })
	piece(2, func(src, key, dst Mem) { MOVW(src, t.As16()); XORW(key, t.As16()); MOVW(t.As16(), dst) })
	piece(1, func(src, key, dst Mem) { MOVB(src, t.As8()); XORB(key, t.As8()); MOVB(t.As8(), dst) })
	if k.width == 16 {
		return
	}
	JMP(LabelRef(end))
	Label(whole)
	VMOVDQU(Mem{Base: k.src}, ys[rT])
	VPXOR(Mem{Base: stream}, ys[rT], ys[rT])
	VMOVDQU(ys[rT], Mem{Base: k.dst})
	Label(end)
}
