package crypto

import (
	"bytes"
	"crypto/cipher"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is memory for many buffers at once, each between two pages that fault
// on access.
type arena struct {
	mem  []byte
	cell int // bytes between two guards
	page int
}

const arenaCells = 64

func newArena(t *testing.T, pages int) *arena {
	t.Helper()
	page := os.Getpagesize()
	a := &arena{cell: pages * page, page: page}
	mem, err := unix.Mmap(-1, 0, arenaCells*(a.cell+page)+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	for i := range arenaCells + 1 {
		at := i * (a.cell + page)
		if err := unix.Mprotect(mem[at:at+page], unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	a.mem = mem
	return a
}

// at is cell i.
func (a *arena) at(i int) []byte {
	from := a.page + i*(a.cell+a.page)
	return a.mem[from : from+a.cell : from+a.cell]
}

// around is how far from a buffer a stray write is looked for.
const around = 128

// place is size bytes of cell i, i bytes from its start or from its end, and
// what lies around it, which is filled with a mark.
func (a *arena) place(i, size int, fromEnd bool) (buf []byte, check func() bool) {
	mem := a.at(i)
	at := i
	if fromEnd {
		at = len(mem) - size - i
	}
	before, after := mem[max(0, at-around):at], mem[at+size:min(len(mem), at+size+around)]
	copy(before, marks)
	copy(after, marks)
	return mem[at : at+size : at+size], func() bool {
		return bytes.Equal(before, marks[:len(before)]) && bytes.Equal(after, marks[:len(after)])
	}
}

var marks = bytes.Repeat([]byte{0x5a}, around)

// someLengths is every length up to 4096, or under -short and under the race
// detector, which does not look into assembly, those around which the kernels
// branch and a few others.
func someLengths() (all []int) {
	for n := 0; n <= 4096; n++ {
		if !testing.Short() && !raceDetector || n <= 70 || n%61 == 0 || (n+2)%256 <= 4 {
			all = append(all, n)
		}
	}
	return all
}

// Class 50: at every length and every offset from either guard page, in place
// and apart, the kernels touch no byte beyond their buffers, write no byte
// beyond Dst, and do what the standard library does.
func TestClass50_KernelsStayWithinTheirBuffers(t *testing.T) {
	plain, aad := random(2, 4096), random(3, 64)
	var keys [2]*GCMKey
	var aeads [2]cipher.AEAD
	src, dst, heads := newArena(t, 2), newArena(t, 2), newArena(t, 1)
	want := make([]byte, 0, 4096+gcmTag)
	for _, l := range levels() {
		if l == levelGeneric {
			continue // it is what the others are compared with
		}
		t.Run(l.String(), func(t *testing.T) {
			defer force(l)()
			for i := range keys {
				raw := random(1, 16+16*i)
				keys[i], aeads[i] = gcmKey(t, raw), stdGCM(t, raw)
			}
			for _, n := range someLengths() {
				var nonce [12]byte
				a := heads.at(n % arenaCells)
				if a = a[:n%65]; n%2 == 0 {
					a = heads.at(n % arenaCells)
					a = a[len(a)-n%65:]
				}
				copy(a, aad)
				k := n / 3 % 2
				want = aeads[k].Seal(want[:0], nonce[:], plain[:n], a)
				for mode := range 4 {
					g := guard{src: src, dst: dst, inPlace: mode%2 == 0, fromEnd: mode/2 == 0}
					g.run(t, GCMJob{Key: keys[k], AAD: a}, plain[:n], want)
				}
			}
		})
	}
}

type guard struct {
	src, dst         *arena
	inPlace, fromEnd bool
}

// run seals and opens one packet at all offsets at once.
func (g *guard) run(t *testing.T, job GCMJob, plain, sealed []byte) {
	t.Helper()
	for _, open := range []bool{false, true} {
		var jobs [arenaCells]GCMJob
		var checks [arenaCells][2]func() bool
		in, out := plain, sealed
		if open {
			in, out = sealed, plain
		}
		for i := range jobs {
			j := job
			if g.inPlace {
				var mem []byte
				mem, checks[i][0] = g.dst.place(i, len(sealed), g.fromEnd)
				j.Src, j.Dst, checks[i][1] = mem[:len(in):len(in)], mem[:len(out):len(out)], checks[i][0]
			} else {
				j.Src, checks[i][0] = g.src.place(i, len(in), g.fromEnd)
				j.Dst, checks[i][1] = g.dst.place(i, len(out), g.fromEnd)
			}
			copy(j.Src, in)
			jobs[i] = j
		}
		if open {
			OpenBatch(jobs[:])
		} else {
			SealBatch(jobs[:])
		}
		for i := range jobs {
			if j := &jobs[i]; !j.OK || !bytes.Equal(j.Dst, out) {
				t.Fatalf("%d bytes, offset %d, %+v, open %v: wrong", len(plain), i, *g, open)
			}
			if !checks[i][0]() || !checks[i][1]() {
				t.Fatalf("%d bytes, offset %d, %+v, open %v: wrote beyond Dst", len(plain), i, *g, open)
			}
		}
	}
}

// Class 50, of counter mode and its hash.
func TestClass50_CMKernelsStayWithinTheirBuffers(t *testing.T) {
	plain, header := random(3, 4096), random(4, 84)
	src, dst := newArena(t, 2), newArena(t, 2)
	for _, p := range cmLevels() {
		if p.aes == levelGeneric || p.aes == levelVAES && p.hash == "sha" {
			continue // no kernel, or none that another pair does not have
		}
		t.Run(p.aes.String()+"/"+p.hash, func(t *testing.T) {
			defer force(p.aes)()
			defer forceHash(p.hash)()
			var keys [2]*CMKey
			for i := range keys {
				keys[i] = cmKey(t, random(1, 16+16*i), random(2, 20))
			}
			for _, n := range someLengths() {
				k := n / 3 % 2
				job := CMJob{Key: keys[k], Header: 12 + n%73, TagLen: []int{4, 10, 20}[n%3], InPacket: n%2 == 0}
				packet := cmPacket(random(1, 16+16*k), random(2, 20), &job, header[:job.Header], plain[:n])
				for mode := range 4 {
					g := guard{src: src, dst: dst, inPlace: mode%2 == 0, fromEnd: mode/2 == 0}
					g.runCM(t, job, plain[:n], packet)
				}
			}
		})
	}
}

func (g *guard) runCM(t *testing.T, job CMJob, plain, packet []byte) {
	t.Helper()
	h, n := job.Header, len(plain)
	for _, open := range []bool{false, true} {
		var jobs [arenaCells]CMJob
		var checks [arenaCells][2]func() bool
		var whole [arenaCells][]byte
		for i := range jobs {
			j := job
			whole[i], checks[i][0] = g.dst.place(i, len(packet), g.fromEnd)
			payload := whole[i][h : h+n : h+n]
			if checks[i][1] = checks[i][0]; !g.inPlace {
				payload, checks[i][1] = g.src.place(i, n, g.fromEnd)
			}
			if open {
				copy(whole[i], packet)
				j.Src, j.Dst = whole[i], payload
			} else {
				copy(whole[i], packet[:h])
				copy(payload, plain)
				j.Src, j.Dst = payload, whole[i]
			}
			jobs[i] = j
		}
		if open {
			OpenCMBatch(jobs[:])
		} else {
			SealCMBatch(jobs[:])
		}
		for i := range jobs {
			j := &jobs[i]
			ok := j.OK
			if open {
				ok = ok && bytes.Equal(j.Dst, plain) && (g.inPlace || bytes.Equal(whole[i], packet))
			} else {
				ok = ok && bytes.Equal(j.Dst, packet) && (g.inPlace || bytes.Equal(j.Src, plain))
			}
			if !ok {
				t.Fatalf("%d bytes, offset %d, %+v, open %v: wrong", n, i, *g, open)
			}
			if !checks[i][0]() || !checks[i][1]() {
				t.Fatalf("%d bytes, offset %d, %+v, open %v: wrote beyond Dst", n, i, *g, open)
			}
		}
	}
}

// The twin: a single byte written on either side is seen, one within is not.
func TestClass50_AByteWrittenBeyondIsSeen(t *testing.T) {
	a := newArena(t, 1)
	for _, fromEnd := range []bool{false, true} {
		for i := range arenaCells {
			buf, check := a.place(i, 100, fromEnd)
			clear(buf)
			if !check() {
				t.Error("what lies within counts")
			}
			mem := a.at(i)
			at := int(uintptr(unsafe.Pointer(&buf[0])) - uintptr(unsafe.Pointer(&mem[0])))
			for _, stray := range []int{at - around, at - 1, at + 100, at + 100 + around - 1} {
				if stray < 0 || stray >= len(mem) {
					continue
				}
				mem[stray] ^= 1
				if check() {
					t.Errorf("a write at %d beside [%d:%d] is not seen", stray, at, at+100)
				}
				mem[stray] ^= 1
			}
		}
	}
}
