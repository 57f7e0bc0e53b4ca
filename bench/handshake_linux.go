package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"time"

	piondtls "github.com/pion/dtls/v3"
	pioncurve "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// handshaker is what all contenders use: one certificate for both sides.
type handshaker struct {
	ours  *dtls.Certificate
	print dtls.Fingerprint
	pion  tls.Certificate

	// Made once, for it is their users' work: of ours by role and case, of Pion's
	// by group; and a buffer.
	configs map[handshakeSide]dtls.Config
	rivals  map[string]*piondtls.Config
	buf     [dtls.DefaultMTU]byte
}

type handshakeSide struct {
	role dtls.Role
	c    handshakeCase
}

func newHandshaker() (*handshaker, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	h := &handshaker{
		pion: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, configs: map[handshakeSide]dtls.Config{}, rivals: map[string]*piondtls.Config{},
	}
	if h.ours, err = dtls.NewCertificate([][]byte{der}, key); err != nil {
		return nil, err
	}
	h.print, err = dtls.FingerprintOf("sha-256", der)
	return h, err
}

func (h *handshaker) conn(role dtls.Role, c handshakeCase) (*dtls.Conn, error) {
	side := handshakeSide{role, c}
	cfg, ok := h.configs[side]
	if !ok {
		cfg = h.ourConfig(role, c)
		h.configs[side] = cfg
	}
	return dtls.New(cfg)
}

func (h *handshaker) ourConfig(role dtls.Role, c handshakeCase) dtls.Config {
	groups := []dtls.Group{handshakeGroups[c.group]}
	version := uint16(dtls.VersionDTLS12)
	if c.version == "1.3" {
		version = dtls.VersionDTLS13
	} else if c.group == "x25519" {
		groups = append(groups, dtls.GroupP256) // that of the certificate must be there (RFC 8422 §5.1)
	}
	return dtls.Config{
		Role: role, Certificate: h.ours, RemoteFingerprints: []dtls.Fingerprint{h.print},
		MinVersion: version, MaxVersion: version, Groups: groups,
	}
}

// config is what pion/webrtc gives pion/dtls, and the group first.
func (h *handshaker) config(group string) *piondtls.Config {
	cfg := h.rivals[group]
	if cfg == nil {
		cfg = h.pionConfig(group)
		h.rivals[group] = cfg
	}
	return cfg
}

func (h *handshaker) pionConfig(group string) *piondtls.Config {
	curves := []pioncurve.Curve{pioncurve.X25519, pioncurve.P256}
	if group == "p256" {
		curves = curves[1:]
	}
	return &piondtls.Config{
		Certificates:            []tls.Certificate{h.pion},
		SRTPProtectionProfiles:  []piondtls.SRTPProtectionProfile{piondtls.SRTP_AEAD_AES_128_GCM},
		CipherSuites:            []piondtls.CipherSuiteID{piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		ClientAuth:              piondtls.RequireAnyClientCert,
		ExtendedMasterSecret:    piondtls.RequireExtendedMasterSecret,
		EllipticCurves:          curves,
		InsecureSkipVerify:      true,
		InsecureSkipVerifyHello: true, // ICE has verified the address; ours does not ask again either
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			got, err := dtls.FingerprintOf("sha-256", raw[0])
			if err == nil && got.String() != h.print.String() {
				err = errors.New("wrong fingerprint")
			}
			return err
		},
	}
}

// threadCPU is the processor time of this thread.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// processCPU is that of the whole process, as finely counted.
func processCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// done reads events until there are none and reports whether the handshake is.
func done(c *dtls.Conn) (bool, error) {
	connected := false
	for {
		switch e, ok := c.Event(); e := e.(type) {
		case dtls.Connected:
			connected = true
		case dtls.Closed:
			return connected, e.Err
		default:
			if !ok {
				return connected, nil
			}
		}
	}
}

