//go:build !purego

package crypto

import "testing"

// As TestBestLevelIsFound, for the instructions that have no level.
func TestSHAInstructionsAreFound(t *testing.T) {
	if want := cpuHas(t)("sha_ni"); sha1NI != want {
		t.Errorf("SHA instructions: %v, want %v", sha1NI, want)
	}
}
