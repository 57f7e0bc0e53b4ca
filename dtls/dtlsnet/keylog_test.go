package dtlsnet

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicertc/sluice/dtls"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")
}

// The format of SSLKEYLOGFILE: a label, the client's random, a secret, in hexadecimal,
// a space between; both sides write the same.
func TestKeyLogFile(t *testing.T) {
	for v, want := range map[uint16][]string{
		dtls.VersionDTLS12: {"CLIENT_RANDOM"},
		dtls.VersionDTLS13: {
			"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "EXPORTER_SECRET",
			"SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0",
		},
	} {
		var logs [2]lockedBuffer
		ccfg, scfg := configs(t, func(c, s *Config) {
			c.DTLS.MaxVersion, c.KeyLog, s.KeyLog = v, &logs[0], &logs[1]
		})
		l := listen(t, scfg)
		client := dial(t, l, ccfg)
		exchange(t, client, accept(t, l))
		secret := map[uint16]int{dtls.VersionDTLS12: 96, dtls.VersionDTLS13: 64}[v]
		form := regexp.MustCompile(fmt.Sprintf("^[A-Z_0]+ [0-9a-f]{64} [0-9a-f]{%d}$", secret))
		var labels []string
		ours, theirs := logs[0].lines(), logs[1].lines()
		slices.Sort(ours)
		slices.Sort(theirs)
		for _, line := range ours {
			if !form.MatchString(line) {
				t.Errorf("line %q", line)
			}
			label, _, _ := strings.Cut(line, " ")
			labels = append(labels, label)
		}
		if !slices.Equal(labels, want) || !slices.Equal(ours, theirs) {
			t.Errorf("%x: %q\n%q", v, ours, theirs)
		}
	}
}
