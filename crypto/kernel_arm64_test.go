//go:build !purego

package crypto

import (
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	at := layout()
	var k GCMKey
	at["gcmTable.x"] = [2]uintptr{unsafe.Offsetof(k.table.x), 256 + 16*gcmPowers}
	checkLayout(t, at)
}

// Where the emulator or the processor has the instructions, the levels that use
// them must not be skipped.
func TestInstructionsAreUsedWhereTheyAre(t *testing.T) {
	best := levelGeneric
	switch {
	case cpuid.CPU.Supports(cpuid.AESARM, cpuid.PMULL, cpuid.SHA3):
		best = levelEOR3
	case cpuid.CPU.Supports(cpuid.AESARM, cpuid.PMULL):
		best = levelPMULL
	}
	if all := levels(); all[len(all)-1] != best {
		t.Errorf("the best level is %v, not %v", all[len(all)-1], best)
	}
	if all := hashLevels(); cpuid.CPU.Supports(cpuid.SHA1) != (all[len(all)-1] == hashSHA) {
		t.Errorf("hash levels %v", all)
	}
}

// sha1Kernels are the lanes of those that this processor has.
func sha1Kernels() []int {
	if !cpuid.CPU.Supports(cpuid.SHA1) {
		return nil
	}
	return []int{1, 2, 3, 4}
}
