package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// begin opens the function.
func (k *kernel) begin() {
	TEXT(k.name, NOSPLIT, "func(jobs *byte, n int)")
	if k.seal {
		Doc(k.name+" seals n jobs, each with a payload of at most gcmMaxPayload and at most", "gcmMaxAAD bytes of AAD.")
	} else {
		Doc(k.name+" opens n jobs, each with a payload of at most gcmMaxPayload and at most", "gcmMaxAAD bytes of AAD. Where the tag is wrong OK is false, and Dst must be", "cleared.")
	}
	Pragma("noescape")
	k.job, k.count, k.key = reg.R8, reg.R9, reg.R10
	k.src, k.dst, k.n = reg.R11, reg.R12, reg.R13
	k.rounds, k.ctr, k.tmp, k.h = reg.R14, reg.RDX, reg.RAX, reg.RBX
	Load(Param("jobs"), k.job)
	Load(Param("n"), k.count)
	k.broadcast(NewDataAddr(NewStaticSymbol("gcmSwap"), 0), k.v(rMASK))
}

// generate writes one function: a loop over jobs.
func (k *kernel) generate() {
	k.begin()
	k.base, k.buf, k.mask = AllocLocal(16), AllocLocal(32), AllocLocal(16)
	next, end := k.name+"_next", k.name+"_end"
	Label(next)
	TESTQ(k.count, k.count)
	JE(LabelRef(end))
	k.start()
	k.additional()
	k.groups()
	k.dispatch()
	for L := range k.lanes() + 1 {
		k.tail(L)
	}
	k.finish()
	ADDQ(U32(jobSize), k.job)
	DECQ(k.count)
	JMP(LabelRef(next))
	Label(end)
	// The counter base is as good as the first round key, the tag's mask as a
	// forged tag: they do not stay behind.
	VPXOR(xs[0], xs[0], xs[0])
	for _, m := range []Mem{k.base, k.mask, k.buf, k.buf.Offset(16)} {
		VMOVDQU(xs[0], m)
	}
	VZEROUPPER()
	RET()
}

// start loads the job and lays the counter base out.
func (k *kernel) start() {
	at := func(off int) Mem { return Mem{Base: k.job, Disp: off} }
	MOVQ(at(jobKey), k.key)
	MOVQ(Mem{Base: k.key, Disp: offRounds}, k.rounds)
	MOVQ(at(jobSrc), k.src)
	MOVQ(at(jobDst), k.dst)
	MOVQ(at(k.payload()), k.n)
	LEAQ(NewDataAddr(NewStaticSymbol("gcmCounters"), 32), k.ctr) // data begins with counter 2
	k.nonce(xs[rD])
	VPXOR(k.roundKey(0), xs[rD], xs[rD])
	VMOVDQU(xs[rD], k.base)
	k.clearSums()
	VPXOR(xs[rY], xs[rY], xs[rY])
}

// nonce loads the job's nonce, in the parts in which it was stored: a load of
// what two stores have just written waits until they are done.
func (k *kernel) nonce(to reg.VecPhysical) {
	VMOVQ(Mem{Base: k.job, Disp: jobNonce}, to)
	VPINSRD(U8(2), Mem{Base: k.job, Disp: jobNonce + 8}, to, to)
}

// payload is where the job has the payload's length.
func (k *kernel) payload() int {
	if k.seal {
		return jobSrc + 8
	}
	return jobDst + 8
}

// additional multiplies the AAD, at most four blocks, into the sums, with the
// powers that the first group leaves above its own.
func (k *kernel) additional() {
	done := k.name + "_aad_done"
	left, from, to := reg.RCX, reg.RSI, reg.RDI
	MOVQ(Mem{Base: k.job, Disp: jobAAD + 8}, left)
	TESTQ(left, left)
	JE(LabelRef(done))
	MOVQ(Mem{Base: k.job, Disp: jobAAD}, from)
	// The first group's blocks: those of a group, or all there are and the lengths.
	MOVQ(k.n, k.tmp)
	ADDQ(U8(15), k.tmp)
	SHRQ(U8(4), k.tmp)
	INCQ(k.tmp)
	MOVQ(U32(uint32(k.group()/16)), k.h)
	CMPQ(k.n, U32(uint32(k.group())))
	CMOVQCC(k.h, k.tmp)
	// h = table + 16*(powers - first - blocks of AAD)
	MOVQ(left, k.h)
	ADDQ(U8(15), k.h)
	SHRQ(U8(4), k.h)
	ADDQ(k.h, k.tmp)
	SHLQ(U8(4), k.tmp)
	LEAQ(Mem{Base: k.key, Disp: offH + 16*powers}, k.h)
	SUBQ(k.tmp, k.h)

	loop, short, multiply := k.name+"_aad_loop", k.name+"_aad_short", k.name+"_aad_multiply"
	Label(loop)
	CMPQ(left, U8(16))
	JB(LabelRef(short))
	VMOVDQU(Mem{Base: from}, xs[rD])
	ADDQ(U8(16), from)
	SUBQ(U8(16), left)
	JMP(LabelRef(multiply))

	Label(short)
	rest := k.name + "_aad_rest"
	CMPQ(left, U8(12)) // a plain RTP header
	JNE(LabelRef(rest))
	VMOVQ(Mem{Base: from}, xs[rD])
	VPINSRD(U8(2), Mem{Base: from, Disp: 8}, xs[rD], xs[rD])
	XORQ(left, left)
	JMP(LabelRef(multiply))
	Label(rest)
	VPXOR(xs[rD], xs[rD], xs[rD])
	VMOVDQU(xs[rD], k.buf)
	LEAQ(k.buf, to)
	k.copyBytes(k.name+"_aad_copy", from, to, left)
	VMOVDQU(k.buf, xs[rD])
	XORQ(left, left)

	Label(multiply)
	VPSHUFB(xs[rMASK], xs[rD], xs[rD])
	k.product1(xs[rD], Mem{Base: k.h}, Mem{Base: k.h, Disp: offX - offH})
	ADDQ(U8(16), k.h)
	TESTQ(left, left)
	JNE(LabelRef(loop))
	Label(done)
}

