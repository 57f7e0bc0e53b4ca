package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// A native is a peer in C: a small program around a library. It is compiled
// when it is first needed, into the user's cache, and not linked into bench, so
// that bench builds with Go alone.
type native struct {
	name string   // of its source in peers/native, without .c
	libs []string // linker flags
	pkg  string   // what pkg-config calls the library
	deb  string   // the package of Debian that has the headers

	once    sync.Once
	binary  string
	about   string // what it says of its library's version
	problem error
}

var (
	libsrtp = &native{name: "libsrtp", pkg: "libsrtp2", libs: []string{"-lsrtp2"}, deb: "libsrtp2-dev"}
	openssl = &native{name: "openssl", pkg: "openssl", libs: []string{"-lssl", "-lcrypto"}, deb: "libssl-dev"}
	usrsctp = &native{name: "usrsctp", pkg: "usrsctp", libs: []string{"-lusrsctp", "-lpthread"}, deb: "libusrsctp-dev"}
	natives = []*native{libsrtp, openssl, usrsctp}
)

//go:embed peers/native
var nativeSources embed.FS

// prefixVariable and the upper-case name of a peer, as in
// SLUICE_BENCH_LIBSRTP, name a directory with include/ and lib/ of another
// build of its library than the system's.
const prefixVariable = "SLUICE_BENCH_"

func (n *native) peer() peer {
	return peer{
		name: n.name,
		version: func() string {
			n.once.Do(n.build)
			return n.about
		},
		missing: func() string {
			n.once.Do(n.build)
			if n.problem == nil {
				return ""
			}
			return fmt.Sprintf("install a C compiler and %s (bench/setup.sh): %v", n.deb, n.problem)
		},
	}
}

// start runs the program. It inherits files from descriptor 3 on.
func (n *native) start(files ...*os.File) (nativeWorker, error) {
	if n.once.Do(n.build); n.problem != nil {
		return nativeWorker{}, n.problem
	}
	cmd := exec.Command(n.binary)
	cmd.ExtraFiles = files
	w, err := startWorker(cmd)
	return nativeWorker{w}, err
}

func (n *native) build() {
	if n.problem = n.compile(); n.problem != nil {
		return
	}
	out, err := exec.Command(n.binary, "version").Output()
	if err != nil {
		n.problem = fmt.Errorf("%s version: %w", n.name, err)
		return
	}
	if n.about = strings.TrimSpace(string(out)); n.about == "unknown" && os.Getenv(n.prefix()) == "" {
		if out, err := exec.Command("pkg-config", "--modversion", n.pkg).Output(); err == nil {
			n.about = strings.TrimSpace(string(out))
		}
	}
}

func (n *native) prefix() string { return prefixVariable + strings.ToUpper(n.name) }

// flags are those behind the source's name.
func (n *native) flags() []string {
	var flags []string
	if prefix := os.Getenv(n.prefix()); prefix != "" {
		lib := filepath.Join(prefix, "lib")
		flags = append(flags, "-I"+filepath.Join(prefix, "include"), "-L"+lib, "-Wl,-rpath,"+lib)
	}
	return append(flags, n.libs...)
}

// compile makes the binary unless the same source and flags have made it
// before.
func (n *native) compile() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	dir := filepath.Join(cache, "sluice-bench")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	source := map[string][]byte{}
	sum := sha256.New()
	fmt.Fprintln(sum, cc, n.flags())
	for _, file := range []string{"turn.h", n.name + ".c"} {
		b, err := nativeSources.ReadFile("peers/native/" + file)
		if err != nil {
			return err
		}
		source[file] = b
		sum.Write(b)
	}
	n.binary = filepath.Join(dir, n.name+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if st, err := os.Stat(n.binary); err == nil && st.Mode().IsRegular() {
		return nil
	}
	tmp, err := os.MkdirTemp(dir, n.name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for file, b := range source {
		if err := os.WriteFile(filepath.Join(tmp, file), b, 0o644); err != nil {
			return err
		}
	}
	args := append([]string{"-O2", "-o", "it", n.name + ".c"}, n.flags()...)
	cmd := exec.Command(cc, args...)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, firstError(out))
	}
	return os.Rename(filepath.Join(tmp, "it"), n.binary)
}

// firstError is the line of a compiler's output that says most.
func firstError(out []byte) error {
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte("error")) || bytes.Contains(line, []byte("cannot find")) {
			return errors.New(string(bytes.TrimSpace(line)))
		}
	}
	return nil
}
