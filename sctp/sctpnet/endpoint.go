package sctpnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
)

// Config of an endpoint. The zero value works.
type Config struct {
	// SCTP is what each association gets. DTLS says that the net.PacketConn
	// detects every error, as DTLS does (RFC 9653); over plain UDP it must be
	// false. MTU 0: 1232; MaxMTU 0: no probes, since a net.PacketConn does not
	// say whether IP fragments its datagrams. A Budget cannot be shared here.
	SCTP sctp.Config
	// MaxConns bounds the associations. 0: DefaultMaxConns.
	MaxConns int
	// Backlog bounds the associations which nobody has accepted; negative:
	// none are, as for a client. 0: DefaultBacklog.
	Backlog int
	// CloseTimeout is how long Conn.Close waits for delivery. 0:
	// DefaultCloseTimeout; negative: it does not wait, and aborts.
	CloseTimeout time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.SCTP.Budget != nil {
		return c, errors.New("sctpnet: associations here have goroutines of their own and cannot share Config.SCTP.Budget")
	}
	if c.SCTP.MTU == 0 {
		c.SCTP.MTU = defaultMTU
	}
	if c.SCTP.MaxMTU == 0 {
		c.SCTP.MaxMTU = -1
	}
	if c.MaxConns <= 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.Backlog == 0 {
		c.Backlog = DefaultBacklog
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	return c, nil
}

// Stats of an endpoint. Counters never decrease.
type Stats struct {
	Conns     int    // associations now
	Strangers uint64 // packets of nobody known, INITs included
	Refused   uint64 // associations beyond MaxConns or Backlog
	Dropped   uint64 // packets which nobody could take
}

// Endpoint is a net.PacketConn with any number of associations.
type Endpoint struct {
	pc      net.PacketConn
	cfg     Config
	greeter *sctp.Greeter // of the reading goroutine
	accepts chan *Conn
	ending  chan struct{} // closed when it is to end
	done    chan struct{} // closed when reading has ended

	mu     sync.Mutex
	err    error // why it ended
	byTag  map[uint32]*Conn
	byPeer map[string]*Conn

	strangers, refused, dropped atomic.Uint64
}

// New makes an endpoint of pc, which it closes in the end.
func New(pc net.PacketConn, cfg Config) (*Endpoint, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		pc: pc, cfg: cfg, accepts: make(chan *Conn, max(cfg.Backlog, 0)), ending: make(chan struct{}), done: make(chan struct{}),
		byTag: make(map[uint32]*Conn), byPeer: make(map[string]*Conn),
	}
	if cfg.Backlog > 0 {
		e.greeter = sctp.NewGreeter(cfg.SCTP)
	}
	go e.read()
	return e, nil
}

// Listen makes an endpoint which listens on a UDP address, such as ":9899",
// RFC 6951's port.
func Listen(network, address string, cfg Config) (*Endpoint, error) {
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	e, err := New(pc, cfg)
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	return e, nil
}

// Dial connects to a UDP address from a socket of its own, which is closed
// with the association.
func Dial(ctx context.Context, network, address string, cfg Config) (*Conn, error) {
	to, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenPacket(network, ":0")
	if err != nil {
		return nil, err
	}
	cfg.Backlog = -1
	e, err := New(pc, cfg)
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	c, err := e.dial(ctx, to, true)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return c, nil
}

// Dial connects to an address, which the net.PacketConn must understand. The
// peer's SCTP port is Config.SCTP.RemotePort.
func (e *Endpoint) Dial(ctx context.Context, to net.Addr) (*Conn, error) {
	return e.dial(ctx, to, false)
}

func (e *Endpoint) dial(ctx context.Context, to net.Addr, alone bool) (*Conn, error) {
	port := e.cfg.SCTP.RemotePort
	if port == 0 {
		port = 5000
	}
	c := newConn(e, sctp.New(e.cfg.SCTP), to, peerKey(to, port))
	c.alone = alone
	if err := e.add(c); err != nil {
		return nil, err
	}
	c.locked(func(now mono.Time) { c.assoc.Start(now) })
	select {
	case <-c.connected:
		return c, nil
	case <-c.closed:
		return nil, fmt.Errorf("sctpnet: connecting to %v: %w", to, c.reason())
	case <-ctx.Done():
		c.Abort("")
		return nil, fmt.Errorf("sctpnet: connecting to %v: %w", to, ctx.Err())
	}
}

