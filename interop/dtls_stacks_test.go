package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	sluice "github.com/sluicertc/sluice/webrtc"
)

// Stacks that speak DTLS 1.2 only, in both of our roles. Each has data channels
// echoed; version, cipher and group are asserted.
func TestDTLSWithStacks(t *testing.T) {
	const openssl = "apt-get install python3-aiortc"
	for _, c := range []struct {
		name   string
		argv   func(t *testing.T) []string
		cipher string
		group  string
	}{
		{"aiortc", func(t *testing.T) []string {
			return []string{python(t, "import aiortc", openssl), "peers/aiortc_peer.py"}
		}, aes128In12, "X25519"},
		{"werift", func(t *testing.T) []string { return []string{npm(t, "werift"), "peers/werift.mjs"} }, aes128In12, "X25519"},
		{"libdatachannel", func(t *testing.T) []string { return []string{npm(t, "node-datachannel"), "peers/libdatachannel.mjs"} }, aes128In12, "P-256"},
		{"pion", nil, aes128In12, "X25519"},
	} {
		for i, role := range []sluice.DTLSRole{sluice.DTLSClient, sluice.DTLSServer} {
			ours := []string{"client", "server"}[i]
			t.Run(fmt.Sprintf("%s, we as %s", c.name, ours), func(t *testing.T) {
				h := startHost(t, sluice.Config{DTLSRole: role})
				want := handshook{v12, c.cipher, c.group, ours}
				if c.argv == nil {
					h.echoPion(t, want)
				} else {
					h.echoStack(t, want, c.argv(t))
				}
			})
		}
	}
}

func (h *host) expect(t *testing.T, want handshook) {
	t.Helper()
	if got := h.transport(t); got != want {
		t.Errorf("we negotiated %+v, not %+v", got, want)
	}
}

func (h *host) echoPion(t *testing.T, want handshook) {
	p := newPion(t, &server{url: h.url})
	p.add(pion.MimeTypeOpus)
	c := p.channel("ordered", nil)
	p.connect()
	h.expect(t, want)
	c.echo(t)
}

func (h *host) echoStack(t *testing.T, want handshook, argv []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], h.url+"/echo")...)
	endWithParent(cmd)
	cmd.WaitDelay = time.Second
	log, stdout := &logBuffer{}, &logBuffer{}
	cmd.Stdout, cmd.Stderr = stdout, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Logf("%v\n%s", argv, log.tail(30))
		}
	}()
	h.expect(t, want)
	err := cmd.Wait()
	var o outcome
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if e := json.Unmarshal([]byte(lines[len(lines)-1]), &o); err != nil || e != nil || len(o.Channels) == 0 {
		t.Fatalf("%v, %v: %s", err, e, stdout)
	}
	for label, e := range o.Channels {
		e.check(t, label)
	}
}
