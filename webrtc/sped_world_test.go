package webrtc

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/stun"
)

// spedHow says how two ends meet.
type spedHow struct {
	carry   [2]bool // offerer and answerer
	snap    bool
	active  bool // the answerer is DTLS client
	lite    bool // the answerer is ICE lite
	version uint16
	slow    bool // the answer takes another round trip: checks come first
}

// spedWorld is two ends on virtual time, made of what a PeerConnection is made
// of, with the same courier between the parts and without the dataplane. The
// network takes a time one way, signalling as long.
type spedWorld struct {
	t      *testing.T
	how    spedHow
	now    mono.Time
	rng    *rand.Rand
	ends   [2]*spedEnd // offerer and answerer
	queue  []spedFlight
	serial int
	sent   int // datagrams
	delay  time.Duration
	jitter time.Duration
	loss   float64
	dup    float64
	fault  func(n, from int, b []byte) (copies [][]byte, extra time.Duration) // of the nth datagram
}

type spedFlight struct {
	at     mono.Time
	serial int
	to     int
	b      []byte
	call   func()
}

type spedEnd struct {
	w       *spedWorld
	i       int
	agent   *ice.Agent
	conn    *dtls.Conn
	courier *courier
	role    dtls.Role
	addr    netip.AddrPort
	fp      []dtls.Fingerprint
	cert    *dtls.Certificate

	usable, selected, heard bool // what dtlsPath has
	early                   [][]byte
	done, up                bool // handshake; keys in use
	records                 *dtls.Records
	channels                *sctp.Channels
	upAt, openAt            mono.Time
	closed                  error
	buf                     [2048]byte
}

var spedCerts = func() (list [2]*dtls.Certificate) {
	for i := range list {
		c, err := dtls.GenerateCertificate(time.Now())
		if err != nil {
			panic(err)
		}
		list[i] = c
	}
	return list
}()

const spedDelay = 50 * time.Millisecond

