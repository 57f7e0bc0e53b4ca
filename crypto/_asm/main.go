package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// maxCounter bounds the counter blocks of a packet that the kernels take.
const maxCounter = 2 + (4096+group)/16

func data() {
	GLOBL("gcmCounters", RODATA|NOPTR)
	for c := range maxCounter {
		DATA(16*c, U64(0))
		DATA(16*c+8, U64(uint64(c&0xff)<<56|uint64(c>>8&0xff)<<48))
	}
	GLOBL("gcmPoly", RODATA|NOPTR)
	DATA(0, U64(1))
	DATA(8, U64(0xc200000000000000))
	GLOBL("gcmDouble", RODATA|NOPTR) // the polynomial, and the carry between halves
	DATA(0, U64(1))
	DATA(8, U64(0xc200000000000001))
	GLOBL("gcmSwap", RODATA|NOPTR)
	DATA(0, U64(0x08090a0b0c0d0e0f))
	DATA(8, U64(0x0001020304050607))
	GLOBL("gcmOnes", RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(0xffffffffffffffff))
	}
	for i := range 4 {
		DATA(32+8*i, U64(0))
	}
}

// units maps each file of assembly to what generates it. The name of the file
// that -out asks for selects one.
var units = map[string]func(){
	"aesgcm_amd64.s": gcmUnit,
	"aesctr_amd64.s": ctrUnit,
	"sha1_amd64.s":   shaUnit,
}

func gcmUnit() {
	data()
	expandKey()
	for _, k := range []*kernel{
		{width: 16, seal: true, name: "gcmSealAESNI"},
		{width: 16, seal: false, name: "gcmOpenAESNI"},
		{width: 32, seal: true, name: "gcmSealVAES"},
		{width: 32, seal: false, name: "gcmOpenVAES"},
	} {
		k.generate()
	}
	(&kernel{width: 64, seal: true, name: "gcmSealAVX512"}).wide()
	(&kernel{width: 64, seal: false, name: "gcmOpenAVX512"}).wide()
}

func main() {
	flag.Parse()
	unit := units[filepath.Base(flag.Lookup("out").Value.String())]
	if unit == nil {
		fmt.Fprintln(os.Stderr, "-out names no unit")
		os.Exit(2)
	}
	ConstraintExpr("!purego")
	checked()
	unit()
	Generate()
}