// ourPair shakes hands between two of ours and returns the processor time.
func (h *handshaker) ourPair(c handshakeCase) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadCPU()
	client, err := h.conn(dtls.Client, c)
	if err != nil {
		return 0, err
	}
	server, err := h.conn(dtls.Server, c)
	if err != nil {
		return 0, err
	}
	now := mono.Now()
	client.Start(now)
	server.Start(now)
	ends := [2]*dtls.Conn{client, server}
	up := [2]bool{}
	buf := h.buf[:]
	for round := 0; !up[0] || !up[1]; round++ {
		if round > 20 {
			return 0, errors.New("ours do not agree")
		}
		for i, from := range ends {
			for n := from.Transmit(now, buf); n > 0; n = from.Transmit(now, buf) {
				_ = ends[1-i].HandlePacket(now, buf[:n]) // a refusal comes as an event
			}
			for k, end := range ends {
				ok, err := done(end)
				if err != nil {
					return 0, err
				}
				up[k] = up[k] || ok
			}
		}
	}
	used := threadCPU() - start
	if g := server.State().Group; g != handshakeGroups[c.group] {
		return 0, fmt.Errorf("ours agreed on %v", g)
	}
	return used, nil
}

// pionPair shakes hands between two of Pion's.
func (h *handshaker) pionPair(group string) (time.Duration, error) {
	start := processCPU()
	a, b := newPipe()
	client, err := piondtls.Client(a, pipeAddr{}, h.config(group))
	if err != nil {
		return 0, err
	}
	server, err := piondtls.Server(b, pipeAddr{}, h.config(group))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	errs := make(chan error, 1)
	go func() { errs <- server.HandshakeContext(ctx) }()
	err = errors.Join(client.HandshakeContext(ctx), <-errs)
	used := processCPU() - start
	return used, errors.Join(err, client.Close(), server.Close())
}

// across shakes hands between one of ours in role and one of Pion's, and
// returns the processor time of either. Ours is that of this thread within the
// calls; Pion's is the rest of the process.
func (h *handshaker) across(role dtls.Role, hc handshakeCase) (ours, pion time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	whole := processCPU()
	near, far := newPipe()
	connect := piondtls.Server
	if role == dtls.Server {
		connect = piondtls.Client
	}
	rival, err := connect(far, pipeAddr{}, h.config(hc.group))
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	errs := make(chan error, 1)
	go func() { errs <- rival.HandshakeContext(ctx) }()

	begun := threadCPU()
	c, err := h.conn(role, hc)
	if err != nil {
		return 0, 0, err
	}
	c.Start(mono.Now())
	buf := make([]byte, dtls.DefaultMTU)
	up, agreed := false, false
	for !up || !agreed {
		for n := c.Transmit(mono.Now(), buf); n > 0; n = c.Transmit(mono.Now(), buf) {
			ours += threadCPU() - begun
			if _, err := near.WriteTo(buf[:n], nil); err != nil {
				return 0, 0, err
			}
			begun = threadCPU()
		}
		ok, err := done(c)
		if err != nil {
			return 0, 0, err
		}
		up = up || ok
		ours += threadCPU() - begun
		if up && agreed {
			break
		}
		var packet []byte
		select {
		case packet = <-near.in:
		case err := <-errs:
			if err != nil {
				return 0, 0, err
			}
			agreed = true
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
		begun = threadCPU()
		if packet != nil {
			_ = c.HandlePacket(mono.Now(), packet) // a refusal comes as an event
		}
	}
	pion = processCPU() - whole - ours
	if g := c.State().Group; g != handshakeGroups[hc.group] {
		return 0, 0, fmt.Errorf("agreed on %v", g)
	}
	return ours, pion, rival.Close()
}

var handshakeGroups = map[string]dtls.Group{"x25519": dtls.GroupX25519, "p256": dtls.GroupP256, "mlkem768": dtls.GroupX25519MLKEM768}

func measureHandshake(r *run, cases []string, peers []peer) error {
	rounds, each := 25, 40
	if r.quick {
		rounds, each = 9, 15
	}
	for _, path := range cases {
		c, err := parseHandshake(path)
		if err != nil {
			return err
		}
		for _, p := range peers {
			r.table.status("handshake %s", path)
			row := Row{Scenario: "handshake", Case: path, Peer: p.name}
			if row.Skipped = c.cannot(p); row.Skipped != "" {
				r.emit(row)
				continue
			}
			ours, theirs, err := handshakeRounds(c, p, rounds, each)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", path, p.name, err)
			}
			row.Unit, row.Better, row.PeerVersion = "handshakes/CPU-s", higher, p.version()
			if row.Allocs, err = c.allocations(); err != nil {
				return err
			}
			row.compare(ours, theirs)
			r.emit(row)
		}
	}
	return nil
}

