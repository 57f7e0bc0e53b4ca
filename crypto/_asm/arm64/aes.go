package main

// Registers of the AES and GHASH kernels.
//
//	R0 job  R1 jobs left  R2 key  R3 src  R4 dst  R5 bytes left  R6 rounds
//	R7 length of the AAD  R8 length of the payload  R9 counter  R10 round keys
//	R11 scratch  R12 powers of H  R13 their halves  R14 what is hashed
//	R15 count  R19 scratch memory  R20 place in it
//
//	V0 to V7 blocks  V8 to V11 round keys  V12 V13 V14 product: low, middle,
//	high  V15 to V24 scratch  V25 nonce  V26 polynomial  V28 sum so far
//	V29 the tag's mask

const lanes = 8

// counters makes the next n counter blocks, in V0 and following.
func counters(n int) (c code) {
	for i := range n {
		c.op("VMOV V25.B16, V%d.B16", i)
		c.op("REVW R9, R11")
		c.op("VMOV R11, V%d.S[3]", i)
		c.op("ADD $1, R9")
	}
	return c
}

func round(key int, blocks []int, mix bool) (c code) {
	for _, b := range blocks {
		c.op("AESE V%d.B16, V%d.B16", key, b)
		if mix {
			c.op("AESMC V%d.B16, V%d.B16", b, b)
		}
	}
	return c
}

// encrypt encrypts the blocks with the key at R2, of R6 rounds. other is
// interleaved with the rounds that all keys have.
func (t *text) encrypt(blocks []int, other code) {
	var first code
	first.op("MOVD R2, R10")
	for range 2 {
		first.op("VLD1.P 64(R10), [V8.B16, V9.B16, V10.B16, V11.B16]")
		for k := range 4 {
			first = append(first, round(8+k, blocks, true)...)
		}
	}
	t.emit(zip(first, other))
	last := t.fresh("last")
	t.op("CMP $10, R6")
	t.op("BEQ %s", last)
	t.op("VLD1.P 64(R10), [V8.B16, V9.B16, V10.B16, V11.B16]")
	for k := range 4 {
		t.emit(round(8+k, blocks, true))
	}
	t.label(last)
	t.op("VLD1 (R10), [V8.B16, V9.B16, V10.B16]")
	t.emit(round(8, blocks, true))
	t.emit(round(9, blocks, false))
	for _, b := range blocks {
		t.op("VEOR V10.B16, V%d.B16, V%d.B16", b, b)
	}
}

// xorGroup writes a whole group: eight blocks from src, with the keystream.
func xorGroup() (c code) {
	c.op("VLD1.P 64(R3), [V15.B16, V16.B16, V17.B16, V18.B16]")
	c.op("VLD1.P 64(R3), [V19.B16, V20.B16, V21.B16, V22.B16]")
	for i := range lanes {
		c.op("VEOR V%d.B16, V%d.B16, V%d.B16", 15+i, i, i)
	}
	c.op("VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R4)")
	c.op("VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R4)")
	return c
}

// xorTail takes the R5 bytes left, fewer than a group. The keystream goes to
// scratch memory, and the ciphertext takes its place there, as whole blocks
// with zeros behind. R20 is then behind the last of them and R15 their number.
func (t *text) xorTail(seal bool) {
	whole, part, bytes, fill, done := t.fresh("whole"), t.fresh("part"), t.fresh("bytes"), t.fresh("fill"), t.fresh("done")
	t.op("MOVD R19, R20")
	t.op("VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R20)")
	t.op("VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R20)")
	t.op("MOVD R19, R20")
	t.op("MOVD ZR, R15")
	t.label(whole)
	t.op("CMP $16, R5")
	t.op("BLT %s", part)
	t.op("VLD1.P 16(R3), [V15.B16]")
	t.op("VLD1 (R20), [V16.B16]")
	t.op("VEOR V15.B16, V16.B16, V16.B16")
	t.op("VST1.P [V16.B16], 16(R4)")
	if seal {
		t.op("VST1.P [V16.B16], 16(R20)")
	} else {
		t.op("VST1.P [V15.B16], 16(R20)")
	}
	t.op("SUB $16, R5")
	t.op("ADD $1, R15")
	t.op("B %s", whole)
	t.label(part)
	t.op("CBZ R5, %s", done)
	t.op("ADD $1, R15")
	t.op("MOVD $16, R21")
	t.op("SUB R5, R21, R21")
	t.label(bytes)
	t.op("MOVBU.P 1(R3), R11")
	t.op("MOVBU (R20), R22")
	t.op("EOR R11, R22, R22")
	t.op("MOVB.P R22, 1(R4)")
	if seal {
		t.op("MOVB.P R22, 1(R20)")
	} else {
		t.op("MOVB.P R11, 1(R20)")
	}
	t.op("SUBS $1, R5, R5")
	t.op("BNE %s", bytes)
	t.label(fill)
	t.op("MOVB.P ZR, 1(R20)")
	t.op("SUBS $1, R21, R21")
	t.op("BNE %s", fill)
	t.label(done)
}

// wipeScratch zeroes the scratch memory, where keystream was.
func (t *text) wipeScratch(blocks int) {
	t.op("VEOR V0.B16, V0.B16, V0.B16")
	t.op("MOVD R19, R20")
	for range blocks {
		t.op("VST1.P [V0.B16], 16(R20)")
	}
}

func ctrUnit(t *text) {
	t.function("ctrARM64", 16*lanes, 17, "func ctrARM64(jobs *CMJob, n int, open bool)")
	t.op("MOVD jobs+0(FP), R0")
	t.op("MOVD n+8(FP), R1")
	t.op("MOVBU open+16(FP), R23")
	t.op("MOVD $scratch-%d(SP), R19", 16*lanes)
	t.label("job")
	t.op("MOVD 72(R0), R11") // Header
	t.op("CBZ R23, seal")
	t.op("MOVBU 96(R0), R15") // OK
	t.op("CBZ R15, next")
	t.op("MOVD 48(R0), R3") // Src
	t.op("ADD R11, R3")
	t.op("MOVD 24(R0), R4") // Dst
	t.op("MOVD 32(R0), R5")
	t.op("B begin")
	t.label("seal")
	t.op("MOVD 48(R0), R3")
	t.op("MOVD 56(R0), R5")
	t.op("MOVD 24(R0), R4")
	t.op("ADD R11, R4")
	t.label("begin")
	t.op("CBZ R5, next")
	t.op("MOVD (R0), R2")
	t.op("MOVD 240(R2), R6")
	t.op("ADD $8, R0, R11")
	t.op("VLD1 (R11), [V25.B16]")
	t.op("MOVWU 20(R0), R9")
	t.op("REVW R9, R9")
	t.label("group")
	t.op("CMP $%d, R5", 16*lanes)
	t.op("BLT tail")
	t.emit(counters(lanes))
	t.encrypt(upTo(lanes), nil)
	t.emit(xorGroup())
	t.op("SUB $%d, R5", 16*lanes)
	t.op("B group")
	t.label("tail")
	t.op("CBZ R5, next")
	t.emit(counters(lanes))
	t.encrypt(upTo(lanes), nil)
	t.xorTail(true)
	t.label("next")
	t.op("ADD $104, R0")
	t.op("SUBS $1, R1, R1")
	t.op("BNE job")
	t.wipeScratch(lanes)
	t.op("RET")
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}
