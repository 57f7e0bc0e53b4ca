package dtls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	mrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// epochStart is the wall clock of certificates in tests.
var epochStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// testCerts are made once: key generation is what tests would spend their time on.
var testCerts = func() map[string]*Certificate {
	m := map[string]*Certificate{}
	for _, name := range []string{"client", "server", "other"} {
		c, err := GenerateCertificate(epochStart)
		if err != nil {
			panic(err)
		}
		m[name] = c
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, key := range map[string]crypto.Signer{"p384": p384, "rsa": rsaKey, "ed25519": ed} {
		m[name] = mustSelfSign(key)
	}
	return m
}()

func mustSelfSign(key crypto.Signer) *Certificate {
	tmpl := x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "test"},
		NotBefore: epochStart, NotAfter: epochStart.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	c, err := NewCertificate([][]byte{der}, key)
	if err != nil {
		panic(err)
	}
	return c
}

func fps(c *Certificate) []Fingerprint {
	f, err := c.Fingerprint("sha-256")
	if err != nil {
		panic(err)
	}
	return []Fingerprint{f}
}

// end is one side of a pair.
type end struct {
	*Conn
	name   string
	events []Event
	rec    *Records
	data   [][]byte // application data received by the owner of rec
}

// connected tells whether Connected was seen, and closedErr the reason of Closed.
func (e *end) connected() bool {
	return slices.ContainsFunc(e.events, func(ev Event) bool { _, ok := ev.(Connected); return ok })
}

func (e *end) closedErr() error {
	for _, ev := range e.events {
		if c, ok := ev.(Closed); ok {
			return c.Err
		}
	}
	return nil
}

func (e *end) drainEvents() {
	for ev, ok := e.Event(); ok; ev, ok = e.Event() {
		e.events = append(e.events, ev)
		if id, ok := ev.(ConnectionIDChanged); ok && e.rec != nil {
			e.rec.UseConnectionID(id.ID)
		}
	}
}

// takeRecords is hand-over, as the data lane does it.
func (e *end) takeRecords() {
	e.rec = e.Records()
	b := make([]byte, maxFragment)
	for n := e.EarlyData(b); n > 0; n = e.EarlyData(b) {
		e.data = append(e.data, slices.Clone(b[:n]))
	}
}

// receive does what the owner of both halves does with a datagram.
func (e *end) receive(now mono.Time, b []byte) {
	if e.rec == nil {
		e.HandlePacket(now, b)
		return
	}
	for len(b) > 0 {
		rec, rest, ok := SplitRecordCID(b, len(e.cfg.ConnectionID))
		if !ok {
			return
		}
		if !e.rec.Owns(rec) {
			e.HandlePacket(now, rec)
			b = rest
			continue
		}
		dst := make([]byte, len(rec))
		if n, typ, err := e.rec.Open(dst, rec); err == nil {
			if typ == ContentApplicationData {
				e.data = append(e.data, dst[:n])
			} else {
				e.HandleRecord(now, typ, dst[:n])
			}
		}
		b = rest
	}
}

// transmit drains both halves into datagrams.
func (e *end) transmit(now mono.Time) (out [][]byte) {
	buf := make([]byte, 2048)
	for n := e.Transmit(now, buf); n > 0; n = e.Transmit(now, buf) {
		out = append(out, slices.Clone(buf[:n]))
	}
	if e.rec == nil {
		return out
	}
	plain := make([]byte, 2048)
	for n, typ := e.TransmitRecord(now, plain); n > 0; n, typ = e.TransmitRecord(now, plain) {
		k, err := e.rec.SealAs(buf, typ, plain[:n])
		if err != nil {
			panic(err)
		}
		out = append(out, slices.Clone(buf[:k]))
	}
	for n, _ := e.TransmitPath(now, plain); n > 0; n, _ = e.TransmitPath(now, plain) {
		k, err := e.rec.SealAs(buf, ContentRoutability, plain[:n])
		if err != nil {
			panic(err)
		}
		out = append(out, slices.Clone(buf[:k]))
	}
	return out
}

// wire is a datagram under way.
type wire struct {
	at mono.Time
	to *end
	b  []byte
}

// world is a pair over a seeded bad network on virtual time.
type world struct {
	t      *testing.T
	now    mono.Time
	client *end
	server *end
	flying []wire
	rng    *mrand.Rand

	loss, dup float64
	delay     time.Duration
	jitter    time.Duration // reorders when above the spacing of packets
	filter    func(to *end, b []byte) (deliver bool)
	sent      func(from *end, b []byte)
	sizes     []int
}

// newWorld is a pair that speaks DTLS 1.2, newWorld13 one that prefers 1.3.
func newWorld(t *testing.T, seed uint64, tune func(client, server *Config)) *world {
	t.Helper()
	return newWorldOf(t, seed, VersionDTLS12, tune)
}

func newWorld13(t *testing.T, seed uint64, tune func(client, server *Config)) *world {
	t.Helper()
	return newWorldOf(t, seed, VersionDTLS13, tune)
}

