package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded is memory between two pages that fault on access.
func guarded(t *testing.T, pages int) []byte {
	t.Helper()
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, (pages+2)*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	for _, guard := range [][]byte{mem[:page], mem[(pages+1)*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return mem[page : (pages+1)*page]
}

// Class 50: at every length, against either guard page and at every offset to
// a vector's boundary, the kernels touch no byte beyond their buffers, and
// write no byte beyond Dst.
func TestClass50_KernelsStayWithinTheirBuffers(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		src, dst, aad := guarded(t, 2), guarded(t, 2), guarded(t, 1)
		raw := random(1, 16)
		key := gcmKey(t, raw)
		block, err := aes.NewCipher(raw)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		plain := random(2, 4096)
		step := 1
		if testing.Short() {
			step = 7
		}
		var sealed []byte
		for n := 0; n <= 4096; n += step {
			na := n % 65
			a := aad[len(aad)-na:]
			copy(a, plain)
			job := GCMJob{Key: key, AAD: a}
			sealed = aead.Seal(sealed[:0], job.Nonce[:], plain[:n], a)
			for _, off := range []int{0, 1 + n%63, -1} { // -1: against the end
				place := func(mem []byte, size int) []byte {
					at := off
					if off < 0 {
						at = len(mem) - size
					}
					return mem[at : at+size : at+size]
				}
				job.Src, job.Dst = place(src, n), place(dst, n+gcmTag)
				copy(job.Src, plain)
				for i := range dst {
					dst[i] = 0x5a
				}
				jobs := []GCMJob{job}
				SealBatch(jobs)
				if !bytes.Equal(job.Dst, sealed) {
					t.Fatalf("%d bytes at %d: sealed wrongly", n, off)
				}
				if touched(dst, job.Dst) {
					t.Fatalf("%d bytes at %d: sealing wrote beyond Dst", n, off)
				}
				job.Src, job.Dst = place(src, n+gcmTag), place(dst, n)
				copy(job.Src, sealed)
				for i := range dst {
					dst[i] = 0x5a
				}
				jobs[0] = job
				OpenBatch(jobs)
				if !jobs[0].OK || !bytes.Equal(job.Dst, plain[:n]) {
					t.Fatalf("%d bytes at %d: opened wrongly", n, off)
				}
				if touched(dst, job.Dst) {
					t.Fatalf("%d bytes at %d: opening wrote beyond Dst", n, off)
				}
			}
		}
	})
}

// Class 50, of counter mode and its hash: payload and packet lie against either
// guard page and at every offset.
func TestClass50_CMKernelsStayWithinTheirBuffers(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		src, dst := guarded(t, 2), guarded(t, 2)
		enc, auth := random(1, 16), random(2, 20)
		key := cmKey(t, enc, auth)
		plain, header := random(3, 4096), random(4, 84)
		step := 1
		if testing.Short() {
			step = 7
		}
		for n := 0; n <= 4096; n += step {
			job := CMJob{Key: key, Header: 12 + n%73, TagLen: []int{4, 10, 20}[n%3], InPacket: n%2 == 0}
			packet := cmPacket(enc, auth, &job, header[:job.Header], plain[:n])
			for _, off := range []int{0, 1 + n%63, -1} { // -1: against the end
				place := func(mem []byte, size int) []byte {
					for i := range mem {
						mem[i] = 0x5a
					}
					at := off
					if off < 0 {
						at = len(mem) - size
					}
					return mem[at : at+size : at+size]
				}
				job.Src, job.Dst = place(src, n), place(dst, len(packet))
				copy(job.Src, plain)
				copy(job.Dst, header[:job.Header])
				jobs := []CMJob{job}
				if SealCMBatch(jobs); !bytes.Equal(job.Dst, packet) {
					t.Fatalf("%d bytes at %d: sealed wrongly", n, off)
				}
				if touched(dst, job.Dst) || touched(src, job.Src) {
					t.Fatalf("%d bytes at %d: sealing wrote beyond Dst", n, off)
				}
				job.Src, job.Dst = place(src, len(packet)), place(dst, n)
				copy(job.Src, packet)
				jobs[0] = job
				if OpenCMBatch(jobs); !jobs[0].OK || !bytes.Equal(job.Dst, plain[:n]) {
					t.Fatalf("%d bytes at %d: opened wrongly", n, off)
				}
				if touched(dst, job.Dst) || touched(src, job.Src) || !bytes.Equal(job.Src, packet) {
					t.Fatalf("%d bytes at %d: opening wrote beyond Dst", n, off)
				}
			}
		}
	})
}

// touched reports whether mem differs from 0x5a anywhere but in part.
func touched(mem, part []byte) bool {
	at := 0
	if len(part) > 0 {
		at = int(uintptr(unsafe.Pointer(&part[0])) - uintptr(unsafe.Pointer(&mem[0])))
	}
	fresh := func(b []byte) bool {
		return len(bytes.Trim(b, "\x5a")) == 0
	}
	return !fresh(mem[:at]) || !fresh(mem[at+len(part):])
}

// The twin: a single byte written on either side is seen.
func TestClass50_AByteWrittenBeyondIsSeen(t *testing.T) {
	mem := bytes.Repeat([]byte{0x5a}, 300)
	part := mem[100:200]
	clear(part)
	if touched(mem, part) {
		t.Error("what lies within counts")
	}
	for _, at := range []int{0, 99, 200, 299} {
		mem[at] ^= 1
		if !touched(mem, part) {
			t.Errorf("a write at %d is not seen", at)
		}
		mem[at] ^= 1
	}
}

// cpuHas asks the kernel for the processor's features.
func cpuHas(t *testing.T) func(names ...string) bool {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(info), "\nflags")
	if !ok {
		t.Skip("not an x86 processor")
	}
	line, _, _ := strings.Cut(rest, "\n")
	flags := strings.Fields(line)
	return func(names ...string) bool {
		for _, n := range names {
			if !slices.Contains(flags, n) {
				return false
			}
		}
		return true
	}
}

// The best level that this processor has is not skipped: what the kernel says
// of the processor is compared with what levels found.
func TestBestLevelIsFound(t *testing.T) {
	has := cpuHas(t)
	want := "generic"
	if kernels && has("avx2", "vaes", "vpclmulqdq", "aes", "bmi2") {
		want = "vaes"
		if has("avx512f", "avx512bw", "avx512vl", "avx512dq") {
			want = "avx512"
		}
	}
	all := levels()
	if got := all[len(all)-1].String(); got != want {
		t.Errorf("best level %s, want %s", got, want)
	}
}
