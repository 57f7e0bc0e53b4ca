//go:build !purego

package crypto

import (
	"testing"
	"unsafe"
)

// kernels says that this build has assembly.
const kernels = true

// The kernels read these types by offset.
func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	var k GCMKey
	var j GCMJob
	for name, c := range map[string][2]uintptr{
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
	} {
		if c[0] != c[1] {
			t.Errorf("%s lies at %d, the kernels expect %d", name, c[0], c[1])
		}
	}
}
