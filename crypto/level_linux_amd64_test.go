package crypto

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The best level that this processor has is not skipped: what the kernel says
// of the processor is compared with what levels found.
func TestBestLevelIsFound(t *testing.T) {
	has := cpuHas(t)
	want := "generic"
	if kernels && has("avx", "aes", "pclmulqdq") {
		want = "aesni"
		if has("avx2", "vaes", "vpclmulqdq") {
			want = "vaes"
			if has("avx512f", "avx512bw", "avx512vl", "avx512dq", "bmi2") {
				want = "avx512"
			}
		}
	}
	all := levels()
	if got := all[len(all)-1].String(); got != want {
		t.Errorf("best level %s, want %s", got, want)
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
