package interop

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/dtls/dtlsnet"
)

// The tests of this file have DTLS alone, without ICE, with peers that browsers do
// not use. None of what Debian packages has DTLS 1.3: OpenSSL 3.0, GnuTLS 3.7 and
// mbedTLS 2.28 lack it, and wolfSSL 5.5 is built without it. Browsers have it: see
// TestDTLSWithBrowsers.

// dtlsFiles is a certificate as PEM files, and its fingerprint.
type dtlsFiles struct {
	cert, key string
	print     dtls.Fingerprint
}

func newDTLSFiles(t *testing.T) dtlsFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := dtlsFiles{cert: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem")}
	for name, block := range map[string]*pem.Block{
		f.cert: {Type: "CERTIFICATE", Bytes: der}, f.key: {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if f.print, err = dtls.FingerprintOf("sha-256", der); err != nil {
		t.Fatal(err)
	}
	return f
}

// dtlsPeer is a program that speaks DTLS: the commands of its two roles.
type dtlsPeer struct {
	name           string
	client, server func(port string, f dtlsFiles) []string
	echoes         bool // as a server; else its user types
	types          bool // as a client: its user does
	short          bool // its server takes no ClientHello in fragments
	// What its server picks of ours; 0: AES-128 and X25519, as ours does.
	suite uint16
	group dtls.Group
}

func compilePeer(t *testing.T, source, header, install string, libs ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		missing(t, "a C compiler", "apt-get install gcc libc6-dev")
	}
	if _, err := os.Stat(header); err != nil {
		missing(t, header, install)
	}
	bin := filepath.Join(t.TempDir(), strings.TrimSuffix(source, ".c"))
	args := append([]string{"-Wall", "-o", bin, filepath.Join("peers", source)}, libs...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", source, err, out)
	}
	return bin
}

func dtlsPeers(t *testing.T, name string) dtlsPeer {
	const versions = "NORMAL:-VERS-ALL:+VERS-DTLS1.2"
	switch name {
	case "openssl":
		openssl := program(t, "SLUICE_OPENSSL", "apt-get install openssl", "openssl")
		return dtlsPeer{name: name, types: true,
			client: func(port string, f dtlsFiles) []string {
				return []string{openssl, "s_client", "-dtls1_2", "-connect", "127.0.0.1:" + port, "-cert", f.cert, "-key", f.key, "-quiet", "-verify_quiet"}
			},
			server: func(port string, f dtlsFiles) []string {
				return []string{openssl, "s_server", "-dtls1_2", "-4", "-accept", port, "-cert", f.cert, "-key", f.key, "-verify", "1", "-quiet", "-verify_quiet"}
			}}
	case "gnutls":
		const install = "apt-get install gnutls-bin"
		cli, serv := program(t, "SLUICE_GNUTLS_CLI", install, "gnutls-cli"), program(t, "SLUICE_GNUTLS_SERV", install, "gnutls-serv")
		return dtlsPeer{name: name, types: true, echoes: true,
			client: func(port string, f dtlsFiles) []string {
				return []string{cli, "--udp", "--insecure", "--priority", versions, "--x509certfile", f.cert, "--x509keyfile", f.key, "-p", port, "127.0.0.1"}
			},
			server: func(port string, f dtlsFiles) []string {
				return []string{serv, "--udp", "--echo", "--priority", versions, "--x509certfile", f.cert, "--x509keyfile", f.key, "-p", port, "--require-client-cert"}
			}}
	}
	var bin string
	if name == "mbedtls" {
		bin = compilePeer(t, "dtls_mbedtls.c", "/usr/include/mbedtls/ssl.h", "apt-get install libmbedtls-dev", "-lmbedtls", "-lmbedx509", "-lmbedcrypto")
	} else {
		bin = compilePeer(t, "dtls_wolfssl.c", "/usr/include/wolfssl/ssl.h", "apt-get install libwolfssl-dev", "-lwolfssl")
	}
	role := func(role string) func(string, dtlsFiles) []string {
		return func(port string, f dtlsFiles) []string { return []string{bin, role, port, f.cert, f.key} }
	}
	p := dtlsPeer{name: name, client: role("client"), server: role("server"), echoes: true,
		// Neither of their servers takes a first ClientHello in fragments, as ours is
		// with its share of X25519MLKEM768.
		short: true, suite: dtls.ECDHE_ECDSA_AES256_GCM_SHA384}
	if name == "mbedtls" {
		p.suite, p.group = dtls.ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, dtls.GroupP384
	}
	return p
}

// running is a peer's process: what is typed into it and what it prints.
type running struct {
	in    io.WriteCloser
	lines chan string
	log   *logBuffer
}

func startDTLSPeer(t *testing.T, argv []string) *running {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	endWithParent(cmd)
	r := &running{lines: make(chan string, 1000), log: &logBuffer{}}
	var err error
	if r.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = r.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%v\n%s", argv, r.log.tail(30))
		}
	})
	return r
}

