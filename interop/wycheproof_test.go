package interop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/crypto"
)

// The vectors of Project Wycheproof as their module has them. It is fetched, as
// the standard library's tests do, and not required: it asks for a newer Go
// than the library does, and no build needs its 26 MB.
const (
	wycheproofModule = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
	wycheproofSum    = "h1:pNbL2nztRsWfW/ispAwsvcDFxs9Id38uIsR2/Up5G2c="
)

// Names of a process that runs the cases at one level.
const (
	wycheproofDir  = "SLUICE_TEST_WYCHEPROOF"
	wycheproofRan  = "cases of Wycheproof at level"
	levelsOfCrypto = "generic aesni vaes avx512 pmull eor3"
	levelsOfSHA1   = "stdlib avx2 sha sha+avx2 avx512"
)

func fetchWycheproof(t *testing.T) (dir string) {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", wycheproofModule)
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if json.Unmarshal(out, &module) != nil || err != nil {
		missing(t, wycheproofModule, fmt.Sprintf("it comes from the Go module proxy: %v %s", err, module.Error))
	}
	if module.Sum != wycheproofSum {
		t.Fatalf("%s has the sum %s, want %s", wycheproofModule, module.Sum, wycheproofSum)
	}
	return filepath.Join(module.Dir, "testvectors_v1")
}

// The level of the kernels is chosen once, when a process starts: each gets one
// of its own. Those that the processor does not have are told and left out, the
// one it would choose is not.
func TestWycheproof(t *testing.T) {
	dir := os.Getenv(wycheproofDir)
	if dir != "" {
		t.Logf("%d %s %s, SHA-1 %s", wycheproofGCM(t, dir)+wycheproofHMAC(t, dir), wycheproofRan, crypto.Level(), crypto.HashLevel())
		return
	}
	dir = fetchWycheproof(t)
	forced := map[string]bool{}
	for _, level := range strings.Fields(levelsOfCrypto) {
		for _, hash := range strings.Fields(levelsOfSHA1) {
			name := level + ", SHA-1 " + hash
			cmd := exec.Command(os.Args[0], "-test.run=^TestWycheproof$", "-test.v")
			cmd.Env = append(os.Environ(), wycheproofDir+"="+dir, crypto.LevelVariable+"="+level, crypto.HashVariable+"="+hash)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			_, used, ok := strings.Cut(string(out), wycheproofRan+" ")
			if used, _, _ = strings.Cut(used, "\n"); !ok {
				t.Errorf("%s: no case was run:\n%s", name, out)
			}
			forced[used] = true
		}
	}
	t.Logf("ran at: %v", forced)
	if best := crypto.Level() + ", SHA-1 " + crypto.HashLevel(); !forced[best] {
		t.Errorf("never at %s, which this processor has", best)
	}
}

type wycheproofGroup struct {
	IVSize, KeySize, TagSize int // bits
	Tests                    []struct {
		TcID                       int
		Key, IV, AAD, Msg, CT, Tag hexBytes
		Comment, Result            string
	}
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func wycheproofGroups(t *testing.T, dir, name string) []wycheproofGroup {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ TestGroups []wycheproofGroup }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.TestGroups
}

