package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	pionsctp "github.com/pion/sctp"

	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sctp/sctpnet"
)

func udpAddr(port int) *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }

// lossyPion is a connected socket that drops what leaves.
type lossyPion struct {
	*net.UDPConn
	l lossyConn
}

func (c *lossyPion) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	lose := c.l.n > 0 && c.l.rng.IntN(c.l.n) == 0
	c.l.mu.Unlock()
	if lose {
		return len(b), nil
	}
	return c.UDPConn.Write(b)
}

// pionEcho sends back what comes, each stream on its own.
func pionEcho(a *pionsctp.Association) {
	for {
		s, err := a.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			buf := make([]byte, 11<<20)
			for {
				n, ppid, err := s.ReadSCTP(buf)
				if errors.Is(err, io.EOF) {
					_ = s.Close() // the peer has closed its side
					return
				}
				if err != nil {
					return
				}
				if _, err := s.WriteSCTP(buf[:n], ppid); err != nil {
					return
				}
			}
		}()
	}
}

// TestSCTPPion talks to pion/sctp, in both roles, with what it has.
func TestSCTPPion(t *testing.T) {
	for _, role := range []string{"server", "client"} {
		for _, kind := range []string{"plain", "idata", "zerosum"} {
			for _, loss := range []int{0, 50} {
				t.Run(fmt.Sprintf("%s/%s/loss=%d", role, kind, loss), func(t *testing.T) {
					testSCTPPion(t, role, kind, loss)
				})
			}
		}
	}
}

func testSCTPPion(t *testing.T, role, kind string, loss int) {
	idata, zero := kind == "idata", kind == "zerosum"
	e := sctpEndpoint(t, sctp.Config{Interleave: idata, DTLS: zero}, loss)
	sock, err := net.DialUDP("udp4", udpAddr(0), e.Addr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	conn := &lossyPion{UDPConn: sock, l: lossyConn{n: loss, rng: e2rng()}}
	options := []pionsctp.AssociationOption{
		pionsctp.WithNetConn(conn), pionsctp.WithEnableInterleaving(idata), pionsctp.WithEnableZeroChecksum(zero),
		pionsctp.WithMaxReceiveBufferSize(16 << 20), pionsctp.WithMaxMessageSize(16 << 20),
	}
	var wg sync.WaitGroup
	var peer *pionsctp.Association
	var peerErr error
	wg.Go(func() {
		if role == "client" {
			var list []pionsctp.ClientOption
			for _, o := range options {
				list = append(list, o)
			}
			peer, peerErr = pionsctp.ClientWithOptions(list...)
			return
		}
		var list []pionsctp.ServerOption
		for _, o := range options {
			list = append(list, o)
		}
		peer, peerErr = pionsctp.ServerWithOptions(list...)
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var c *sctpnet.Conn
	if role == "client" {
		c, err = e.Accept(ctx)
	} else {
		c, err = e.Dial(ctx, sock.LocalAddr())
	}
	if err != nil {
		t.Fatal(err)
	}
	if wg.Wait(); peerErr != nil {
		t.Fatal(peerErr)
	}
	defer peer.Close()
	go pionEcho(peer)
	if st := c.Stats(); st.Interleaved != idata || st.ZeroChecksum != zero || !st.ForwardTSNSupported || !st.StreamResetSupported {
		t.Errorf("%+v", st)
	}
	sctpOrderedEchoes(t, c)
	sctpReset(t, c, 3)
	if loss == 0 {
		sctpLarge(t, c, 10<<20)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