// prints waits for a line with text in it.
func (r *running) prints(t *testing.T, text string) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				t.Fatalf("it ended before it printed %q\n%s", text, r.log.tail(30))
			}
			if strings.Contains(line, text) {
				return
			}
		case <-end:
			t.Fatalf("%q was not printed", text)
		}
	}
}

// checkDTLS asserts what was negotiated; 0 stands for what we prefer.
func checkDTLS(t *testing.T, c *dtlsnet.Conn, version, suite uint16, group dtls.Group) {
	t.Helper()
	if suite == 0 {
		suite = dtls.ECDHE_ECDSA_AES128_GCM_SHA256
	}
	if group == 0 {
		group = dtls.GroupX25519
	}
	s := c.ConnectionState()
	if s.Version != version || s.CipherSuite != suite || s.Group != group || !s.ExtendedMasterSecret {
		t.Errorf("%04x %s %v, extended master secret %v", s.Version, dtls.SuiteName(s.CipherSuite), s.Group, s.ExtendedMasterSecret)
	}
	t.Logf("%04x %s %v", s.Version, dtls.SuiteName(s.CipherSuite), s.Group)
}

func freeUDPPort(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	return fmt.Sprint(pc.LocalAddr().(*net.UDPAddr).Port)
}

func ourDTLS(t *testing.T, peer dtls.Fingerprint) dtlsnet.Config {
	t.Helper()
	cert, err := dtls.GenerateCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return dtlsnet.Config{DTLS: dtls.Config{Certificate: cert, RemoteFingerprints: []dtls.Fingerprint{peer}}}
}

func readDTLS(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, 1<<14)
	c.SetReadDeadline(time.Now().Add(patience))
	for { // s_client and gnutls-cli may say something of their own first
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b[:n]), want) {
			return
		}
	}
}

func TestDTLSPeers(t *testing.T) {
	for _, name := range []string{"openssl", "gnutls", "mbedtls", "wolfssl"} {
		t.Run(name, func(t *testing.T) {
			p := dtlsPeers(t, name)
			t.Run("their server", func(t *testing.T) { p.asServer(t) })
			t.Run("their client", func(t *testing.T) { p.asClient(t) })
		})
	}
}

func (p dtlsPeer) asServer(t *testing.T) {
	f, port := newDTLSFiles(t), freeUDPPort(t)
	r := startDTLSPeer(t, p.server(port, f))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg := ourDTLS(t, f.print)
	if p.short {
		cfg.DTLS.Groups = []dtls.Group{dtls.GroupX25519, dtls.GroupP256, dtls.GroupP384}
	}
	c, err := dtlsnet.Dial(ctx, "udp4", "127.0.0.1:"+port, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkDTLS(t, c, dtls.VersionDTLS12, p.suite, p.group)
	if _, err := c.Write([]byte("sluice says\n")); err != nil {
		t.Fatal(err)
	}
	if p.echoes {
		readDTLS(t, c, "sluice says")
		return
	}
	r.prints(t, "sluice says")
	io.WriteString(r.in, "typed\n")
	readDTLS(t, c, "typed")
}

func (p dtlsPeer) asClient(t *testing.T) {
	f := newDTLSFiles(t)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := dtlsnet.Listen(pc, ourDTLS(t, f.print))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	late := time.AfterFunc(patience, func() { l.Close() })
	defer late.Stop()
	r := startDTLSPeer(t, p.client(fmt.Sprint(pc.LocalAddr().(*net.UDPAddr).Port), f))
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("%v: %+v", err, l.Stats())
	}
	checkDTLS(t, c.(*dtlsnet.Conn), dtls.VersionDTLS12, 0, 0)
	if !p.types {
		readDTLS(t, c, "hello")
		c.Write([]byte("hello yourself\n"))
		r.prints(t, "hello yourself")
		return
	}
	io.WriteString(r.in, "typed\n")
	readDTLS(t, c, "typed")
	c.Write([]byte("sluice says\n"))
	r.prints(t, "sluice says")
}
