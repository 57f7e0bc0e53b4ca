package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

func TestEveryKindOfProfileIsWritten(t *testing.T) {
	r := &run{profile: t.TempDir(), kinds: profileKinds}
	if err := r.profiled("s", "a/b", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s_a_b.all.pprof", "s_a_b.all.allocs.before.pprof", "s_a_b.all.allocs.pprof", "s_a_b.all.mutex.pprof", "s_a_b.all.block.pprof"} {
		b, err := os.ReadFile(filepath.Join(r.profile, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := gzip.NewReader(bytes.NewReader(b)); err != nil {
			t.Errorf("%s is no profile: %v", name, err)
		}
	}
	if _, err := parseKinds("cpu,heap"); err == nil {
		t.Error("an unknown kind is taken")
	}
	var out, errs bytes.Buffer
	if status := bench([]string{"-profiles", "x", "micro"}, &out, &errs); status != 2 {
		t.Errorf("status %d for an unknown kind", status)
	}
}
