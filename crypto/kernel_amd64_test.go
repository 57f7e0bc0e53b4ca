//go:build !purego

package crypto

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"unsafe"
)

// kernels says that this build has assembly.
const kernels = true

// The kernels read these types by offset.
func TestLayoutIsWhatTheKernelsRead(t *testing.T) {
	var k GCMKey
	var j GCMJob
	var c CMKey
	var cj CMJob
	var h sha1State
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
		"sha1State.e":     {unsafe.Offsetof(h.e), 256},
	} {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, the kernels expect %d", name, at[0], at[1])
		}
	}
}

// sha1Kernels are the lanes of those that this processor has.
func sha1Kernels() map[int]func(*sha1State, *sha1Data, int) {
	all := map[int]func(*sha1State, *sha1Data, int){}
	if sha1NI {
		all[1], all[2], all[4] = sha1x1, sha1x2, sha1x4
	}
	if slices.Contains(levels(), levelAVX512) {
		all[16] = sha1x16
	}
	return all
}

// Every lane of every kernel hashes its own message, and the states of the
// lanes that a kernel does not have stay as they are.
func TestSHA1LanesAgainstTheStandardLibrary(t *testing.T) {
	iv := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	for lanes, f := range sha1Kernels() {
		for blocks := 1; blocks <= 40; blocks++ {
			var h sha1State
			var p sha1Data
			var want [macLanes][5]uint32
			for i := range macLanes {
				h.set(i, &iv)
				want[i] = iv
				if i >= lanes {
					continue
				}
				// A message whose padding fills its last block.
				m := random(uint64(100*blocks+i), 64*blocks-9+i%4)[:64*blocks-9]
				sum := sha1.Sum(m)
				for w := range want[i] {
					want[i][w] = binary.BigEndian.Uint32(sum[4*w:])
				}
				m = append(m, 0x80)
				m = binary.BigEndian.AppendUint64(m, uint64(8*(64*blocks-9)))
				at := make([]byte, 3+len(m)) // at any address
				copy(at[i%4:], m)
				p[i] = &at[i%4]
			}
			f(&h, &p, blocks)
			for i := range macLanes {
				if h.get(i) != want[i] {
					t.Fatalf("%d lanes, %d blocks: lane %d differs", lanes, blocks, i)
				}
			}
		}
	}
}

// A processor may have the vector instructions for AES and not SHA-NI.
func TestCMWithoutSHAInstructions(t *testing.T) {
	old := sha1NI
	defer func() { sha1NI = old }()
	sha1NI = false
	for name, f := range map[string]func(*testing.T){
		"lengths": TestCMEveryLength, "flipped bits": TestCMFlippedBitTouchesNothing, "allocations": TestCMAllocatesNothing,
	} {
		t.Run(name, func(t *testing.T) { atEveryLevel(t, f) })
	}
}

func BenchmarkSHA1(b *testing.B) {
	for _, lanes := range []int{1, 2, 4, 16} {
		f := sha1Kernels()[lanes]
		if f == nil {
			continue
		}
		b.Run(fmt.Sprintf("%dlanes", lanes), func(b *testing.B) {
			const blocks = 20
			var h sha1State
			var p sha1Data
			for i := range p {
				p[i] = &make([]byte, 64*blocks)[0]
			}
			for b.Loop() {
				f(&h, &p, blocks)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blocks*lanes), "ns/block")
		})
	}
}
