//go:build !purego

package crypto

import "testing"

// As TestBestLevelIsFound, for SHA-1.
func TestBestHashLevelIsFound(t *testing.T) {
	has := cpuHas(t)
	if hasSHA != has("sha_ni", "avx") {
		t.Errorf("SHA instructions: %v", hasSHA)
	}
	want := "stdlib"
	switch {
	case has("avx2", "avx512f", "avx512bw", "avx512vl", "avx512dq"):
		want = "avx512"
	case has("sha_ni", "avx2") && intel:
		want = "sha+avx2"
	case has("sha_ni", "avx"):
		want = "sha"
	case has("avx2"):
		want = "avx2"
	}
	all := hashLevels()
	if got := all[len(all)-1].String(); got != want {
		t.Errorf("best hash level %s, want %s", got, want)
	}
	for _, l := range all {
		if got := chooseHash(l.String()); got != l {
			t.Errorf("%v chosen for %v", got, l)
		}
	}
	if chooseHash("nonsense") != all[len(all)-1] {
		t.Error("not the best hash level by default")
	}
}
