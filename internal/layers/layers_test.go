// Package layers holds the test that keeps the import order of the library:
// a package imports only packages of lower rank, never a sibling.
package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sluicertc/sluice"

// ranks, lowest first. A name ending in /* stands for the packages below it.
var ranks = [][]string{
	{"internal/mono", "internal/deadline", "internal/chain"},
	{"crypto", "rtp", "rtcp", "codec/*", "stun", "sdp", "bpf"},
	{"srtp", "ice", "dtls", "sctp", "bwe", "sockets"},
	{"dtls/dtlsnet", "sctp/sctpnet"},
	{"dataplane"},
	{"webrtc"},
	{"media", "sfu"},
	{"sfu/whip", "cmd/*", "bench", "interop"},
}

// testOnly packages may be imported by tests, and by each other.
var testOnly = []string{"internal/netem", "internal/simtest", "internal/vectors", "internal/layers"}

// cores are the protocol machines: no sockets, no files, no locks, no clock.
var cores = []string{"rtp", "rtcp", "codec/*", "stun", "sdp", "srtp", "ice", "dtls", "sctp", "bwe"}

// allowed are the modules the library may depend on.
var allowed = []string{
	"github.com/cilium/ebpf", "golang.org/x/sys", "github.com/klauspost/cpuid/v2",
	"github.com/minio/sha256-simd", "golang.org/x/crypto", "golang.org/x/net",
}

func match(pattern, pkg string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(pkg, dir+"/")
	}
	return pattern == pkg
}

func rankOf(pkg string) int {
	return slices.IndexFunc(ranks, func(rank []string) bool {
		return slices.ContainsFunc(rank, func(p string) bool { return match(p, pkg) })
	})
}

// goFile is a source file of the library and what it imports.
type goFile struct {
	path, pkg string
	test      bool
	imports   []string
	source    string
}

func sources(t *testing.T) []goFile {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []goFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Nested modules answer for themselves.
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return fs.SkipDir
			}
			if name := d.Name(); name == ".git" || name == "testdata" || name == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, b, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, filepath.Dir(path))
		f := goFile{path: path, pkg: filepath.ToSlash(rel), test: strings.HasSuffix(path, "_test.go"), source: string(b)}
		for _, i := range parsed.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no sources found: the test looks in the wrong place")
	}
	return files
}

func TestPackagesImportOnlyLowerRanks(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testOnly, f.pkg) {
			continue
		}
		rank := rankOf(f.pkg)
		if rank < 0 {
			t.Errorf("%s: package %s has no rank: add it to ranks, or do without it", f.path, f.pkg)
			continue
		}
		for _, i := range f.imports {
			pkg, ours := strings.CutPrefix(i, module+"/")
			if !ours {
				continue
			}
			if slices.Contains(testOnly, pkg) {
				t.Errorf("%s imports %s, which is for tests", f.path, pkg)
			} else if r := rankOf(pkg); r < 0 || r >= rank {
				t.Errorf("%s imports %s, which is not of a lower rank", f.path, pkg)
			}
		}
	}
}

func TestCoresAreSansIO(t *testing.T) {
	forbidden := []string{"net", "os", "sync", "sync/atomic", "time/tzdata", "net/http", "log", "log/slog"}
	for _, f := range sources(t) {
		if f.test || !slices.ContainsFunc(cores, func(p string) bool { return match(p, f.pkg) }) {
			continue
		}
		for _, i := range f.imports {
			if slices.Contains(forbidden, i) {
				t.Errorf("%s imports %s: a core has no sockets, files or locks", f.path, i)
			}
		}
		for _, call := range []string{"time.Now(", "time.Since(", "time.Sleep(", "time.After(", "mono.Now(", "\tgo func"} {
			if strings.Contains(f.source, call) {
				t.Errorf("%s has %q: a core reads no clock and starts no goroutine", f.path, strings.TrimSpace(call))
			}
		}
	}
}

func TestDependenciesAreTheAllowedOnes(t *testing.T) {
	for _, f := range sources(t) {
		for _, i := range f.imports {
			first, _, _ := strings.Cut(i, "/")
			if !strings.Contains(first, ".") || i == module || strings.HasPrefix(i, module+"/") {
				continue
			}
			if !slices.ContainsFunc(allowed, func(m string) bool { return i == m || strings.HasPrefix(i, m+"/") }) {
				t.Errorf("%s imports %s: the library depends on %v and nothing else", f.path, i, allowed)
			}
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, f := range sources(t) {
		if n := strings.Count(f.source, "\n"); n > 600 && !f.test && !strings.Contains(f.source, "Code generated") {
			t.Errorf("%s has %d lines; one idea a file, 600 lines at most", f.path, n)
		}
	}
}
