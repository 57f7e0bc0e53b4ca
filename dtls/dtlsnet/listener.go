package dtlsnet

import (
	"crypto/rand"
	"errors"
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// Listener is a net.Listener whose connections share a socket.
type Listener struct {
	cfg     Config
	pc      net.PacketConn
	gates   []chan packet
	seed    maphash.Seed
	backlog chan *Conn
	quit    chan struct{}
	stats   counters

	mu       sync.Mutex
	byAddr   map[netip.AddrPort]*Conn
	byID     map[string]*Conn
	pending  map[*Conn]int // those that shake hands, and what each may hold, in bytes
	halfOpen int           // sum of pending
	closed   bool
}

// packet is a datagram for a gate.
type packet struct {
	b    []byte
	from netip.AddrPort
}

type counters struct {
	hellos, forgotten, refused, admitted atomic.Uint64
	queueFull, backlogFull, strangers    atomic.Uint64
	unproven                             atomic.Int64
}

// ListenerStats describes a listener. Counters never fall.
type ListenerStats struct {
	Conns         int    // established, or shaking hands
	HalfOpen      int    // of them, those that shake hands
	HalfOpenBytes int    // what those hold, 16 KiB each at least; at most Config.MaxHalfOpen
	UnprovenBytes int    // kept of hellos in fragments
	Hellos        uint64 // datagrams from addresses that are not known
	Forgotten     uint64 // hellos in fragments that were given up
	Refused       uint64 // hellos with a cookie, dropped because of a limit
	Admitted      uint64 // handshakes begun
	QueueFull     uint64 // datagrams dropped because handshakes take all the time there is
	BacklogFull   uint64 // connections closed because nobody called Accept
	Strangers     uint64 // datagrams that begin nothing
}

// ErrHalfOpen: a handshake was given up because all that were under way held more
// than Config.MaxHalfOpen.
var ErrHalfOpen = errors.New("dtlsnet: handshakes under way hold too much memory")

// ErrReplaced: another handshake came from the peer's address, which it has proved.
var ErrReplaced = errors.New("dtlsnet: replaced by a new connection from the same address")

// halfOpenSize is what is accounted for a handshake that begins, in bytes: a flight of
// each side, keys, and transcripts. What it grows to beyond counts as it is: see
// dtls.Conn.Size.
const halfOpenSize = 16 << 10

// Listen accepts DTLS connections at pc, from which nobody else may read.
func Listen(pc net.PacketConn, cfg Config) (*Listener, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, err := cfg.core(dtls.Server); err != nil { // whether it can be made at all
		return nil, err
	}
	l := &Listener{
		cfg: cfg, pc: pc, seed: maphash.MakeSeed(),
		backlog: make(chan *Conn, cfg.Backlog), quit: make(chan struct{}),
		byAddr: map[netip.AddrPort]*Conn{}, byID: map[string]*Conn{}, pending: map[*Conn]int{},
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	n := runtime.GOMAXPROCS(0)
	for range n {
		q := make(chan packet, gateQueue)
		l.gates = append(l.gates, q)
		g := &gate{cfg: &l.cfg, secret: secret, most: maxUnproven / n, send: func(b []byte, to netip.AddrPort) {
			_ = l.send(b, to) // as if lost
		}, admit: l.admit}
		go l.guard(g, q)
	}
	go l.readSocket()
	return l, nil
}

// readSocket receives until the socket is closed.
func (l *Listener) readSocket() {
	b := make([]byte, maxDatagram)
	for bad := 0; ; {
		n, addr, err := l.pc.ReadFrom(b)
		if err != nil {
			if bad++; errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || bad == maxReadErrors {
				l.end()
				return
			}
			continue
		}
		bad = 0
		l.packet(now(), b[:n], addrPort(addr))
	}
}

// addrPort is the address of a datagram; that of IPv4 is the same on every socket.
func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}

// packet gives a datagram to its connection, or to a gate.
func (l *Listener) packet(t mono.Time, b []byte, from netip.AddrPort) {
	l.mu.Lock()
	c := l.byAddr[from]
	// A connection ID says more than an address, which may have changed hands.
	if id, ok := dtls.RecordCID(b, l.cfg.ConnectionIDLen); ok && l.byID[string(id)] != nil {
		c = l.byID[string(id)]
	}
	_, shaking := l.pending[c]
	l.mu.Unlock()
	switch {
	case c != nil && !shaking && (l.cfg.NoCookies || !isClientHello(b)):
		c.receive(t, b, from)
	case c == nil && !looksLikeHello(b):
		l.stats.strangers.Add(1)
	default: // costs time: elsewhere
		q := l.gates[maphash.Comparable(l.seed, from)%uint64(len(l.gates))]
		select {
		case q <- packet{append([]byte(nil), b...), from}:
		default:
			l.stats.queueFull.Add(1)
		}
	}
}

// guard is the goroutine of a gate; the handshakes behind it are its, too.
func (l *Listener) guard(g *gate, q chan packet) {
	for {
		select {
		case p := <-q:
			l.mu.Lock()
			c := l.byAddr[p.from]
			_, shaking := l.pending[c]
			l.mu.Unlock()
			if c != nil && (shaking || !isClientHello(p.b)) {
				c.receive(now(), p.b, p.from)
				l.account(c)
				continue
			}
			before, kept := g.stats, g.bytes
			g.packet(now(), p.b, p.from)
			l.stats.hellos.Add(g.stats.hellos - before.hellos)
			l.stats.forgotten.Add(g.stats.forgotten - before.forgotten)
			l.stats.refused.Add(g.stats.refused - before.refused)
			l.stats.admitted.Add(g.stats.admitted - before.admitted)
			l.stats.unproven.Add(int64(g.bytes - kept))
		case <-l.quit:
			return
		}
	}
}

// admit makes a connection of a handshake whose client has proved its address.
func (l *Listener) admit(core *dtls.Conn, from netip.AddrPort) bool {
	c := newConn(core, &l.cfg, l, from)
	c.begun = true
	l.mu.Lock()
	if l.closed || len(l.byAddr) >= l.cfg.MaxConns || l.halfOpen+halfOpenSize > l.cfg.MaxHalfOpen {
		l.mu.Unlock()
		return false
	}
	// Its client is gone: whoever has returned our cookie is at this address now
	// (RFC 6347 §4.2.8).
	old := l.byAddr[from]
	l.byAddr[from] = c
	l.pending[c] = halfOpenSize
	l.halfOpen += halfOpenSize
	l.mu.Unlock()
	if old != nil {
		old.fail(ErrReplaced)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pump(now())
	return true
}

// account measures a handshake under way, and ends it where it takes the sum beyond
// the limit.
func (l *Listener) account(c *Conn) {
	c.mu.Lock()
	size := c.core.Size()
	c.mu.Unlock()
	l.mu.Lock()
	held, shaking := l.pending[c]
	if shaking && size > held {
		l.pending[c] = size
		l.halfOpen += size - held
	}
	beyond := shaking && l.halfOpen > l.cfg.MaxHalfOpen
	l.mu.Unlock()
	if beyond {
		l.stats.refused.Add(1)
		c.fail(ErrHalfOpen)
	}
}

// done ends the time of a handshake.
func (l *Listener) done(c *Conn) {
	l.halfOpen -= l.pending[c]
	delete(l.pending, c)
}

func (l *Listener) established(c *Conn) {
	l.mu.Lock()
	l.done(c)
	if id := c.core.State().LocalConnectionID; len(id) > 0 {
		l.byID[string(id)] = c
	}
	l.mu.Unlock()
	select {
	case l.backlog <- c:
	default:
		l.stats.backlogFull.Add(1)
		c.core.Close(now())
	}
}

func (l *Listener) moved(c *Conn, from, to netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byAddr[from] == c {
		delete(l.byAddr, from)
	}
	l.byAddr[to] = c
}

func (l *Listener) ended(c *Conn) {
	if c.timer != nil {
		c.timer.Stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done(c)
	if l.byAddr[c.remote] == c {
		delete(l.byAddr, c.remote)
	}
	if id := c.core.State().LocalConnectionID; l.byID[string(id)] == c {
		delete(l.byID, string(id))
	}
}

func (l *Listener) send(b []byte, to netip.AddrPort) error {
	_, err := l.pc.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

// LocalAddr is the socket's address.
func (l *Listener) LocalAddr() net.Addr { return l.pc.LocalAddr() }

func (l *Listener) remoteAddr(to netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(to) }

// Addr is the socket's address.
func (l *Listener) Addr() net.Addr { return l.pc.LocalAddr() }

// Accept returns the next connection that has shaken hands: a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.quit:
		return nil, net.ErrClosed
	}
}

// Close ends the listener, all its connections, and its socket.
func (l *Listener) Close() error {
	l.end()
	return l.pc.Close()
}

// end closes what there is.
func (l *Listener) end() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.quit)
	conns := make([]*Conn, 0, len(l.byAddr))
	for _, c := range l.byAddr {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// Stats returns the counters so far.
func (l *Listener) Stats() ListenerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.stats
	return ListenerStats{
		Conns: len(l.byAddr), HalfOpen: len(l.pending), HalfOpenBytes: l.halfOpen,
		UnprovenBytes: int(s.unproven.Load()), Hellos: s.hellos.Load(), Forgotten: s.forgotten.Load(),
		Refused: s.refused.Load(), Admitted: s.admitted.Load(), QueueFull: s.queueFull.Load(),
		BacklogFull: s.backlogFull.Load(), Strangers: s.strangers.Load(),
	}
}
