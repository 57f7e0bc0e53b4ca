//go:build (amd64 || arm64) && !purego

package crypto

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"
)

// kernels says that this build has assembly.
const kernels = true

// layout is where the kernels read their arguments, on every architecture, and
// where they expect it.
func layout() map[string][2]uintptr {
	var k GCMKey
	var j GCMJob
	var c CMKey
	var cj CMJob
	return map[string][2]uintptr{
		"GCMKey.table":    {unsafe.Offsetof(k.table), 0},
		"gcmTable.rounds": {unsafe.Offsetof(k.table.rounds), 240},
		"gcmTable.h":      {unsafe.Offsetof(k.table.h), 256},
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
	}
}

// checkLayout holds offsets and sizes against what the kernels expect.
func checkLayout(t *testing.T, at map[string][2]uintptr) {
	t.Helper()
	for name, at := range at {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, the kernels expect %d", name, at[0], at[1])
		}
	}
}

// Every lane of every kernel hashes its own message, from any address, and goes
// on from packet to tail to the outer hash.
func TestSHA1LanesAgainstTheStandardLibrary(t *testing.T) {
	defer forceHash("")() // the best
	for _, lanes := range sha1Kernels() {
		for blocks := range 41 {
			for tails := range 3 {
				for _, outer := range []bool{false, true} {
					if blocks+tails > 0 {
						sha1Case(t, lanes, blocks, tails, outer)
					}
				}
			}
		}
	}
}

func sha1Case(t *testing.T, lanes, blocks, tails int, outer bool) {
	t.Helper()
	l := make([]macLane, lanes)
	var p sha1Data
	want := make([][]byte, lanes)
	for i := range l {
		// A message whose padding fills its last block.
		n := 64*(blocks+tails) - 9
		m := random(uint64(100*blocks+i), n)
		sum := sha1.Sum(m)
		m = append(m, 0x80)
		m = binary.BigEndian.AppendUint64(m, uint64(8*n))
		mem := make([]byte, 3+len(m)) // at any address
		p[i] = &mem[i%4]
		copy(mem[i%4:], m[:64*blocks])
		copy(l[i].buf[tailAt:], m[64*blocks:])
		l[i].h = sha1Start
		if want[i] = sum[:]; outer {
			key := random(uint64(i), 64)
			l[i].outer = new(sha1State)
			l[i].outer.pad(key, 0x5c)
			for k := range key {
				key[k] ^= 0x5c
			}
			sum = sha1.Sum(append(key, sum[:]...))
			want[i] = sum[:]
		}
	}
	sha1Lanes(l, &p, blocks, tails, outer)
	for i := range l {
		var got []byte
		for _, w := range l[i].h[:5] {
			got = binary.BigEndian.AppendUint32(got, w)
		}
		if !bytes.Equal(got, want[i]) {
			t.Fatalf("%d lanes, %d blocks, %d tails, outer %v: lane %d differs", lanes, blocks, tails, outer, i)
		}
	}
}

func BenchmarkSHA1(b *testing.B) {
	const blocks = 20
	data := make([]byte, 64*blocks)
	var cs []contender
	for _, lanes := range sha1Kernels() {
		l := make([]macLane, lanes)
		cs = append(cs, contender{fmt.Sprintf("x%d", lanes), func() func() { return func() {} }, func() {
			for range 4 {
				var p sha1Data
				for i := range p {
					p[i] = &data[0]
				}
				sha1Lanes(l, &p, blocks, 0, false)
			}
		}, 4 * blocks * lanes})
	}
	interleave(b, cs)
}

// forceHash uses a way to hash until the function it returns is called.
func forceHash(name string) (restore func()) {
	old := activeHash
	activeHash = chooseHash(name)
	return func() { activeHash = old }
}

func hashLevelNames() (names []string) {
	for _, l := range hashLevels() {
		names = append(names, l.String())
	}
	return names
}
