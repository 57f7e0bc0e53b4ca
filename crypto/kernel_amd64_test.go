//go:build !purego

package crypto

import (
	"slices"
	"testing"
	"unsafe"
)

func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	at := layout()
	var k GCMKey
	var l macLane
	at["gcmTable.x"] = [2]uintptr{unsafe.Offsetof(k.table.x), 656}
	at["macLane.h"] = [2]uintptr{unsafe.Offsetof(l.h), 0}
	at["macLane.outer"] = [2]uintptr{unsafe.Offsetof(l.outer), 32}
	at["macLane tail"] = [2]uintptr{unsafe.Offsetof(l.buf) + tailAt, 120}
	at["macLane"] = [2]uintptr{unsafe.Sizeof(l), 264}
	checkLayout(t, at)
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