// allocations counts those of both ends of one of our handshakes; nil where the
// other end is the peer's.
func (c handshakeCase) allocations() (*int, error) {
	if c.side != "pair" {
		return nil, nil
	}
	h, err := newHandshaker()
	if err != nil {
		return nil, err
	}
	const pairs = 50
	var before, after runtime.MemStats
	if _, err = h.ourPair(c); err != nil { // what is made once is made
		return nil, err
	}
	runtime.ReadMemStats(&before)
	if _, err = h.sluices(c, pairs); err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&after)
	n := int(after.Mallocs-before.Mallocs) / pairs
	return &n, nil
}

// handshakeRounds returns handshakes per CPU-second of the side, round by round.
func handshakeRounds(c handshakeCase, p peer, rounds, each int) (ours, theirs []float64, err error) {
	h, err := newHandshaker()
	if err != nil {
		return nil, nil, err
	}
	rival := h.pions
	if p.name == sluice12.name {
		rival = func(_ handshakeCase, n int) (time.Duration, error) {
			return h.sluices(handshakeCase{"pair", "1.2", "x25519"}, n)
		}
	}
	if p.name == openssl.name {
		far, err := c.startOpenSSL()
		if err != nil {
			return nil, nil, err
		}
		defer far.stop()
		rival = func(_ handshakeCase, n int) (time.Duration, error) {
			a, err := far.ask(fmt.Appendf(nil, "run %d", n))
			return time.Duration(a.NS * float64(n)), err
		}
	}
	for round := range rounds + 1 {
		a, err := h.sluices(c, each)
		if err != nil {
			return nil, nil, err
		}
		b, err := rival(c, each)
		if err != nil {
			return nil, nil, err
		}
		if round > 0 { // the first one warms up
			ours = append(ours, float64(each)/a.Seconds())
			theirs = append(theirs, float64(each)/b.Seconds())
		}
	}
	return ours, theirs, nil
}

// startOpenSSL has it shake hands with itself once, in the group of the case.
func (c handshakeCase) startOpenSSL() (w nativeWorker, err error) {
	if w, err = openssl.start(); err != nil {
		return w, err
	}
	a, err := w.load(c.side+"/"+c.group, nil)
	if err == nil && a.Result != c.group {
		err = fmt.Errorf("openssl agreed on %s", a.Result)
	}
	if err != nil {
		w.stop()
	}
	return w, err
}

// sluices returns what n handshakes cost the side when it is ours. The other one
// is Pion's, or for a pair, ours.
func (h *handshaker) sluices(c handshakeCase, n int) (sum time.Duration, err error) {
	for range n {
		var d time.Duration
		switch c.side {
		case "server":
			d, _, err = h.across(dtls.Server, c)
		case "client":
			d, _, err = h.across(dtls.Client, c)
		default:
			d, err = h.ourPair(c)
		}
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// pions is the same of Pion's.
func (h *handshaker) pions(c handshakeCase, n int) (sum time.Duration, err error) {
	for range n {
		var d time.Duration
		switch c.side {
		case "client":
			_, d, err = h.across(dtls.Server, c)
		case "server":
			_, d, err = h.across(dtls.Client, c)
		default:
			d, err = h.pionPair(c.group)
		}
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// A pipe is one end of a network in memory that loses nothing.
type pipe struct {
	in, out chan []byte
	done    chan struct{}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "memory" }
func (pipeAddr) String() string  { return "memory" }

func newPipe() (a, b *pipe) {
	x, y := make(chan []byte, 64), make(chan []byte, 64)
	return &pipe{x, y, make(chan struct{})}, &pipe{y, x, make(chan struct{})}
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case packet := <-p.in:
		return copy(b, packet), pipeAddr{}, nil
	case <-p.done:
		return 0, nil, net.ErrClosed
	}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case p.out <- append([]byte(nil), b...):
	default: // full, as after the end
	}
	return len(b), nil
}

func (p *pipe) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipe) LocalAddr() net.Addr              { return pipeAddr{} }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
