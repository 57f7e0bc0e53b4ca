package main

import (
	"os"
	"testing"
)

// needsProcesses leaves a test out that starts peers as processes and so takes
// wall time, unless SLUICE_BENCH=1 asks for it, as CI does.
func needsProcesses(t *testing.T) {
	t.Helper()
	if os.Getenv("SLUICE_BENCH") != "1" {
		t.Skip("starts peers as processes; set SLUICE_BENCH=1 to run it")
	}
}

// needs reports whether a peer is here: why says what is missing. In CI, which
// installs everything (SLUICE_INTEROP=1), that is a failure.
func needs(t *testing.T, name, why string) bool {
	t.Helper()
	switch {
	case why == "":
		return true
	case os.Getenv("SLUICE_INTEROP") == "1":
		t.Errorf("%s: %s", name, why)
	default:
		t.Logf("%s: %s", name, why)
	}
	return false
}

// needsPeer ends a test that is about one peer, if that is not here.
func needsPeer(t *testing.T, name, why string) {
	t.Helper()
	if !needs(t, name, why) {
		t.SkipNow()
	}
}
