package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/dtls/dtlsnet"
)

// Pion has connection IDs in DTLS 1.2 (RFC 9146): each side's records bear the ID
// that the other asked for, of another length each way, and none where it is empty.
func TestDTLSConnectionIDsWithPion(t *testing.T) {
	for _, tc := range []struct{ ours, theirs int }{{8, 5}, {8, 0}, {0, 5}, {0, 0}} {
		for _, client := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d,%d,client=%v", tc.ours, tc.theirs, client), func(t *testing.T) {
				f := newDTLSFiles(t)
				cert, err := tls.LoadX509KeyPair(f.cert, f.key)
				if err != nil {
					t.Fatal(err)
				}
				pion := &piondtls.Config{
					Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true,
					ClientAuth:           piondtls.RequireAnyClientCert,
					ExtendedMasterSecret: piondtls.RequireExtendedMasterSecret,
				}
				if tc.ours+tc.theirs > 0 {
					pion.ConnectionIDGenerator = piondtls.OnlySendCIDGenerator()
				}
				if tc.theirs > 0 {
					pion.ConnectionIDGenerator = piondtls.RandomCIDGenerator(tc.theirs)
				}
				cfg := ourDTLS(t, f.print)
				cfg.DTLS.MaxVersion = dtls.VersionDTLS12
				cfg.ConnectionIDLen = tc.ours
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				ours, theirs := pionPair(t, ctx, client, pion, cfg)
				defer theirs.Close()
				defer ours.Close()
				checkDTLS(t, ours, dtls.VersionDTLS12, 0, 0)
				s := ours.ConnectionState()
				// We offer nothing when we want nothing: then neither side has one.
				want := tc.theirs
				if tc.ours == 0 {
					want = 0
				}
				if len(s.LocalConnectionID) != tc.ours || len(s.PeerConnectionID) != want {
					t.Errorf("connection IDs %x and %x", s.LocalConnectionID, s.PeerConnectionID)
				}
				b := make([]byte, 100)
				theirs.SetDeadline(time.Now().Add(patience))
				ours.SetDeadline(time.Now().Add(patience))
				for range 3 {
					if _, err := ours.Write([]byte("to Pion")); err != nil {
						t.Fatal(err)
					}
					if n, err := theirs.Read(b); err != nil || string(b[:n]) != "to Pion" {
						t.Fatal(err, string(b[:n]))
					}
					if _, err := theirs.Write([]byte("from Pion")); err != nil {
						t.Fatal(err)
					}
					if n, err := ours.Read(b); err != nil || string(b[:n]) != "from Pion" {
						t.Fatal(err, string(b[:n]))
					}
				}
			})
		}
	}
}

// pionPair shakes hands; client is our role.
func pionPair(t *testing.T, ctx context.Context, client bool, pion *piondtls.Config, cfg dtlsnet.Config) (*dtlsnet.Conn, *piondtls.Conn) {
	t.Helper()
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	if client {
		theirs, err := piondtls.Server(server, dialer.LocalAddr(), pion)
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- theirs.HandshakeContext(ctx) }()
		ours, err := dtlsnet.ClientPacket(dialer, server.LocalAddr(), cfg)
		if err == nil {
			err = ours.Handshake(ctx)
		}
		if other := <-done; err != nil || other != nil {
			t.Fatal(err, other)
		}
		return ours, theirs
	}
	l, err := dtlsnet.Listen(server, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	theirs, err := piondtls.Client(dialer, server.LocalAddr(), pion)
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { l.Close() })
	defer late.Stop()
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return ours.(*dtlsnet.Conn), theirs
}
