package main

import "fmt"

// Registers of the SHA-1 kernels, of lane i: V7i the words a to d, V7i+1 and
// V7i+2 e and the next e, V7i+3 to V7i+6 sixteen words of the message. V28 is
// the round constant, V29 the message plus it. R2 to R5 the states, R6 to R9
// the messages, R10 the blocks left.

var shaConstants = [4]uint32{0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6}

func shaUnit(t *text) {
	for _, n := range []int{1, 2, 3, 4} {
		shaKernel(t, n)
	}
}

func shaKernel(t *text, n int) {
	name := fmt.Sprintf("sha1x%d", n)
	t.function(name, 0, 24, "func "+name+"(h *[4]*sha1State, p *[4]*byte, blocks int)")
	t.op("MOVD h+0(FP), R0")
	t.op("MOVD p+8(FP), R1")
	t.op("MOVD blocks+16(FP), R10")
	for i := range n {
		t.op("MOVD %d(R0), R%d", 8*i, 2+i)
		t.op("MOVD %d(R1), R%d", 8*i, 6+i)
	}
	each := func(f func(i int) code) {
		for i := range n {
			t.emit(f(i))
		}
	}
	t.label("block" + name)
	each(func(i int) (c code) {
		m := 7*i + 3
		c.op("VLD1 (R%d), [V%d.S4]", 2+i, 7*i)
		c.op("FMOVS 16(R%d), F%d", 2+i, 7*i+1)
		c.op("VLD1.P 64(R%d), [V%d.B16, V%d.B16, V%d.B16, V%d.B16]", 6+i, m, m+1, m+2, m+3)
		for k := range 4 {
			c.op("VREV32 V%d.B16, V%d.B16", m+k, m+k)
		}
		return c
	})
	for g := range 20 {
		if g%5 == 0 {
			t.op("MOVW $0x%x, R11", shaConstants[g/5])
			t.op("VDUP R11, V28.S4")
		}
		each(func(i int) (c code) { return shaRounds(i, g) })
	}
	each(func(i int) (c code) {
		c.op("VLD1 (R%d), [V%d.S4]", 2+i, 7*i+3)
		c.op("FMOVS 16(R%d), F%d", 2+i, 7*i+4)
		c.op("VADD V%d.S4, V%d.S4, V%d.S4", 7*i+3, 7*i, 7*i)
		c.op("VADD V%d.S4, V%d.S4, V%d.S4", 7*i+4, 7*i+1, 7*i+1)
		c.op("VST1 [V%d.S4], (R%d)", 7*i, 2+i)
		c.op("FMOVS F%d, 16(R%d)", 7*i+1, 2+i)
		return c
	})
	t.op("SUBS $1, R10, R10")
	t.op("BNE block%s", name)
	t.op("RET")
}

// shaRounds are four rounds of one lane (FIPS 180-4 §6.1.2), and the words of
// the message that are needed sixteen rounds later.
func shaRounds(i, g int) (c code) {
	abcd, e, next := 7*i, 7*i+1, 7*i+2
	if g%2 == 1 {
		e, next = next, e
	}
	m := func(k int) int { return 7*i + 3 + (g+k)%4 }
	c.op("VADD V28.S4, V%d.S4, V29.S4", m(0))
	c.op("SHA1H V%d, V%d", abcd, next)
	c.op("SHA1%s V29.S4, V%d, V%d", []string{"C", "P", "M", "P"}[g/5], e, abcd)
	if g < 16 {
		c.op("SHA1SU0 V%d.S4, V%d.S4, V%d.S4", m(2), m(1), m(0))
		c.op("SHA1SU1 V%d.S4, V%d.S4", m(3), m(0))
	}
	return c
}
