package main

// Powers of H are kept in falling order, so that n blocks begin with H^n and go
// forward.
const (
	powers    = lanes + 1 // a whole group, or a tail and the block of lengths
	hAt       = 256
	xAt       = hAt + 16*powers
	poly      = 0xc200000000000000
	scratchIn = 16 * (lanes + 2)
)

// ghash is the arithmetic of GHASH with or without EOR3.
type ghash struct{ eor3 bool }

// add makes d the sum of d, a and b, or of a and b alone.
func (g ghash) add(d, a, b int, first bool) (c code) {
	switch {
	case first:
		c.op("VEOR V%d.B16, V%d.B16, V%d.B16", a, b, d)
	case g.eor3:
		c.op("VEOR3 V%d.B16, V%d.B16, V%d.B16, V%d.B16", a, b, d, d)
	default:
		c.op("VEOR V%d.B16, V%d.B16, V%d.B16", a, d, d)
		c.op("VEOR V%d.B16, V%d.B16, V%d.B16", b, d, d)
	}
	return c
}

// reverse turns a block around: the first byte is the highest.
func reverse(b int) (c code) {
	c.op("VREV64 V%d.B16, V%d.B16", b, b)
	c.op("VEXT $8, V%d.B16, V%d.B16, V%d.B16", b, b, b)
	return c
}

// group hashes the eight blocks at R14 into V28.
func (g ghash) group() (c code) {
	c.op("ADD $%d, R2, R12", hAt+16*(powers-lanes))
	c.op("ADD $%d, R2, R13", xAt+16*(powers-lanes))
	for pair := range lanes / 2 {
		first := pair == 0
		c.op("VLD1.P 32(R14), [V15.B16, V16.B16]")
		c.op("VLD1.P 32(R12), [V17.B16, V18.B16]")
		c.op("VLD1.P 32(R13), [V19.B16, V20.B16]")
		c = append(c, reverse(15)...)
		c = append(c, reverse(16)...)
		if first {
			c.op("VEOR V28.B16, V15.B16, V15.B16")
		}
		c.op("VEXT $8, V15.B16, V15.B16, V21.B16")
		c.op("VEXT $8, V16.B16, V16.B16, V22.B16")
		c.op("VEOR V15.B16, V21.B16, V21.B16")
		c.op("VEOR V16.B16, V22.B16, V22.B16")
		c.op("VPMULL V17.D1, V15.D1, V23.Q1")
		c.op("VPMULL V18.D1, V16.D1, V24.Q1")
		c = append(c, g.add(12, 23, 24, first)...)
		c.op("VPMULL2 V17.D2, V15.D2, V23.Q1")
		c.op("VPMULL2 V18.D2, V16.D2, V24.Q1")
		c = append(c, g.add(14, 23, 24, first)...)
		c.op("VPMULL V19.D1, V21.D1, V23.Q1")
		c.op("VPMULL V20.D1, V22.D1, V24.Q1")
		c = append(c, g.add(13, 23, 24, first)...)
	}
	return append(c, g.reduce()...)
}

// reduce makes V28 the product modulo the polynomial of GCM, in two folds by
// its upper half.
func (g ghash) reduce() (c code) {
	c = append(c, g.add(13, 12, 14, false)...)
	c.op("VEOR V23.B16, V23.B16, V23.B16")
	c.op("VEXT $8, V13.B16, V23.B16, V24.B16")
	c.op("VEXT $8, V23.B16, V13.B16, V13.B16")
	c.op("VEOR V24.B16, V12.B16, V12.B16")
	c.op("VEOR V13.B16, V14.B16, V14.B16")
	for range 2 {
		c.op("VPMULL V26.D1, V12.D1, V24.Q1")
		c.op("VEXT $8, V12.B16, V12.B16, V12.B16")
		c.op("VEOR V24.B16, V12.B16, V12.B16")
	}
	c.op("VEOR V14.B16, V12.B16, V28.B16")
	return c
}

