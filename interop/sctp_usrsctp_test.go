package interop

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sctp/sctpnet"
)

// usrsctpProgram compiles the peer, once.
var usrsctpProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usrsctp")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "echo")
	out, err := exec.Command("cc", "-O1", "-o", exe, "peers/sctp_usrsctp.c", "-lusrsctp", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

// usrsctp starts the peer and returns its UDP port.
func usrsctp(t *testing.T, loss int, args ...string) (port int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("usrsctp is compiled on Linux")
	}
	exe, err := usrsctpProgram()
	if err != nil {
		missing(t, "usrsctp", "apt-get install gcc libusrsctp-dev: "+err.Error())
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "LOSS="+strconv.Itoa(loss))
	cmd.Stderr = os.Stderr
	endWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		port, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestSCTPUsrsctp talks to usrsctp over UDP (RFC 6951), in both roles.
func TestSCTPUsrsctp(t *testing.T) {
	for _, role := range []string{"server", "client"} {
		for _, idata := range []bool{false, true} {
			for _, loss := range []int{0, 50} {
				t.Run(fmt.Sprintf("%s/idata=%v/loss=%d", role, idata, loss), func(t *testing.T) {
					e := sctpEndpoint(t, sctp.Config{Interleave: idata, MaxStreams: 100}, loss)
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					var kind []string
					if idata {
						kind = []string{"idata"}
					}
					var c *sctpnet.Conn
					var err error
					if role == "server" {
						port := usrsctp(t, loss, append([]string{"server"}, kind...)...)
						c, err = e.Dial(ctx, udpAddr(port))
					} else {
						_, port, _ := strings.Cut(e.Addr().String(), ":")
						usrsctp(t, loss, append([]string{"client", port}, kind...)...)
						c, err = e.Accept(ctx)
					}
					if err != nil {
						t.Fatal(err)
					}
					if st := c.Stats(); st.Interleaved != idata || !st.ForwardTSNSupported || !st.StreamResetSupported || st.ZeroChecksum {
						t.Errorf("%+v", st)
					}
					sctpEchoes(t, c)
					// When an answer to a reset is lost, usrsctp 0.9.5 may do it twice:
					// who has used the id again by then finds it closed.
					then := uint16(3)
					if loss > 0 {
						then = 40
					}
					sctpReset(t, c, then)
					sctpPartial(t, c, loss > 0)
					sctpClosed(t, c, 21)
					if loss == 0 {
						sctpLarge(t, c, 10<<20)
					}
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}