func newWorldOf(t *testing.T, seed uint64, version uint16, tune func(client, server *Config)) *world {
	t.Helper()
	cc := Config{Role: Client, Certificate: testCerts["client"], RemoteFingerprints: fps(testCerts["server"])}
	sc := Config{Role: Server, Certificate: testCerts["server"], RemoteFingerprints: fps(testCerts["client"])}
	cc.MaxVersion, sc.MaxVersion = version, version
	if tune != nil {
		tune(&cc, &sc)
	}
	w := &world{t: t, now: 1e9, rng: mrand.New(mrand.NewPCG(seed, 1)), delay: 10 * time.Millisecond}
	for _, c := range []*Config{&cc, &sc} {
		conn, err := New(*c)
		if err != nil {
			t.Fatal(err)
		}
		if c.Role == Client {
			w.client = &end{Conn: conn, name: "client"}
		} else {
			w.server = &end{Conn: conn, name: "server"}
		}
	}
	return w
}

func (w *world) peer(e *end) *end {
	if e == w.client {
		return w.server
	}
	return w.client
}

func (w *world) start() {
	w.server.Start(w.now)
	w.client.Start(w.now)
	w.flush()
}

// inject puts a datagram on the wire towards e.
func (w *world) inject(e *end, b []byte) {
	if w.rng.Float64() < w.loss {
		return
	}
	d := w.delay
	if w.jitter > 0 {
		d += time.Duration(w.rng.Int64N(int64(w.jitter)))
	}
	w.flying = append(w.flying, wire{w.now.Add(d), e, b})
}

func (w *world) flush() {
	for _, e := range []*end{w.client, w.server} {
		for _, b := range e.transmit(w.now) {
			w.sizes = append(w.sizes, len(b))
			if w.sent != nil {
				w.sent(e, b)
			}
			w.inject(w.peer(e), b)
			if w.rng.Float64() < w.dup {
				w.inject(w.peer(e), b)
			}
		}
		e.drainEvents()
	}
}

// next is when something happens next, 0 for never.
func (w *world) next() mono.Time {
	next := mono.Earliest(w.client.Timeout(), w.server.Timeout())
	for _, f := range w.flying {
		next = mono.Earliest(next, f.at)
	}
	return next
}

// step moves time to the next thing that happens; false when nothing will.
func (w *world) step() bool {
	next := w.next()
	if next == 0 {
		return false
	}
	w.now = max(w.now, next)
	var rest []wire
	due := w.flying
	w.flying = nil
	for _, f := range due {
		if f.at.After(w.now) {
			rest = append(rest, f)
			continue
		}
		if w.filter == nil || w.filter(f.to, f.b) {
			f.to.receive(w.now, f.b)
		}
	}
	w.flying = append(rest, w.flying...)
	w.client.HandleTimeout(w.now)
	w.server.HandleTimeout(w.now)
	w.flush()
	return true
}

// run steps until until says so, nothing happens any more, or d has passed.
func (w *world) run(d time.Duration, until func() bool) {
	stop := w.now.Add(d)
	for until == nil || !until() {
		if next := w.next(); next == 0 || next.After(stop) {
			w.now = stop
			return
		}
		w.step()
	}
}

func (w *world) bothConnected() bool { return w.client.connected() && w.server.connected() }

func (w *world) handshake() {
	w.t.Helper()
	w.start()
	w.run(time.Minute, w.bothConnected)
	if !w.bothConnected() {
		w.t.Fatalf("not connected after %v: client %v, server %v", time.Duration(w.now), w.client.events, w.server.events)
	}
}

// settle lets everything under way arrive.
func (w *world) settle() {
	w.run(time.Second, func() bool { return len(w.flying) == 0 })
}

// checkSecrets compares what both sides export.
func (w *world) checkSecrets() {
	w.t.Helper()
	a, err1 := w.client.ExportKeyingMaterial("EXPORTER-test", []byte("x"), 77)
	b, err2 := w.server.ExportKeyingMaterial("EXPORTER-test", []byte("x"), 77)
	if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
		w.t.Fatalf("exports differ: %x %x %v %v", a, b, err1, err2)
	}
	if w.client.State().SRTPProfile == 0 {
		return
	}
	p, lk, ls, rk, rs, err := w.client.SRTPKeys()
	p2, lk2, ls2, rk2, rs2, err2 := w.server.SRTPKeys()
	if err != nil || err2 != nil || p != p2 {
		w.t.Fatalf("SRTP keys: %v %v, profiles %v %v", err, err2, p, p2)
	}
	if !bytes.Equal(lk, rk2) || !bytes.Equal(ls, rs2) || !bytes.Equal(rk, lk2) || !bytes.Equal(rs, ls2) {
		w.t.Fatal("SRTP keys do not cross")
	}
	if bytes.Equal(lk, rk) || len(lk) != p.KeyLen() || len(ls) != p.SaltLen() {
		w.t.Fatal("SRTP keys of wrong shape")
	}
}

// checkData hands over and sends a message each way through Records.
func (w *world) checkData() {
	w.t.Helper()
	for _, e := range []*end{w.client, w.server} {
		if e.rec == nil {
			e.takeRecords()
		}
	}
	for _, e := range []*end{w.client, w.server} {
		msg := []byte("hello from " + e.name)
		buf := make([]byte, 256)
		n, err := e.rec.Seal(buf, msg)
		if err != nil {
			w.t.Fatal(err)
		}
		p := w.peer(e)
		before := len(p.data)
		p.receive(w.now, buf[:n])
		if len(p.data) != before+1 || !bytes.Equal(p.data[before], msg) {
			w.t.Fatalf("data from %s did not arrive", e.name)
		}
	}
}

// sentAlert tells whether err is a fatal alert that was sent, or received.
func isAlert(err error, a Alert, sent bool) bool {
	var e *AlertError
	return errors.As(err, &e) && e.Alert == a && e.Sent == sent
}
