package crypto

import (
	"errors"
	"os"
	"reflect"
)

const (
	blockSize = 16
	gcmTag    = 16
)

// ErrKeySize reports a key whose length the algorithm does not have.
var ErrKeySize = errors.New("crypto: key size not supported")

// level is a set of instructions that the kernels may use. A higher one is
// faster where the processor has it.
type level uint8

const (
	levelGeneric level = iota // the standard library's
	levelAESNI                // amd64: AES-NI and PCLMULQDQ on 128 bits, encoded as AVX
	levelVAES                 // amd64: VAES and VPCLMULQDQ on 256 bits
	levelAVX512               // amd64: the same on 512 bits, with masks
	levelPMULL                // arm64: AES and PMULL instructions
	levelEOR3                 // arm64: the same, and EOR3
)

var levelNames = []string{"generic", "aesni", "vaes", "avx512", "pmull", "eor3"}

func (l level) String() string { return levelNames[l] }

// LevelVariable names the environment variable that forces a level: the name of
// one that the processor has. Another value is ignored.
const LevelVariable = "SLUICE_CRYPTO"

// HashVariable names the environment variable that forces how SHA-1 is
// computed, apart from the level of AES: "stdlib", "avx2", "sha", "sha+avx2" or
// "avx512", where the processor has it. Another value is ignored.
const HashVariable = "SLUICE_SHA1"

// active is decided once. Tests force each level in turn.
var active = choose(os.Getenv(LevelVariable))

// choose is the level called name, or the best one.
func choose(name string) level {
	all := levels()
	for _, l := range all {
		if l.String() == name {
			return l
		}
	}
	return all[len(all)-1]
}

// Level names the implementation in use: "generic", "aesni", "vaes", "avx512",
// "pmull" or "eor3".
func Level() string { return active.String() }

// HashLevel names the way SHA-1 is computed, as HashVariable does.
func HashLevel() string { return hashLevelName() }

// Wipe zeroes what p, a pointer, points to, whatever its type: the standard
// library keeps expanded keys in types that offer no way to forget them. Other
// values it leaves alone.
func Wipe(p any) {
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().SetZero()
	}
}
