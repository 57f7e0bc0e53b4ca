package interop

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// Signatures, key agreement, ML-KEM, ChaCha20-Poly1305 and HMAC as DTLS uses them
// are unexported: package dtls runs the vectors, and this gives them to it.
func TestWycheproofOfDTLS(t *testing.T) {
	cmd := exec.Command("go", "test", "-C", "..", "-count=1", "-run=^TestWycheproof$", "-v", "./dtls")
	cmd.Env = append(os.Environ(), wycheproofDir+"="+fetchWycheproof(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ran := regexp.MustCompile(`(\d+) cases of Wycheproof`).FindSubmatch(out)
	if ran == nil {
		t.Fatalf("no case was run:\n%s", out)
	}
	if n, _ := strconv.Atoi(string(ran[1])); n < 4000 {
		t.Errorf("%d cases were run", n)
	}
	t.Logf("%s", ran[0])
}
