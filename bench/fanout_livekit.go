package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

const (
	livekitDir     = "bench/peers/livekit"
	livekitCommand = "github.com/livekit/livekit-server/cmd/server"
	// livekitBuild is how long a build may take, downloads included.
	livekitBuild = 10 * time.Minute
)

// livekitPeer is LiveKit's server, built from the sources that go.mod names.
var livekitPeer = peer{
	name: "livekit",
	version: func() string {
		mod, _, err := livekitModule()
		if err != nil {
			return "unknown"
		}
		return livekitVersion(mod)
	},
	missing: func() string {
		if _, _, err := livekitModule(); err != nil {
			return err.Error()
		}
		if _, err := exec.LookPath("go"); err != nil {
			return "needs Go to build it: no go in PATH"
		}
		return ""
	},
}

// livekitModule returns the directory of its module and what go.mod says.
func livekitModule() (mod []byte, dir string, err error) {
	if dir, err = os.Getwd(); err != nil {
		return nil, "", err
	}
	for {
		at := filepath.Join(dir, filepath.FromSlash(livekitDir))
		if mod, err := os.ReadFile(filepath.Join(at, "go.mod")); err == nil {
			return mod, at, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, "", fmt.Errorf("no %s here or above; run it inside the repository", livekitDir)
		}
		dir = parent
	}
}

var livekitRequire = regexp.MustCompile(`(?m)^(?:require)?\s+github\.com/livekit/livekit-server (v\S+)`)

func livekitVersion(mod []byte) string {
	if m := livekitRequire.FindSubmatch(mod); m != nil {
		return string(m[1])
	}
	return "unknown"
}

// livekitBinary is where the binary is kept. Another list of modules or
// another compiler is another binary.
func livekitBinary() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	mod, dir, err := livekitModule()
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(bytes.Join([][]byte{mod, sums, []byte(runtime.Version())}, nil))
	return filepath.Join(cache, "sluice-bench", fmt.Sprintf("livekit-server-%s-%x", livekitVersion(mod), key[:6])), nil
}

// buildLivekit returns the binary, which it makes first if there is none and
// it may.
func buildLivekit(ctx context.Context, may bool, status func(format string, args ...any)) (string, error) {
	binary, err := livekitBinary()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if !may {
		return "", fmt.Errorf("not built yet, which takes minutes: name it by -peers livekit")
	}
	mod, dir, err := livekitModule()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, livekitBuild)
	defer cancel()
	partial := fmt.Sprintf("%s.%d", binary, os.Getpid())
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", partial, livekitCommand)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	for {
		status("building LiveKit %s, once, which takes minutes: %.0f s", livekitVersion(mod), time.Since(start).Seconds())
		select {
		case err := <-done:
			if err != nil {
				os.Remove(partial)
				return "", fmt.Errorf("does not build: %w: %s", err, said.String())
			}
			return binary, os.Rename(partial, binary)
		case <-time.After(time.Second):
		}
	}
}
