package dtls_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// interopDeadline bounds a whole case. It is generous: nothing here measures.
const interopDeadline = 20 * time.Second

func needOpenSSL(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err == nil {
		return path
	}
	if os.Getenv("SLUICE_INTEROP") == "1" {
		t.Fatal("SLUICE_INTEROP=1 and there is no openssl: install the openssl command")
	}
	t.Skip("no openssl in PATH: install the openssl command to run this test")
	return ""
}

// identity is a self-signed certificate for the peer, in files, and parsed.
type identity struct {
	cert, key string
	der       []byte
	signer    crypto.Signer
}

func newIdentity(t *testing.T, key crypto.Signer) identity {
	t.Helper()
	tmpl := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), der, key}
	for name, block := range map[string]*pem.Block{
		id.cert: {Type: "CERTIFICATE", Bytes: der}, id.key: {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func ecdsaIdentity(t *testing.T, c elliptic.Curve) identity {
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newIdentity(t, key)
}

func rsaIdentity(t *testing.T) identity {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newIdentity(t, key)
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is an openssl s_server or s_client.
type process struct {
	out   output
	stdin io.WriteCloser
}

func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(needOpenSSL(t), args...)
	p := &process{}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// link drives a Conn over a loopback socket.
type link struct {
	t    *testing.T
	c    *dtls.Conn
	rec  *dtls.Records
	sock *net.UDPConn
	peer *net.UDPAddr
	end  time.Time

	events []dtls.Event
	data   bytes.Buffer
}

func (l *link) connected() bool {
	return len(l.events) > 0 && l.events[0] == dtls.Event(dtls.Connected{})
}

func (l *link) flush() {
	buf := make([]byte, 2048)
	for n := l.c.Transmit(mono.Now(), buf); n > 0; n = l.c.Transmit(mono.Now(), buf) {
		l.sock.WriteToUDP(buf[:n], l.peer)
	}
	plain := make([]byte, 256)
	for n, typ := l.c.TransmitRecord(mono.Now(), plain); n > 0; n, typ = l.c.TransmitRecord(mono.Now(), plain) {
		k, err := l.rec.SealAs(buf, typ, plain[:n])
		if err != nil {
			l.t.Fatal(err)
		}
		l.sock.WriteToUDP(buf[:k], l.peer)
	}
	for e, ok := l.c.Event(); ok; e, ok = l.c.Event() {
		l.events = append(l.events, e)
	}
	if l.connected() && l.rec == nil {
		l.rec = l.c.Records()
		for n := l.c.EarlyData(buf); n > 0; n = l.c.EarlyData(buf) {
			l.data.Write(buf[:n])
		}
	}
}

// run serves until until is content, and fails the test at the deadline.
func (l *link) run(what string, p *process, until func() bool) {
	l.t.Helper()
	buf := make([]byte, 65536)
	for l.flush(); !until(); l.flush() {
		if time.Now().After(l.end) {
			l.t.Fatalf("%s: no success in %v; events %v, stats %+v, openssl said:\n%s",
				what, interopDeadline, l.events, l.c.Stats(), p.out.String())
		}
		l.sock.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, from, err := l.sock.ReadFromUDP(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			l.c.HandleTimeout(mono.Now())
			continue
		}
		if err != nil { // ECONNREFUSED: the peer is not up yet
			continue
		}
		l.peer = from
		l.receive(buf[:n])
	}
}

func (l *link) receive(b []byte) {
	if l.rec == nil {
		l.c.HandlePacket(mono.Now(), b)
		return
	}
	for len(b) > 0 {
		rec, rest, ok := dtls.SplitRecord(b)
		if !ok {
			return
		}
		b = rest
		if !l.rec.Owns(rec) {
			l.c.HandlePacket(mono.Now(), rec)
			continue
		}
		n, typ, err := l.rec.Open(rec, rec)
		if err != nil {
			continue
		}
		if typ == dtls.ContentApplicationData {
			l.data.Write(rec[:n])
		} else {
			l.c.HandleRecord(mono.Now(), typ, rec[:n])
		}
	}
}

func (l *link) send(msg string) {
	buf := make([]byte, len(msg)+dtls.RecordOverhead)
	n, err := l.rec.Seal(buf, []byte(msg))
	if err != nil {
		l.t.Fatal(err)
	}
	l.sock.WriteToUDP(buf[:n], l.peer)
}

func newLink(t *testing.T, cfg dtls.Config) *link {
	t.Helper()
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	c, err := dtls.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &link{t: t, c: c, sock: sock, end: time.Now().Add(interopDeadline)}
}

var keyingMaterial = regexp.MustCompile(`Keying material: ([0-9A-F]+)`)

// converse checks keys, data both ways, and the close, once connected.
func (l *link) converse(p *process, weClose bool) {
	l.t.Helper()
	l.run("keying material", p, func() bool { return keyingMaterial.MatchString(p.out.String()) })
	want := keyingMaterial.FindStringSubmatch(p.out.String())[1]
	profile := l.c.State().SRTPProfile
	got, err := l.c.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(profile.KeyLen()+profile.SaltLen()))
	if err != nil || hex.EncodeToString(got) != strings.ToLower(want) {
		l.t.Fatalf("keying material %x, openssl has %s", got, want)
	}
	l.send("ping from sluice\n")
	l.run("data to openssl", p, func() bool { return strings.Contains(p.out.String(), "ping from sluice") })
	fmt.Fprintln(p.stdin, "pong from openssl")
	l.run("data from openssl", p, func() bool { return strings.Contains(l.data.String(), "pong from openssl") })
	if !weClose {
		fmt.Fprintln(p.stdin, "Q")
		l.run("close by openssl", p, func() bool { return len(l.events) == 2 })
		if l.events[1] != dtls.Event(dtls.Closed{Err: dtls.ErrCloseNotify}) {
			l.t.Fatalf("events %v", l.events)
		}
		return
	}
	l.c.Close(mono.Now())
	l.run("close", p, func() bool {
		return strings.Contains(p.out.String(), "DONE") || strings.Contains(p.out.String(), "closed")
	})
}

func exportArgs(profile dtls.SRTPProfile) []string {
	return []string{
		"-keymatexport", "EXTRACTOR-dtls_srtp",
		"-keymatexportlen", fmt.Sprint(2 * (profile.KeyLen() + profile.SaltLen())),
	}
}

type interopCase struct {
	name    string
	peer    func(t *testing.T) identity
	own     func(t *testing.T) identity
	profile dtls.SRTPProfile
	srtp    string
	tune    func(c *dtls.Config)
	args    []string
	suite   uint16
	group   dtls.Group
}

var (
	p256 = func(t *testing.T) identity { return ecdsaIdentity(t, elliptic.P256()) }
	p384 = func(t *testing.T) identity { return ecdsaIdentity(t, elliptic.P384()) }
)

func (ic *interopCase) config(t *testing.T, role dtls.Role, peer identity) dtls.Config {
	t.Helper()
	own := ic.own(t)
	cert, err := dtls.NewCertificate([][]byte{own.der}, own.signer)
	if err != nil {
		t.Fatal(err)
	}
	fp, err := dtls.FingerprintOf("sha-256", peer.der)
	if err != nil {
		t.Fatal(err)
	}
	cfg := dtls.Config{Role: role, Certificate: cert, RemoteFingerprints: []dtls.Fingerprint{fp}}
	if ic.tune != nil {
		ic.tune(&cfg)
	}
	return cfg
}

func (ic *interopCase) check(l *link) {
	l.t.Helper()
	s := l.c.State()
	if s.SRTPProfile != ic.profile || !s.ExtendedMasterSecret || (ic.suite != 0 && s.CipherSuite != ic.suite) || (ic.group != 0 && s.Group != ic.group) {
		l.t.Fatalf("negotiated %+v", s)
	}
}

const (
	srtpCM  = "SRTP_AES128_CM_SHA1_80"
	srtp128 = "SRTP_AEAD_AES_128_GCM"
	srtp256 = "SRTP_AEAD_AES_256_GCM"
)

func TestInteropClientWithOpenSSLServer(t *testing.T) {
	needOpenSSL(t)
	for _, ic := range []interopCase{
		{name: "ecdsa", peer: p256, own: p256, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128 + ":" + srtpCM,
			suite: dtls.ECDHE_ECDSA_AES128_GCM_SHA256, args: []string{"-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}},
		{name: "rsa", peer: rsaIdentity, own: p256, profile: dtls.SRTP_AES128_CM_HMAC_SHA1_80, srtp: srtpCM,
			suite: dtls.ECDHE_RSA_AES128_GCM_SHA256, args: []string{"-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}},
		{name: "rsa-both-small-mtu", peer: rsaIdentity, own: rsaIdentity, profile: dtls.SRTP_AEAD_AES_256_GCM, srtp: srtp256,
			tune: func(c *dtls.Config) { c.MTU = 256 }, args: []string{"-mtu", "300"}},
		{name: "p384-aes256-cookie", peer: p384, own: p384, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			args:  []string{"-listen", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "-groups", "P-384"},
			suite: dtls.ECDHE_ECDSA_AES256_GCM_SHA384, group: dtls.GroupP384},
		{name: "chacha20", peer: p256, own: rsaIdentity, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			suite: dtls.ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, args: []string{"-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}},
		{name: "rsa-chacha20-1.3-offered", peer: rsaIdentity, own: p384, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			tune:  func(c *dtls.Config) { c.MaxVersion = dtls.VersionDTLS13 },
			suite: dtls.ECDHE_RSA_CHACHA20_POLY1305_SHA256, args: []string{"-cipher", "ECDHE-RSA-CHACHA20-POLY1305"}},
		{name: "p256-group", peer: p256, own: p256, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			args: []string{"-groups", "P-256:P-384"}, group: dtls.GroupP256},
	} {
		t.Run(ic.name, func(t *testing.T) {
			peer := ic.peer(t)
			l := newLink(t, ic.config(t, dtls.Client, peer))
			// A port that was free a moment ago.
			probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			l.peer = probe.LocalAddr().(*net.UDPAddr)
			probe.Close()
			p := spawn(t, append(append([]string{"s_server", "-dtls1_2", "-accept", l.peer.String(), "-4",
				"-cert", peer.cert, "-key", peer.key, "-Verify", "1", "-use_srtp", ic.srtp},
				exportArgs(ic.profile)...), ic.args...)...)
			l.c.Start(mono.Now())
			l.run("handshake", p, l.connected)
			ic.check(l)
			l.converse(p, true) // s_server says nothing when it quits
		})
	}
}

func TestInteropServerWithOpenSSLClient(t *testing.T) {
	needOpenSSL(t)
	for _, ic := range []interopCase{
		{name: "ecdsa", peer: p256, own: p256, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtpCM + ":" + srtp128,
			suite: dtls.ECDHE_ECDSA_AES128_GCM_SHA256, group: dtls.GroupX25519},
		{name: "rsa", peer: rsaIdentity, own: rsaIdentity, profile: dtls.SRTP_AES128_CM_HMAC_SHA1_80, srtp: srtpCM,
			suite: dtls.ECDHE_RSA_AES128_GCM_SHA256},
		{name: "small-mtu", peer: rsaIdentity, own: p256, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			tune: func(c *dtls.Config) { c.MTU = 256 }, args: []string{"-mtu", "300"}},
		{name: "cookie", peer: p384, own: p384, profile: dtls.SRTP_AEAD_AES_256_GCM, srtp: srtp256,
			tune: func(c *dtls.Config) { c.HelloVerify = true }, args: []string{"-groups", "P-256:P-384"}, group: dtls.GroupP256},
		{name: "chacha20", peer: rsaIdentity, own: rsaIdentity, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			tune: func(c *dtls.Config) { c.MaxVersion = dtls.VersionDTLS13 },
			args: []string{"-cipher", "ECDHE-RSA-CHACHA20-POLY1305"}, suite: dtls.ECDHE_RSA_CHACHA20_POLY1305_SHA256},
		{name: "rsa-aes256", peer: p256, own: rsaIdentity, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			args: []string{"-cipher", "ECDHE-RSA-AES256-GCM-SHA384"}, suite: dtls.ECDHE_RSA_AES256_GCM_SHA384},
		{name: "aes256", peer: p256, own: p256, profile: dtls.SRTP_AEAD_AES_128_GCM, srtp: srtp128,
			args: []string{"-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}, suite: dtls.ECDHE_ECDSA_AES256_GCM_SHA384},
	} {
		t.Run(ic.name, func(t *testing.T) {
			peer := ic.peer(t)
			l := newLink(t, ic.config(t, dtls.Server, peer))
			l.c.Start(mono.Now())
			p := spawn(t, append(append([]string{"s_client", "-dtls1_2", "-connect", l.sock.LocalAddr().String(),
				"-cert", peer.cert, "-key", peer.key, "-use_srtp", ic.srtp},
				exportArgs(ic.profile)...), ic.args...)...)
			l.run("handshake", p, l.connected)
			ic.check(l)
			l.converse(p, ic.suite != 0)
		})
	}
}

func TestInteropWrongFingerprintIsRefused(t *testing.T) {
	needOpenSSL(t)
	ic := interopCase{own: p256, srtp: srtp128}
	peer, other := p256(t), p256(t)
	l := newLink(t, ic.config(t, dtls.Server, other))
	l.c.Start(mono.Now())
	p := spawn(t, "s_client", "-dtls1_2", "-connect", l.sock.LocalAddr().String(),
		"-cert", peer.cert, "-key", peer.key, "-use_srtp", ic.srtp)
	l.run("refusal", p, func() bool { return strings.Contains(p.out.String(), "bad certificate") })
	for _, e := range l.events {
		if c, ok := e.(dtls.Closed); !ok || !errors.Is(c.Err, dtls.ErrFingerprint) {
			t.Fatalf("events %v", l.events)
		}
	}
}