// product1 is product for one block.
func (k *kernel) product1(d reg.VecPhysical, h, x Mem) {
	t := xs[rT]
	VPCLMULQDQ(U8(0x00), h, d, t)
	k.add1(rLO)
	VPCLMULQDQ(U8(0x11), h, d, t)
	k.add1(rHI)
	VPSHUFD(U8(0x4e), d, t)
	VPXOR(d, t, t)
	VPCLMULQDQ(U8(0x00), x, t, t)
	k.add1(rMI)
}

// add1 adds the block in rT to a sum; the upper lanes of the sum stay.
func (k *kernel) add1(sum int) {
	k.xor(k.v(rT), k.v(sum), k.v(sum)) // an xmm result has zeros above
}

// groups does all whole groups.
func (k *kernel) groups() {
	loop, done := k.name+"_groups", k.name+"_groups_done"
	CMPQ(k.n, U32(uint32(k.group())))
	JB(LabelRef(done))
	if k.seal {
		// The first has no ciphertext before it.
		k.fullGroup(k.name+"_first", false)
		more := k.name + "_more"
		Label(loop)
		CMPQ(k.n, U32(uint32(k.group())))
		JB(LabelRef(more))
		k.fullGroup(k.name+"_group", true)
		JMP(LabelRef(loop))
		Label(more)
		for i := range k.lanes() {
			k.hashStep(k.dst, -k.group(), i)
		}
		k.reduce()
	} else {
		Label(loop)
		k.fullGroup(k.name+"_group", true)
		CMPQ(k.n, U32(uint32(k.group())))
		JCC(LabelRef(loop))
	}
	Label(done)
}

// dispatch jumps to the tail for the vectors that remain.
func (k *kernel) dispatch() {
	for L := range k.lanes() {
		CMPQ(k.n, U32(L*k.width))
		JBE(LabelRef(k.label("%s_tail%d", k.name, L)))
	}
	JMP(LabelRef(k.label("%s_tail%d", k.name, k.lanes())))
}

// finish multiplies the lengths in, and writes or compares the tag.
func (k *kernel) finish() {
	Label(k.name + "_lengths")
	// Lengths in bits, big-endian: byte-swapped that is bits of the payload in
	// the low half, of the AAD in the high half.
	MOVQ(Mem{Base: k.job, Disp: k.payload()}, k.tmp)
	SHLQ(U8(3), k.tmp)
	MOVQ(Mem{Base: k.job, Disp: jobAAD + 8}, k.h)
	SHLQ(U8(3), k.h)
	VMOVQ(k.tmp, xs[rD])
	VPINSRQ(U8(1), k.h, xs[rD], xs[rD])
	// The hash of whole groups, when no tail has taken it up.
	noTail := k.name + "_tail_has_hash"
	TESTQ(k.n, k.n)
	JNE(LabelRef(noTail))
	VPXOR(xs[rY], xs[rD], xs[rD])
	Label(noTail)
	last := 16 * (powers - 1)
	k.product1(xs[rD], Mem{Base: k.key, Disp: offH + last}, Mem{Base: k.key, Disp: offX + last})
	k.reduce()
	VPSHUFB(xs[rMASK], xs[rY], xs[rY])
	VPXOR(k.mask, xs[rY], xs[rY])
	if k.seal {
		VMOVDQU(xs[rY], Mem{Base: k.dst, Index: k.n, Scale: 1})
		MOVB(U8(1), Mem{Base: k.job, Disp: jobOK})
		return
	}
	VPXOR(Mem{Base: k.src, Index: k.n, Scale: 1}, xs[rY], xs[rY])
	VPTEST(xs[rY], xs[rY])
	SETEQ(Mem{Base: k.job, Disp: jobOK})
}
