package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func environment(m map[string]string) func(string) string {
	return func(k string) string { return m[k] }
}

func TestFlagsCountMoreThanTheEnvironment(t *testing.T) {
	o, err := parseOptions([]string{"--http", ":9000", "--ice-lite=false", "--origin", "https://a.example,https://b.example", "--origin", "https://c.example"},
		environment(map[string]string{
			"SLUICE_HTTP": ":1", "SLUICE_UDP": "192.0.2.1:7000", "SLUICE_TOKEN": "t", "SLUICE_ICE_LITE": "true", "SLUICE_MAX_SESSIONS": "5",
			"SLUICE_ANNOUNCE": "203.0.113.7, 2001:db8::1", "SLUICE_ICE_SERVER": "stun:a:1,turn:u:p:w@b:2", "SLUICE_LOG_FORMAT": "json", "SLUICE_LOG_LEVEL": "warn",
		}))
	check(t, err)
	got := fmt.Sprintln(o.http, o.udpAddr, o.udpGiven, o.token, o.iceLite, o.maxSessions, o.announce, o.iceServers, o.logJSON, o.logLevel, o.origins, o.includeLoopback)
	want := ":9000 192.0.2.1:7000 true t false 5 [203.0.113.7 2001:db8::1] [{stun:a:1  } {turn:b:2 u p:w}] true WARN [https://a.example https://b.example https://c.example] false\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDefaults(t *testing.T) {
	o, err := parseOptions(nil, environment(nil))
	check(t, err)
	if o.http != "127.0.0.1:8080" || o.udpAddr.Port() != 7881 || o.udpGiven || !o.includeLoopback || o.token != "" || o.debugPublic || o.logJSON {
		t.Errorf("%+v", o)
	}
}

func TestLoopbackIsIncludedByHTTPsAddress(t *testing.T) {
	for args, want := range map[string]bool{
		"--http 127.0.0.1:1": true, "--http localhost:1": true, "--http [::1]:1": true, "--http :1": false, "--http 192.0.2.1:1": false,
		"--http :1 --include-loopback true": true, "--include-loopback=false": false,
	} {
		o, err := parseOptions(strings.Fields(args), environment(nil))
		check(t, err)
		if o.includeLoopback != want {
			t.Errorf("%s: %v", args, o.includeLoopback)
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for args, want := range map[string]string{
		"--http 8080":               "host:port",
		"--udp 7881":                ":7881",
		"--udp :99999":              "65535",
		"--udp host:1":              "IP address",
		"--announce example.org":    "IP addresses",
		"--origin example.org":      "https://example.org",
		"--origin https://x/":       "https://example.org",
		"--ice-server http://x":     "stun:",
		"--ice-server turn:x":       "user:password",
		"--tls-cert x":              "--tls-key",
		"--shards -1":               "0",
		"--max-sessions 0":          "1",
		"--max-burst-delay 1s":      "500us",
		"--max-wakeup-delay -1ms":   "500us",
		"--max-burst-delay 5":       "max-burst-delay",
		"--max-run-padding 256":     "255",
		"--include-loopback maybe":  "auto",
		"--log-level loud":          "debug",
		"--log-format xml":          "json",
		"--nope":                    "nope",
		"serve":                     "commands come first",
		"--shards x":                "shards",
		"--http 127.0.0.1:1 extra ": "extra",
	} {
		if _, err := parseOptions(strings.Fields(args), environment(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := parseOptions(nil, environment(map[string]string{"SLUICE_SHARDS": "x"})); err == nil || !strings.Contains(err.Error(), "SLUICE_SHARDS") {
		t.Error(err)
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		args        string
		status      int
		out, errOut string
	}{
		{"version", 0, "sluice ", ""},
		{"help", 0, "POST /whip/{stream}", ""},
		{"--help", 0, "--http ADDR", ""},
		{"serve -h", 0, "--http ADDR", ""},
		{"dance", 2, "", "serve, version and help"},
		{"--nope", 2, "", "--help"},
		{"serve --http 256.0.0.1:x --udp 127.0.0.1:0", 1, "", "--http"},
		{"serve --http 127.0.0.1:0 --udp 127.0.0.1:0 --tls-cert /nothing --tls-key /nothing", 1, "", "--tls-cert"},
	} {
		var out, errOut bytes.Buffer
		status := run(t.Context(), strings.Fields(c.args), environment(nil), &out, &errOut)
		if status != c.status || !strings.Contains(out.String(), c.out) || !strings.Contains(errOut.String(), c.errOut) {
			t.Errorf("%s: %d\n%s\n%s", c.args, status, &out, &errOut)
		}
	}
}

// Each flag is in the help, and nothing else is.
func TestHelpIsComplete(t *testing.T) {
	fs := (&options{}).flags(&raw{})
	var names []string
	_, flags, _ := strings.Cut(usageText, "\nFlags")
	flags, _, _ = strings.Cut(flags, "\nHTTP:")
	for _, w := range strings.FieldsFunc(flags, func(c rune) bool { return strings.ContainsRune(" \n,();:", c) }) {
		if n, ok := strings.CutPrefix(w, "--"); ok {
			names = append(names, n)
			if fs.Lookup(n) == nil {
				t.Errorf("--%s is in the help, and no flag", n)
			}
		}
	}
	for _, n := range strings.Fields("http udp announce token origin ice-server ice-lite shards tls-cert tls-key debug-public log-level log-format max-sessions include-loopback max-burst-delay max-wakeup-delay max-run-padding no-gso no-steering snap sped filter xdp") {
		if fs.Lookup(n) == nil || !strings.Contains(" "+strings.Join(names, " ")+" ", " "+n+" ") {
			t.Errorf("--%s is missing", n)
		}
	}
}
