// Package vectors reads what tests' vectors are written in.
package vectors

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Hex is the bytes of hexadecimal digits, between which there may be white space.
// Anything else ends the test.
func Hex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