// few hashes the R15 blocks at R14, one to nine, into V28.
func (g ghash) few(t *text) {
	loop := t.fresh("few")
	t.op("MOVD $%d, R11", powers)
	t.op("SUB R15, R11, R11")
	t.op("ADD R11<<4, R2, R12")
	t.op("ADD $%d, R12, R13", xAt)
	t.op("ADD $%d, R12, R12", hAt)
	for _, acc := range []int{12, 13, 14} {
		t.op("VEOR V%d.B16, V%d.B16, V%d.B16", acc, acc, acc)
	}
	t.label(loop)
	t.op("VLD1.P 16(R14), [V15.B16]")
	t.op("VLD1.P 16(R12), [V17.B16]")
	t.op("VLD1.P 16(R13), [V19.B16]")
	t.emit(reverse(15))
	t.op("VEOR V28.B16, V15.B16, V15.B16")
	t.op("VEOR V28.B16, V28.B16, V28.B16")
	t.op("VEXT $8, V15.B16, V15.B16, V21.B16")
	t.op("VEOR V15.B16, V21.B16, V21.B16")
	t.op("VPMULL V17.D1, V15.D1, V22.Q1")
	t.op("VPMULL2 V17.D2, V15.D2, V23.Q1")
	t.op("VPMULL V19.D1, V21.D1, V24.Q1")
	t.op("VEOR V22.B16, V12.B16, V12.B16")
	t.op("VEOR V23.B16, V14.B16, V14.B16")
	t.op("VEOR V24.B16, V13.B16, V13.B16")
	t.op("SUBS $1, R15, R15")
	t.op("BNE %s", loop)
	t.emit(g.reduce())
}

func (t *text) loadPoly() {
	t.op("MOVD $0x%x, R11", uint64(poly))
	t.op("VEOR V26.B16, V26.B16, V26.B16")
	t.op("VMOV R11, V26.D[0]")
}

func gcmUnit(t *text) {
	t.function("aesSubWord", 0, 12, "func aesSubWord(w uint32) uint32")
	t.op("MOVWU w+0(FP), R0")
	t.op("VDUP R0, V1.S4")
	t.op("VEOR V0.B16, V0.B16, V0.B16")
	t.op("AESE V0.B16, V1.B16")
	t.op("VMOV V1.S[0], R0")
	t.op("MOVW R0, ret+8(FP)")
	t.op("RET")

	t.function("ghashARM64", 0, 32, "func ghashARM64(t *gcmTable, y *[16]byte, p *byte, n int)")
	t.op("MOVD t+0(FP), R2")
	t.op("MOVD y+8(FP), R3")
	t.op("MOVD p+16(FP), R14")
	t.op("MOVD n+24(FP), R15")
	t.loadPoly()
	t.op("VLD1 (R3), [V28.B16]")
	t.emit(reverse(28))
	ghash{}.few(t)
	t.emit(reverse(28))
	t.op("VST1 [V28.B16], (R3)")
	t.op("RET")

	for _, g := range []ghash{{false}, {true}} {
		for _, seal := range []bool{true, false} {
			g.kernel(t, seal)
		}
	}
}

func (g ghash) kernel(t *text, seal bool) {
	name := "gcmOpen"
	if seal {
		name = "gcmSeal"
	}
	if g.eor3 {
		name += "EOR3"
	} else {
		name += "ARM64"
	}
	t.function(name, scratchIn, 16, "func "+name+"(jobs *GCMJob, n int)")
	t.op("MOVD jobs+0(FP), R0")
	t.op("MOVD n+8(FP), R1")
	t.op("MOVD $scratch-%d(SP), R19", scratchIn)
	t.loadPoly()
	job := t.fresh("job")
	t.label(job)
	t.op("MOVD (R0), R2")
	t.op("MOVD 240(R2), R6")
	t.op("VEOR V25.B16, V25.B16, V25.B16")
	t.op("MOVD 8(R0), R11")
	t.op("VMOV R11, V25.D[0]")
	t.op("MOVWU 16(R0), R11")
	t.op("VMOV R11, V25.S[2]")
	t.op("MOVD 24(R0), R4")
	t.op("MOVD 48(R0), R3")
	if seal {
		t.op("MOVD 56(R0), R8")
	} else {
		t.op("MOVD 32(R0), R8")
	}
	t.op("MOVD 80(R0), R7")
	t.op("VEOR V28.B16, V28.B16, V28.B16")
	g.associated(t)
	t.op("MOVD R8, R5")
	t.op("MOVD $2, R9")
	if seal {
		g.sealGroups(t)
	} else {
		g.openGroups(t)
	}
	g.finish(t, seal)
	t.op("ADD $104, R0")
	t.op("SUBS $1, R1, R1")
	t.op("BNE %s", job)
	t.op("RET")
}