// wycheproofGCM runs the cases whose IV has 96 bits, whose tag has 128 and whose
// key is no AES-192 key, all in one batch, in place and apart.
func wycheproofGCM(t *testing.T, dir string) (cases int) {
	var seals, opens, inPlace []crypto.GCMJob
	var valid []bool
	var plain, sealed [][]byte
	var names []string
	for _, g := range wycheproofGroups(t, dir, "aes_gcm_test.json") {
		if g.IVSize != 96 || g.TagSize != 128 || g.KeySize == 192 {
			continue
		}
		for _, c := range g.Tests {
			key, err := crypto.NewGCMKey(c.Key)
			if err != nil {
				t.Fatal(err)
			}
			p, s := []byte(c.Msg), append(bytes.Clone(c.CT), c.Tag...)
			j := crypto.GCMJob{Key: key, Nonce: [12]byte(c.IV), AAD: c.AAD}
			j.Src, j.Dst = p, make([]byte, len(s))
			seals = append(seals, j)
			j.Src, j.Dst = s, make([]byte, len(p))
			opens = append(opens, j)
			j.Src = bytes.Clone(s)
			j.Dst = j.Src[:len(p)]
			inPlace = append(inPlace, j)
			plain, sealed, valid = append(plain, p), append(sealed, s), append(valid, c.Result == "valid")
			names = append(names, fmt.Sprintf("aes_gcm_test %d %s", c.TcID, c.Comment))
		}
	}
	crypto.SealBatch(seals)
	crypto.OpenBatch(opens)
	crypto.OpenBatch(inPlace)
	for i, name := range names {
		if !seals[i].OK || bytes.Equal(seals[i].Dst, sealed[i]) != valid[i] {
			t.Errorf("%s: sealed %x", name, seals[i].Dst)
		}
		for _, j := range []crypto.GCMJob{opens[i], inPlace[i]} {
			switch {
			case j.OK != valid[i]:
				t.Errorf("%s: opened %v", name, j.OK)
			case valid[i] && !bytes.Equal(j.Dst, plain[i]):
				t.Errorf("%s: opened to %x", name, j.Dst)
			case !valid[i] && len(plain[i]) >= 4 && bytes.Contains(j.Dst, plain[i][:4]):
				t.Errorf("%s: refused, but left %x", name, j.Dst)
			}
		}
	}
	if len(names) < 133 {
		t.Errorf("only %d cases of AES-GCM", len(names))
	}
	return len(names)
}

// wycheproofHMAC runs the cases whose key fits one block and whose message has
// the four bytes that a job takes apart from the packet, one by one and all in
// one batch.
func wycheproofHMAC(t *testing.T, dir string) (cases int) {
	var seals, opens []crypto.CMJob
	var valid []bool
	var tags [][]byte
	var names []string
	for _, g := range wycheproofGroups(t, dir, "hmac_sha1_test.json") {
		for _, c := range g.Tests {
			n := len(c.Msg) - 4
			if n < 0 || len(c.Key) > 64 {
				continue
			}
			key, err := crypto.NewCMKey(make([]byte, 16), c.Key)
			if err != nil {
				t.Fatal(err)
			}
			j := crypto.CMJob{Key: key, Header: n, TagLen: g.TagSize / 8, Trailer: [4]byte(c.Msg[n:])}
			j.Dst = append(bytes.Clone(c.Msg[:n]), make([]byte, len(c.Tag))...)
			seals = append(seals, j)
			j.Src, j.Dst = append(bytes.Clone(c.Msg[:n]), c.Tag...), nil
			opens = append(opens, j)
			tags, valid = append(tags, c.Tag), append(valid, c.Result == "valid")
			names = append(names, fmt.Sprintf("hmac_sha1_test %d %s", c.TcID, c.Comment))
		}
	}
	for _, batch := range []int{1, len(names)} {
		for i := 0; i < len(names); i += batch {
			crypto.SealCMBatch(seals[i : i+batch])
			crypto.OpenCMBatch(opens[i : i+batch])
		}
		for i, name := range names {
			if got := seals[i].Dst[seals[i].Header:]; bytes.Equal(got, tags[i]) != valid[i] {
				t.Errorf("%s, batches of %d: tag %x", name, batch, got)
			}
			if opens[i].OK != valid[i] {
				t.Errorf("%s, batches of %d: authentic %v", name, batch, opens[i].OK)
			}
			clear(seals[i].Dst[seals[i].Header:])
			opens[i].OK = false
		}
	}
	if len(names) < 102 {
		t.Errorf("only %d cases of HMAC-SHA1", len(names))
	}
	return len(names)
}