func newSPEDWorld(t *testing.T, seed uint64, how spedHow) *spedWorld {
	w := &spedWorld{t: t, how: how, now: mono.Time(time.Hour), rng: rand.New(rand.NewPCG(seed, 7)), delay: spedDelay}
	for i := range w.ends {
		e := &spedEnd{w: w, i: i, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 5000), cert: spedCerts[i]}
		fp := must(e.cert.Fingerprint("sha-256"))(t)
		e.fp = []dtls.Fingerprint{fp}
		role := ice.Controlling
		if i == 1 {
			role = ice.Controlled
		}
		e.agent = must(ice.New(ice.Config{Role: role, Lite: how.lite && i == 1, Hosts: []netip.AddrPort{e.addr},
			Carry: how.carry[i], Rand: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(i)})}))(t)
		id := uint16(5)
		e.channels = sctp.NewChannels(sctp.Config{}, false)
		must(e.channels.Open(w.now, sctp.ChannelParams{Label: "x", Negotiated: true, ID: &id}))(t)
		w.ends[i] = e
	}
	if how.snap {
		for i, e := range w.ends {
			if err := e.channels.Association().ImportInitText(w.ends[1-i].channels.Association().InitText()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// negotiate lets the offer leave now.
func (w *spedWorld) negotiate() {
	w.ends[0].agent.Gather(w.now)
	w.ends[1].agent.Gather(w.now)
	for _, e := range w.ends {
		e.pump()
	}
	w.later(w.delay, func() { // the offer arrives
		w.ends[1].apply(w.ends[0], w.how.active)
		after := w.delay
		if w.how.slow {
			after *= 3
		}
		w.later(after, func() { w.ends[0].apply(w.ends[1], !w.how.active) })
	})
}

// apply is PeerConnection.applyTransport.
func (e *spedEnd) apply(from *spedEnd, client bool) {
	w := e.w
	if e.role = dtls.Server; client {
		e.role = dtls.Client
	}
	e.channels.SetDTLSClient(client)
	e.agent.SetRemoteLite(w.how.lite && from.i == 1)
	agreed := w.how.carry[0] && w.how.carry[1]
	if e.conn == nil {
		e.conn = must(dtls.New(dtls.Config{Role: e.role, Certificate: e.cert, RemoteFingerprints: from.fp,
			MinVersion: w.how.version, MaxVersion: w.how.version}))(w.t)
		if agreed {
			e.courier = newCourier(w.now, e.agent, e.conn, e.role)
			e.takeEarly()
		} else {
			e.agent.StopCarry()
		}
	}
	ufrag, pwd := from.agent.LocalCredentials()
	if err := e.agent.SetRemoteCredentials(w.now, ufrag, pwd); err != nil {
		w.t.Fatal(err)
	}
	e.pump()
	if err := e.agent.AddRemoteCandidate(w.now, ice.Candidate{Component: 1, Foundation: "1", Priority: 1 << 30, Addr: from.addr}); err != nil {
		w.t.Fatal(err)
	}
	e.start()
	e.takeEarly()
	e.pump()
}

func (e *spedEnd) takeEarly() {
	early := e.early
	e.early = nil
	for _, b := range early {
		e.handleDTLS(b)
	}
}

func (e *spedEnd) hasPath() bool { return e.usable || e.selected || e.heard }

// restart is transport.restartAs.
func (e *spedEnd) restart() {
	if err := e.agent.Restart(e.w.now, "", ""); err != nil {
		e.w.t.Fatal(err)
	}
	e.usable = false
}

func (e *spedEnd) start() {
	if e.conn != nil && e.hasPath() {
		e.conn.Start(e.w.now)
	}
}

func (e *spedEnd) handle(b []byte) {
	w := e.w
	p := ice.Path{Local: e.addr, Remote: w.ends[1-e.i].addr}
	switch {
	case stun.Is(b):
		_ = e.agent.HandlePacket(w.now, b, p)
	case !e.agent.Validated(p):
	case e.records != nil:
		e.open(b)
	default:
		e.heard = true
		if e.courier == nil || e.agent.HeardDirectly(b) {
			e.handleDTLS(b)
		}
	}
	e.pump()
}

// handleDTLS is transport's.
func (e *spedEnd) handleDTLS(b []byte) {
	if e.conn != nil {
		e.conn.Start(e.w.now)
		if e.conn.HandlePacket(e.w.now, b) == dtls.ErrHandedOver {
			e.open(b)
		}
	} else if len(e.early) < maxEarly {
		e.early = append(e.early, slices.Clone(b))
	}
}

func (e *spedEnd) open(b []byte) {
	for len(b) > 0 {
		rec, rest, ok := dtls.SplitRecord(b)
		if !ok {
			return
		}
		b = rest
		if !e.records.Owns(rec) {
			_ = e.conn.HandlePacket(e.w.now, rec)
			continue
		}
		dst := make([]byte, len(rec))
		n, typ, err := e.records.Open(dst, rec)
		switch {
		case err != nil:
		case typ == dtls.ContentApplicationData:
			_ = e.channels.HandlePacket(e.w.now, dst[:n])
		default:
			_ = e.conn.HandleRecord(e.w.now, typ, dst[:n])
		}
	}
}

// pump is transport.pump.
func (e *spedEnd) pump() {
	w := e.w
	for ev, ok := e.agent.Event(); ok; ev, ok = e.agent.Event() {
		switch ev.Kind {
		case ice.EventCarried:
			e.handleDTLS(ev.Data)
		case ice.EventUsable, ice.EventSelected:
			e.usable = true
			e.selected = e.selected || ev.Kind == ice.EventSelected
			e.start()
		}
	}
	var direct [][]byte
	if e.courier != nil {
		direct = e.courier.pump(w.now, e.buf[:], e.hasPath())
	}
	for n, _ := e.agent.Transmit(w.now, e.buf[:]); n > 0; n, _ = e.agent.Transmit(w.now, e.buf[:]) {
		w.send(e.i, e.buf[:n])
	}
	for _, b := range direct {
		w.send(e.i, b)
	}
	if e.conn == nil {
		return
	}
	for e.hasPath() {
		n := e.conn.Transmit(w.now, e.buf[:])
		if n == 0 {
			break
		}
		w.send(e.i, e.buf[:n])
	}
	for ev, ok := e.conn.Event(); ok; ev, ok = e.conn.Event() {
		switch ev := ev.(type) {
		case dtls.Connected:
			if e.done = true; e.courier != nil {
				e.courier.connected(w.now)
			}
		case dtls.Closed:
			e.closed = ev.Err
		}
	}
	if e.done && !e.up && (e.courier == nil || e.usable || e.selected) {
		e.up, e.upAt, e.records = true, w.now, e.conn.Records()
		e.channels.Start(w.now)
		for n := e.conn.EarlyData(e.buf[:]); n > 0; n = e.conn.EarlyData(e.buf[:]) {
			_ = e.channels.HandlePacket(w.now, e.buf[:n])
		}
	}
	e.pumpRecords()
}

// pumpRecords is the data lane's part.
func (e *spedEnd) pumpRecords() {
	if !e.up {
		return
	}
	w, plain := e.w, make([]byte, 2048)
	seal := func(typ uint8, n int) {
		if k, err := e.records.SealAs(e.buf[:], typ, plain[:n]); err == nil {
			w.send(e.i, e.buf[:k])
		}
	}
	for n, typ := e.conn.TransmitRecord(w.now, plain); n > 0; n, typ = e.conn.TransmitRecord(w.now, plain) {
		seal(typ, n)
	}
	for {
		for ev, ok := e.channels.Event(); ok; ev, ok = e.channels.Event() {
			if ev.Kind == sctp.ChannelReady && e.openAt == 0 {
				e.openAt = w.now
			}
		}
		n := e.channels.Transmit(w.now, plain)
		if n == 0 {
			return
		}
		seal(dtls.ContentApplicationData, n)
	}
}

func (e *spedEnd) timeout() mono.Time {
	t := e.agent.Timeout()
	if e.conn != nil {
		t = mono.Earliest(t, e.conn.Timeout())
	}
	if e.up {
		t = mono.Earliest(t, e.channels.Timeout())
	}
	return t
}

func (e *spedEnd) handleTimeout() {
	e.agent.HandleTimeout(e.w.now)
	if e.conn != nil {
		e.conn.HandleTimeout(e.w.now)
	}
	if e.up {
		e.channels.HandleTimeout(e.w.now)
	}
	e.pump()
}

func (w *spedWorld) later(d time.Duration, call func()) {
	w.serial++
	w.queue = append(w.queue, spedFlight{at: w.now.Add(d), serial: w.serial, call: call})
}

func (w *spedWorld) send(from int, b []byte) {
	if len(b) > ice.MaxCarryPacket {
		w.t.Fatalf("a datagram of %d bytes", len(b))
	}
	n := w.sent
	w.sent++
	copies, extra := [][]byte{b}, time.Duration(0)
	if w.fault != nil {
		copies, extra = w.fault(n, from, b)
	}
	if w.rng.Float64() < w.loss {
		return
	}
	if w.rng.Float64() < w.dup {
		copies = append(copies, b)
	}
	for _, c := range copies {
		d := w.delay + extra
		if w.jitter > 0 {
			d += time.Duration(w.rng.Int64N(int64(w.jitter)))
		}
		w.serial++
		w.queue = append(w.queue, spedFlight{at: w.now.Add(d), serial: w.serial, to: 1 - from, b: slices.Clone(c)})
	}
}

// run advances until done says so, or for d; it reports which.
func (w *spedWorld) run(d time.Duration, done func() bool) bool {
	end := w.now.Add(d)
	for steps := 0; !done(); steps++ {
		if steps > 100_000 {
			w.t.Fatal("the world does not come to rest")
		}
		next, at := end, -1
		for i, f := range w.queue {
			if f.at < next || f.at == next && (at < 0 || f.serial < w.queue[at].serial) {
				next, at = f.at, i
			}
		}
		var due *spedEnd
		for _, e := range w.ends {
			if t := e.timeout(); t != 0 && t < next {
				next, due = max(t, w.now), e
			}
		}
		w.now = max(w.now, next)
		switch {
		case due != nil:
			due.handleTimeout()
		case at >= 0:
			f := w.queue[at]
			w.queue = slices.Delete(w.queue, at, at+1)
			if f.call != nil {
				f.call()
			} else {
				w.ends[f.to].handle(f.b)
			}
		default:
			return done()
		}
	}
	return true
}

func (w *spedWorld) open() bool { return w.ends[0].openAt != 0 && w.ends[1].openAt != 0 }

// mustOpen runs until both ends have their channel, and checks that they share
// the secret.
func (w *spedWorld) mustOpen(d time.Duration) {
	w.t.Helper()
	if !w.run(d, w.open) {
		for i, e := range w.ends {
			w.t.Errorf("end %d: ICE %v, path %v %v %v, handshake %v, up %v, closed %v, %+v", i, e.agent.State(), e.usable, e.selected, e.heard, e.done, e.up, e.closed, e.agent.CarryStats())
		}
		w.t.Fatalf("%+v: not open after %v", w.how, d)
	}
	var keys [2][]byte
	for i, e := range w.ends {
		keys[i] = must(e.conn.ExportKeyingMaterial("EXPORTER-test", nil, 32))(w.t)
	}
	if !bytes.Equal(keys[0], keys[1]) {
		w.t.Fatalf("%+v: different secrets", w.how)
	}
}
