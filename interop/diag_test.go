package interop

import (
	"os"
	"strings"
	"testing"
)

// kernelDrops logs the UDP sockets whose receive buffer overflowed: what is
// lost there neither side sent wrongly.
func kernelDrops(t testing.TB) {
	t.Helper()
	for _, f := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // not Linux
		}
		for l := range strings.Lines(string(b)) {
			if w := strings.Fields(l); len(w) > 12 && w[12] != "0" && w[1] != "local_address" {
				t.Logf("kernel: socket %s dropped %s", w[1], w[12])
			}
		}
	}
}
