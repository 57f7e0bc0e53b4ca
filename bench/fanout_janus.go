package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
)

// janusPeer is the Debian package.
var janusPeer = peer{
	name: "janus",
	version: func() string {
		// It exits with 1 after its version, whatever it is asked.
		out, _ := exec.Command("janus", "--help").CombinedOutput()
		return janusVersion(string(out))
	},
	missing: func() string {
		if _, err := exec.LookPath("janus"); err != nil {
			return "not installed: no janus in PATH; see bench/setup.sh"
		}
		for _, lib := range []string{"plugins/libjanus_videoroom.so", "transports/libjanus_pfunix.so"} {
			if _, err := janusLibrary(lib); err != nil {
				return "without " + lib
			}
		}
		if _, err := ownAddress(); err != nil {
			return "libnice gathers nothing on the loopback interface, and " + err.Error()
		}
		return ""
	},
}

var janusSays = regexp.MustCompile(`Janus version: \d+ \(([^)]+)\)`)

func janusVersion(help string) string {
	if m := janusSays.FindStringSubmatch(help); m != nil {
		return m[1]
	}
	return "unknown"
}

// janusLibrary finds a file of Janus's directory of libraries.
func janusLibrary(rel string) (string, error) {
	var found []string
	for _, dir := range []string{"/usr/lib/*/janus", "/usr/lib/janus", "/usr/local/lib/janus", "/opt/janus/lib/janus"} {
		list, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(rel)))
		if err != nil {
			return "", err
		}
		found = append(found, list...)
	}
	if len(found) == 0 {
		return "", exec.ErrNotFound
	}
	return found[0], nil
}
