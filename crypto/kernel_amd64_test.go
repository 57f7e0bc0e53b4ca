//go:build !purego

package crypto

import (
	"slices"
	"testing"
	"unsafe"
)

// The kernels read these types by offset.
func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	var k GCMKey
	var j GCMJob
	var c CMKey
	var cj CMJob
	var l macLane
	for name, at := range map[string][2]uintptr{
		"GCMKey.table":    {unsafe.Offsetof(k.table), 0},
		"gcmTable.rounds": {unsafe.Offsetof(k.table.rounds), 240},
		"gcmTable.h":      {unsafe.Offsetof(k.table.h), 256},
		"gcmTable.x":      {unsafe.Offsetof(k.table.x), 656},
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
		"macLane.h":       {unsafe.Offsetof(l.h), 0},
		"macLane.outer":   {unsafe.Offsetof(l.outer), 32},
		"macLane tail":    {unsafe.Offsetof(l.buf) + tailAt, 120},
		"macLane":         {unsafe.Sizeof(l), 264},
	} {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, the kernels expect %d", name, at[0], at[1])
		}
	}
}

// sha1Kernels are the lanes of those that this processor has.
func sha1Kernels() (lanes []int) {
	if hasSHA {
		lanes = append(lanes, 1, 2, 3, 4)
	}
	if slices.Contains(hashLevels(), hashAVX2) {
		lanes = append(lanes, 8)
	}
	if slices.Contains(hashLevels(), hashAVX512) {
		lanes = append(lanes, 16)
	}
	return lanes
}

// A processor may lack the SHA instructions, whatever else it has.
func TestCMWithoutSHAInstructions(t *testing.T) {
	if !hasSHA {
		t.Log("as in every other test here")
	}
	defer func(old bool) { hasSHA = old }(hasSHA)
	hasSHA = false
	for _, name := range hashLevelNames() {
		t.Run(name, func(t *testing.T) {
			defer forceHash(name)()
			for _, count := range []int{1, 2, 3, 8, 17, 65} {
				cmMixedBatch(t, count)
			}
			t.Run("flipped bits", TestCMFlippedBitTouchesNothing)
			t.Run("HMAC", TestHMACOfRFC2202)
			t.Run("allocations", TestCMAllocatesNothing)
		})
	}
}