// associated hashes the R7 bytes of AAD, at most 64.
func (g ghash) associated(t *text) {
	part, bytes, short, done := t.fresh("part"), t.fresh("bytes"), t.fresh("short"), t.fresh("done")
	t.op("MOVD 72(R0), R14")
	t.op("LSR $4, R7, R15")
	t.op("CBZ R15, %s", part)
	g.few(t)
	t.label(part)
	t.op("AND $15, R7, R15")
	t.op("CBZ R15, %s", done)
	t.op("STP (ZR, ZR), (R19)")
	t.op("MOVD R19, R20")
	t.op("CMP $8, R15")
	t.op("BLT %s", short)
	t.op("MOVD.P 8(R14), R11")
	t.op("MOVD.P R11, 8(R20)")
	t.op("SUB $8, R15")
	t.label(short)
	loaded := t.fresh("loaded")
	t.op("CBZ R15, %s", loaded)
	t.label(bytes)
	t.op("MOVBU.P 1(R14), R11")
	t.op("MOVB.P R11, 1(R20)")
	t.op("SUBS $1, R15, R15")
	t.op("BNE %s", bytes)
	t.label(loaded)
	t.op("MOVD R19, R14")
	t.op("MOVD $1, R15")
	g.few(t)
	t.label(done)
}

// sealGroups seals whole groups. Each is hashed while the next, or the tail,
// is encrypted.
func (g ghash) sealGroups(t *text) {
	group, alone, tail := t.fresh("group"), t.fresh("alone"), t.fresh("tail")
	last := t.fresh("lastgroup")
	t.op("CMP $%d, R5", 16*lanes)
	t.op("BLT %s", alone)
	t.emit(counters(lanes))
	t.encrypt(upTo(lanes), nil)
	t.op("MOVD R4, R14")
	t.emit(xorGroup())
	t.op("SUB $%d, R5", 16*lanes)
	t.label(group)
	t.op("CMP $%d, R5", 16*lanes)
	t.op("BLT %s", last)
	t.emit(counters(lanes))
	t.encrypt(upTo(lanes), g.group())
	t.op("MOVD R4, R14")
	t.emit(xorGroup())
	t.op("SUB $%d, R5", 16*lanes)
	t.op("B %s", group)
	t.label(last)
	t.tailCounters()
	t.encrypt(tailLanes(), g.group())
	t.op("B %s", tail)
	t.label(alone)
	t.tailCounters()
	t.encrypt(tailLanes(), nil)
	t.label(tail)
}

// openGroups opens whole groups. Each is hashed while its keystream is made,
// before the plaintext, perhaps, takes its place.
func (g ghash) openGroups(t *text) {
	group, tail := t.fresh("group"), t.fresh("tail")
	t.label(group)
	t.op("CMP $%d, R5", 16*lanes)
	t.op("BLT %s", tail)
	t.op("MOVD R3, R14")
	t.emit(counters(lanes))
	t.encrypt(upTo(lanes), g.group())
	t.emit(xorGroup())
	t.op("SUB $%d, R5", 16*lanes)
	t.op("B %s", group)
	t.label(tail)
	t.tailCounters()
	t.encrypt(tailLanes(), nil)
}

// tailCounters makes the counter blocks of the tail and, in V29, the one of
// the tag's mask (NIST SP 800-38D §7.1: J0), which rides along.
func (t *text) tailCounters() {
	t.emit(counters(lanes))
	t.op("VMOV V25.B16, V29.B16")
	t.op("MOVD $1, R9")
	t.op("REVW R9, R11")
	t.op("VMOV R11, V29.S[3]")
}

func tailLanes() []int { return append(upTo(lanes), 29) }

// finish takes the tail, whose keystream is there, hashes it with the block of
// lengths, and writes or compares the tag.
func (g ghash) finish(t *text, seal bool) {
	t.xorTail(seal)
	t.op("LSL $3, R7, R11")
	t.op("REV R11, R11")
	t.op("MOVD R11, (R20)")
	t.op("LSL $3, R8, R11")
	t.op("REV R11, R11")
	t.op("MOVD R11, 8(R20)")
	t.op("ADD $1, R15")
	t.op("MOVD R19, R14")
	g.few(t)
	t.wipeScratch(lanes)
	t.emit(reverse(28))
	t.op("VEOR V28.B16, V29.B16, V29.B16")
	if seal {
		t.op("VST1 [V29.B16], (R4)")
		t.op("MOVD $1, R11")
		t.op("MOVB R11, 96(R0)")
		return
	}
	t.op("VLD1 (R3), [V15.B16]")
	t.op("VEOR V15.B16, V29.B16, V29.B16")
	t.op("VMOV V29.D[0], R11")
	t.op("VMOV V29.D[1], R12")
	t.op("ORR R12, R11")
	t.op("CMP $0, R11")
	t.op("CSET EQ, R11")
	t.op("MOVB R11, 96(R0)")
}
