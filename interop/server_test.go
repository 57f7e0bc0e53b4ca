package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds a wait for something that a peer does.
const patience = 20 * time.Second

// missing skips the test, or fails it where every peer must be there.
func missing(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("SLUICE_INTEROP") == "1" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

// program finds a program, which an environment variable may name.
func program(t testing.TB, variable, install string, names ...string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		return p
	}
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	missing(t, names[0], install)
	return ""
}

var scratch string // TestMain's directory for what the tests build

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "sluice-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	stopBrowsers()
	os.RemoveAll(scratch)
	os.Exit(code)
}

var buildServer = sync.OnceValues(func() (string, error) {
	if p := os.Getenv("SLUICE_SERVER"); p != "" {
		return p, nil
	}
	bin := filepath.Join(scratch, "sluice")
	out, err := exec.Command("go", "build", "-C", "../cmd/sluice", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

// server is a running `sluice serve`.
type server struct {
	url string
	log *logBuffer
}

// logBuffer keeps a child's standard error, bounded, for a failing test.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxLog = 1 << 20 // bytes kept of one child's log; what comes later is dropped

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < maxLog {
		l.b.Write(p)
	}
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tail is the end of the log, for people.
func (l *logBuffer) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startServer runs a server on free ports of loopback until the test ends.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	bin, err := buildServer()
	if err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	s := &server{url: "http://" + addr, log: &logBuffer{}}
	args = append([]string{"serve", "--http", addr, "--udp", "127.0.0.1:0", "--origin", pagesURL(t), "--log-level", "debug"}, args...)
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.WaitDelay = time.Second
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			s.dump(t)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the server ended with %v", err)
			}
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("the server did not end")
		}
		if bad := s.faults(); bad != "" {
			t.Errorf("the server's log:\n%s", bad)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.tail(60))
		}
	})
	eventually(t, "server", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v\n%s", err, s.log)
		default:
		}
		_, err := s.sessions()
		return err
	})
	return s
}

// dump logs what the server counts and what its sessions say.
func (s *server) dump(t testing.TB) {
	metrics, err := s.get("/metrics")
	if err != nil {
		t.Log(err)
	}
	for l := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(l, "sluice_") && !strings.HasSuffix(l, " 0\n") {
			t.Log(strings.TrimSpace(l))
		}
	}
	state, err := s.get("/debug/webrtc?format=json")
	t.Logf("%s %v", state, err)
	kernelDrops(t)
}

// faults are the lines of the log that no run may have.
func (s *server) faults() string {
	var bad []string
	for l := range strings.Lines(s.log.String()) {
		for _, word := range []string{"panic:", "DATA RACE", "invariant", "goroutine 1 ["} {
			if strings.Contains(l, word) {
				bad = append(bad, l)
				break
			}
		}
	}
	return strings.Join(bad, "")
}

func (s *server) get(path string) ([]byte, error) {
	c := http.Client{Timeout: 5 * time.Second}
	r, err := c.Get(s.url + path)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, r.Status)
	}
	return b, err
}

func (s *server) sessions() (int, error) {
	b, err := s.get("/debug/sessions")
	if err != nil {
		return 0, err
	}
	var v struct{ Sessions *int }
	if err := json.Unmarshal(b, &v); err != nil {
		return 0, err
	}
	if v.Sessions == nil {
		return 0, errors.New("no sessions in " + string(b))
	}
	return *v.Sessions, nil
}

// awaitSessions waits until the server holds n sessions.
func (s *server) awaitSessions(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d sessions", n), func() error {
		got, err := s.sessions()
		if err == nil && got != n {
			err = fmt.Errorf("%d sessions", got)
		}
		return err
	})
}

// connected describes the transports whose handshake is done.
func (s *server) connected() (list []string, err error) {
	b, err := s.get("/debug/webrtc?format=json")
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	walk(v, func(m map[string]any) {
		if m["type"] == "transport" && m["dtlsState"] == "connected" {
			list = append(list, fmt.Sprintf("%v %v %v %v as %v", m["tlsVersion"], m["dtlsCipher"], m["tlsGroup"], m["srtpCipher"], m["dtlsRole"]))
		}
	})
	return list, nil
}

// transports logs what the server negotiated with its peers.
func (s *server) transports(t testing.TB) {
	t.Helper()
	eventually(t, "transport at the server", func() error {
		list, err := s.connected()
		if err == nil && len(list) == 0 {
			err = errNotYet
		}
		for _, l := range list {
			t.Logf("server: DTLS %s", l)
		}
		return err
	})
}

// walk calls f with each object in a JSON value.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, x := range v {
			walk(x, f)
		}
	case []any:
		for _, x := range v {
			walk(x, f)
		}
	}
}

// eventually calls f until it returns nil, for as long as patience.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	within(t, patience, what, f)
}

func within(t testing.TB, d time.Duration, what string, f func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(d)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v: %v", what, d, err)
		}
		<-tick.C
	}
}