// Accept waits for the next association of a peer.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-e.accepts:
		return c, nil
	case <-e.done:
		return nil, e.ended()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Addr is the local address.
func (e *Endpoint) Addr() net.Addr { return e.pc.LocalAddr() }

// Stats returns a snapshot.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{
		Conns: len(e.byPeer), Strangers: e.strangers.Load(), Refused: e.refused.Load(), Dropped: e.dropped.Load(),
	}
}

// Close aborts every association and closes the net.PacketConn. To deliver
// what was written, close the associations first.
func (e *Endpoint) Close() error {
	err := e.stop(net.ErrClosed)
	<-e.done
	return err
}

// stop ends everything but the reading goroutine, which follows.
func (e *Endpoint) stop(why error) error {
	e.mu.Lock()
	if e.err != nil {
		e.mu.Unlock()
		return nil
	}
	e.err = why
	close(e.ending)
	conns := make([]*Conn, 0, len(e.byPeer))
	for _, c := range e.byPeer {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.Abort("")
	}
	return e.pc.Close()
}

func (e *Endpoint) ended() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// peerKey tells peers apart: by address and SCTP port.
func peerKey(a net.Addr, port uint16) string {
	return string([]byte{byte(port >> 8), byte(port)}) + a.String()
}

// add takes an association in.
func (e *Endpoint) add(c *Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return e.err
	case len(e.byPeer) >= e.cfg.MaxConns:
		e.refused.Add(1)
		return errors.New("sctpnet: too many associations")
	case e.byPeer[c.key] != nil:
		return fmt.Errorf("sctpnet: there is an association with %v", c.remote)
	}
	c.tag = c.assoc.Tag()
	e.byPeer[c.key], e.byTag[c.tag] = c, c
	return nil
}

// remove forgets an association; its lock is held.
func (e *Endpoint) remove(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byPeer[c.key] == c {
		delete(e.byPeer, c.key)
	}
	if e.byTag[c.tag] == c {
		delete(e.byTag, c.tag)
	}
}

// retag follows a change of an association's tag or address; its lock is held.
func (e *Endpoint) retag(c *Conn, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byPeer[c.key] != c || (key != c.key && e.byPeer[key] != nil) {
		return
	}
	delete(e.byPeer, c.key)
	delete(e.byTag, c.tag)
	c.key, c.tag = key, c.assoc.Tag()
	e.byPeer[c.key], e.byTag[c.tag] = c, c
}

// find returns the association a packet is for, nil if it is a stranger's.
func (e *Endpoint) find(b []byte, key string) *Conn {
	tag, _ := sctp.PacketTag(b)
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.byTag[tag]; c != nil && tag != 0 {
		return c
	}
	return e.byPeer[key]
}

func (e *Endpoint) read() {
	defer close(e.done)
	b, out := make([]byte, maxDatagram), make([]byte, maxDatagram)
	for fails := 0; ; {
		n, from, err := e.pc.ReadFrom(b)
		if err != nil {
			// A refused datagram shows as an error of the next read on some
			// systems, and is nobody's business.
			if fails++; fails < 100 && !errors.Is(err, net.ErrClosed) && e.ended() == nil {
				select {
				case <-e.ending:
				case <-time.After(time.Duration(fails) * time.Millisecond):
				}
				continue
			}
			_ = e.stop(err)
			return
		}
		fails = 0
		if n < 12 || from == nil {
			e.dropped.Add(1)
			continue
		}
		port := uint16(b[0])<<8 | uint16(b[1])
		key := peerKey(from, port)
		if c := e.find(b[:n], key); c != nil {
			c.input(b[:n], from, key)
		} else {
			e.stranger(b[:n], out, from, key)
		}
	}
}

// stranger takes a packet of nobody known.
func (e *Endpoint) stranger(b, out []byte, from net.Addr, key string) {
	e.strangers.Add(1)
	if e.greeter == nil {
		return
	}
	now := mono.Now()
	n, a, err := e.greeter.HandlePacket(now, b, []byte(key), out)
	if err != nil {
		e.dropped.Add(1)
	}
	if n > 0 {
		_, _ = e.pc.WriteTo(out[:n], from) // lost, like any datagram
	}
	if a == nil {
		return
	}
	c := newConn(e, a, from, key)
	if e.add(c) != nil {
		return
	}
	c.locked(func(mono.Time) {})
	select {
	case e.accepts <- c:
	default:
		e.refused.Add(1)
		c.Abort("backlog full")
	}
}
