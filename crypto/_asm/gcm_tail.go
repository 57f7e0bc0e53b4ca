package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tail handles the last n bytes, less than a group, the block of lengths and the tag,
// for n that takes exactly L vectors.
func (k *kernel) tail(L int) {
	tag := k.label("%s_tail%d", k.name, L)
	Label(tag)
	// Powers for the first block of this group: its blocks and the lengths.
	// h = table + 16*(powers-1-blocks).
	LEAQ(Mem{Base: k.n, Disp: 15}, k.tmp)
	SHRQ(U8(4), k.tmp)
	SHLQ(U8(4), k.tmp)
	LEAQ(Mem{Base: k.key, Disp: offH + 16*(powers-1)}, k.h)
	SUBQ(k.tmp, k.h)

	k.counters(L)
	j := rT // tag mask: counter 1
	VMOVDQU(k.base, xs[j])
	VPXOR(NewDataAddr(NewStaticSymbol("gcmCounters"), 16), xs[j], xs[j])
	k.cipher(tag, L, j, nil)
	VAESENCLAST(xs[rK], xs[j], xs[j])
	VMOVDQU(xs[j], k.mask)
	for i := range L {
		VAESENCLAST(k.v(rK), k.v(i), k.v(i))
	}
	for i := range L - 1 {
		k.whole(i)
	}
	if L > 0 {
		k.partial(tag, L-1)
	}
	for i := range L {
		d := k.v(i)
		VPSHUFB(k.v(rMASK), d, d)
		if i == 0 {
			k.xor(k.v(rY), d, d)
		}
		k.product(d, Mem{Base: k.h, Disp: i * k.width}, Mem{Base: k.h, Disp: offX - offH + i*k.width})
	}
	JMP(LabelRef(k.label("%s_lengths", k.name)))
}

// whole does vector i of the tail; afterwards the register holds ciphertext.
func (k *kernel) whole(i int) {
	src, dst := Mem{Base: k.src, Disp: i * k.width}, Mem{Base: k.dst, Disp: i * k.width}
	if k.seal {
		k.xor(src, k.v(i), k.v(i))
		k.store(k.v(i), dst)
		return
	}
	k.load(src, k.v(rD))
	k.xor(k.v(rD), k.v(i), k.v(i))
	k.store(k.v(i), dst)
	VMOVDQA(k.v(rD), k.v(i))
}

// partial does the last vector, 1 to width bytes of it, and reads and writes
// not a byte more. The rest of the register is zero afterwards.
func (k *kernel) partial(tag string, i int) {
	off := i * k.width
	left := reg.RCX
	MOVQ(k.n, left)
	SUBQ(I32(off), left)
	// Through a zeroed vector on the stack.
	d, v := k.v(rD), k.v(i)
	VPXOR(d, d, d)
	VMOVDQU(d, k.buf)
	from, to := reg.RSI, reg.RDI
	LEAQ(Mem{Base: k.src, Disp: off}, from)
	LEAQ(k.buf, to)
	k.copyBytes(tag+"_in", from, to, left)
	VMOVDQU(k.buf, d)
	VPXOR(d, v, v)
	VMOVDQU(v, k.buf)
	if !k.seal {
		VMOVDQA(d, v) // the ciphertext stays for the hash
	}
	LEAQ(k.buf, from)
	LEAQ(Mem{Base: k.dst, Disp: off}, to)
	k.copyBytes(tag+"_out", from, to, left)
	if k.seal {
		// What lies beyond is key stream: zero it.
		LEAQ(NewDataAddr(NewStaticSymbol("gcmOnes"), 32), k.tmp)
		SUBQ(left, k.tmp)
		VPAND(Mem{Base: k.tmp}, v, v)
	}
}

// copyBytes copies left bytes, 1 to 32 and no more than a vector, in pieces of
// falling size. It changes from, to and RAX, RBX.
func (k *kernel) copyBytes(tag string, from, to, left reg.GPPhysical) {
	if k.width > 16 {
		TESTQ(U32(32), left)
		JE(LabelRef(tag + "16"))
		VMOVDQU(Mem{Base: from}, ys[rT])
		VMOVDQU(ys[rT], Mem{Base: to})
		JMP(LabelRef(tag + "0"))
		Label(tag + "16")
	}
	TESTQ(U32(16), left)
	JE(LabelRef(tag + "8"))
	VMOVDQU(Mem{Base: from}, xs[rT])
	VMOVDQU(xs[rT], Mem{Base: to})
	ADDQ(U8(16), from)
	ADDQ(U8(16), to)
	Label(tag + "8")
	TESTQ(U32(8), left)
	JE(LabelRef(tag + "4"))
	MOVQ(Mem{Base: from}, k.tmp)
	MOVQ(k.tmp, Mem{Base: to})
	ADDQ(U8(8), from)
	ADDQ(U8(8), to)
	Label(tag + "4")
	TESTQ(U32(4), left)
	JE(LabelRef(tag + "2"))
	MOVL(Mem{Base: from}, k.tmp.As32())
	MOVL(k.tmp.As32(), Mem{Base: to})
	ADDQ(U8(4), from)
	ADDQ(U8(4), to)
	Label(tag + "2")
	TESTQ(U32(2), left)
	JE(LabelRef(tag + "1"))
	MOVW(Mem{Base: from}, k.tmp.As16())
	MOVW(k.tmp.As16(), Mem{Base: to})
	ADDQ(U8(2), from)
	ADDQ(U8(2), to)
	Label(tag + "1")
	TESTQ(U32(1), left)
	JE(LabelRef(tag + "0"))
	MOVB(Mem{Base: from}, k.tmp.As8())
	MOVB(k.tmp.As8(), Mem{Base: to})
	Label(tag + "0")
}
