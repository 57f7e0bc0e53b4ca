//go:build !purego

package crypto

import (
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// The kernels read these types by offset.
func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	var k GCMKey
	var j GCMJob
	var c CMKey
	var cj CMJob
	for name, at := range map[string][2]uintptr{
		"GCMKey.table":    {unsafe.Offsetof(k.table), 0},
		"gcmTable.rounds": {unsafe.Offsetof(k.table.rounds), 240},
		"gcmTable.h":      {unsafe.Offsetof(k.table.h), 256},
		"gcmTable.x":      {unsafe.Offsetof(k.table.x), 256 + 16*gcmPowers},
		"GCMJob.Key":      {unsafe.Offsetof(j.Key), 0},
		"GCMJob.Nonce":    {unsafe.Offsetof(j.Nonce), 8},
		"GCMJob.Dst":      {unsafe.Offsetof(j.Dst), 24},
		"GCMJob.Src":      {unsafe.Offsetof(j.Src), 48},
		"GCMJob.AAD":      {unsafe.Offsetof(j.AAD), 72},
		"GCMJob.OK":       {unsafe.Offsetof(j.OK), 96},
		"GCMJob":          {unsafe.Sizeof(j), 104},
		"CMKey.table":     {unsafe.Offsetof(c.table), 0},
		"cmTable.rounds":  {unsafe.Offsetof(c.table.rounds), 240},
		"CMJob.Key":       {unsafe.Offsetof(cj.Key), 0},
		"CMJob.IV":        {unsafe.Offsetof(cj.IV), 8},
		"CMJob.Dst":       {unsafe.Offsetof(cj.Dst), 24},
		"CMJob.Src":       {unsafe.Offsetof(cj.Src), 48},
		"CMJob.Header":    {unsafe.Offsetof(cj.Header), 72},
		"CMJob.OK":        {unsafe.Offsetof(cj.OK), 96},
		"CMJob":           {unsafe.Sizeof(cj), 104},
	} {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, the kernels expect %d", name, at[0], at[1])
		}
	}
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
