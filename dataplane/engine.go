package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/stun"
)

// ErrUfragInUse says that two live endpoints chose one ICE user fragment.
var ErrUfragInUse = errors.New("dataplane: ICE ufrag is already registered")

// Config describes an Engine. The zero value is one shard per processor, all
// addresses of the machine, one UDP port chosen by the system.
type Config struct {
	// Addr is the UDP address every shard binds.
	Addr netip.AddrPort
	// Shards is the number of shards, 0 for GOMAXPROCS. Where the system
	// cannot share a port between sockets (all but Linux) there is one.
	Shards int
	// Sockets are the options of the sockets; Addr and ReusePort are set by
	// the Engine.
	Sockets sockets.Config
	// MaxBurstDelay is how long the packets of a video frame wait for the rest of
	// it, so that each receiver gets them in one run: at most, and only while a
	// shard sends thousands of packets a second. 0 means 1 ms, below zero never.
	MaxBurstDelay time.Duration
	// MaxRunPadding is how many bytes of RTP padding (RFC 3550 §5.1) a packet may
	// get, 255 at most, so that it is as long as its neighbours and leaves in one
	// run with them: a cheaper way out for more bytes. 0 means none.
	MaxRunPadding int
	// MaxChannelMemory bounds, in bytes, what the buffers of all data channels take
	// beyond what each association has for itself, some 600 KiB at most: windows
	// grow with what is read and written, and are taken back. 0 means 256 MiB.
	MaxChannelMemory int
	// MaxHandshakes is how many DTLS handshakes a shard has under way at once;
	// others wait their turn. 0 means 512.
	MaxHandshakes int
	// NoSteering leaves it to the kernel's hash which shard a datagram reaches.
	// Otherwise, where the process may load BPF programs (package bpf) and there
	// are several shards, each datagram of a transport reaches its own.
	NoSteering bool
	// MaxFlows bounds the remote addresses that are steered, 0 for
	// bpf.DefaultFlows. Datagrams of others are handed over between shards.
	MaxFlows int
	// Filter, if its Interface is set, has the kernel drop there what no WebRTC
	// peer sends to the engine's port, and too much from addresses that are not
	// known (package bpf). Ports and Steering are set by the Engine. Where the
	// system cannot, that is logged.
	Filter bpf.FilterConfig
	// Logger receives what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// Engine is a set of shards on one UDP port. Its methods are for any goroutine.
type Engine struct {
	log    *slog.Logger
	addr   netip.AddrPort
	shards []*Shard
	next   atomic.Uint32

	// Set before the lanes start.
	steered *steering // nil: the kernel's hash decides
	filter  filter    // nil: none
	known   *steering // tells the filter the addresses where nothing steers; nil: need not

	mu     sync.RWMutex // taken by ctl lanes and callers, never by a data lane
	ufrags map[string]registration
	asked  [2]map[stun.TransactionID]registration // this age's and the last's
	aged   mono.Time

	running sync.WaitGroup
	closed  atomic.Bool
	quit    chan struct{}
}

type registration struct {
	lane *Lane
	ep   Endpoint
}

// New binds the sockets and starts the lanes.
func New(cfg Config) (*Engine, error) {
	n := cfg.Shards
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	sc := cfg.Sockets
	sc.Addr = cfg.Addr
	if runtime.GOOS != "linux" || sc.Portable {
		n = 1
	}
	sc.ReusePort = n > 1
	conns := make([]sockets.Conn, 0, n)
	for range n {
		c, err := sockets.Listen(sc)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, fmt.Errorf("dataplane: %w", err)
		}
		sc.Addr = netip.AddrPortFrom(sc.Addr.Addr(), c.LocalAddr().Port())
		conns = append(conns, c)
	}
	e := newEngine(conns, cfg.Logger)
	for _, s := range e.shards {
		if cfg.MaxBurstDelay != 0 {
			s.gather.delay = cfg.MaxBurstDelay
		}
		s.padding = min(cfg.MaxRunPadding, 255)
		if cfg.MaxHandshakes > 0 {
			s.lane.gate.places = cfg.MaxHandshakes
		}
		if cfg.MaxChannelMemory > 0 {
			s.channelMemory = sctp.NewBudget(cfg.MaxChannelMemory / n)
		}
	}
	e.steer(&cfg, loadSteering)
	if err := e.guard(cfg.Filter, attachFilter); err != nil {
		return nil, errors.Join(fmt.Errorf("dataplane: %w", err), e.Close())
	}
	for _, s := range e.shards {
		e.running.Add(2)
		go s.run()
		go s.lane.run()
	}
	return e, nil
}

// newEngine wires shards to each other; it starts nothing.
func newEngine(conns []sockets.Conn, log *slog.Logger) *Engine {
	if log == nil {
		log = slog.Default()
	}
	e := &Engine{log: log, addr: conns[0].LocalAddr(), ufrags: map[string]registration{}, quit: make(chan struct{})}
	for i, c := range conns {
		e.shards = append(e.shards, newShard(e, i, len(conns), c))
	}
	for _, from := range e.shards {
		for _, to := range e.shards {
			if from != to {
				r := newRing[handover](handoverRing)
				from.out[to.index].ring = r
				to.in[from.index] = r
			}
		}
	}
	return e
}

// Close stops the lanes and closes the sockets; transports that are still
// open end without a word to their peers. It returns when all have stopped.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	close(e.quit)
	for _, s := range e.shards {
		s.conn.Wake()
	}
	e.running.Wait()
	var err error
	for _, s := range e.shards {
		err = errors.Join(err, s.conn.Close())
		s.release()
	}
	if e.filter != nil {
		err = errors.Join(err, e.filter.Close())
	}
	if e.steered != nil {
		err = errors.Join(err, e.steered.flows.Close())
	}
	return err
}

// LocalAddr is the bound address; its IP may be unspecified.
func (e *Engine) LocalAddr() netip.AddrPort { return e.addr }

// Shards is how many there are.
func (e *Engine) Shards() int { return len(e.shards) }

// Shard returns shard i, from zero.
func (e *Engine) Shard(i int) *Shard { return e.shards[i] }

// Lane picks the ctl lane for a new endpoint, each in turn.
func (e *Engine) Lane() *Lane {
	return e.shards[int(e.next.Add(1))%len(e.shards)].lane
}

// Register makes ep the endpoint of STUN requests to ufrag that come from
// addresses which are not yet known.
func (e *Engine) Register(ufrag string, lane *Lane, ep Endpoint) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return net.ErrClosed
	}
	if _, taken := e.ufrags[ufrag]; taken {
		return ErrUfragInUse
	}
	e.ufrags[ufrag] = registration{lane, ep}
	return nil
}

// Unregister forgets ufrag.
func (e *Engine) Unregister(ufrag string) {
	e.mu.Lock()
	delete(e.ufrags, ufrag)
	e.mu.Unlock()
}

func (e *Engine) lookup(ufrag []byte) (registration, bool) {
	e.mu.RLock()
	r, ok := e.ufrags[string(ufrag)]
	e.mu.RUnlock()
	return r, ok
}

// Expect makes ep the endpoint of the response to a STUN request it sends: the
// response bears no name, and may come from an address not seen before. It is
// remembered for one to two times transactionAge.
func (e *Engine) Expect(now mono.Time, id stun.TransactionID, lane *Lane, ep Endpoint) {
	e.mu.Lock()
	if e.asked[0] == nil || now.Sub(e.aged) > transactionAge || len(e.asked[0]) >= maxTransactions {
		e.asked[1], e.asked[0] = e.asked[0], map[stun.TransactionID]registration{}
		e.aged = now
	}
	e.asked[0][id] = registration{lane, ep}
	e.mu.Unlock()
}

func (e *Engine) expecting(id stun.TransactionID) (registration, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if r, ok := e.asked[0][id]; ok {
		return r, true
	}
	r, ok := e.asked[1][id]
	return r, ok
}

// owner finds the endpoint of a STUN packet from an unknown address.
func (e *Engine) owner(b []byte) (registration, bool) {
	if ufrag, ok := ice.LocalUfrag(b); ok {
		return e.lookup(ufrag)
	}
	if len(b) < 20 || b[0] != 1 {
		return registration{}, false // no response (RFC 8489 §5)
	}
	return e.expecting(stun.TransactionID(b[8:20]))
}

// Endpoint is the control half of a connection. Its methods run on the lane
// it was registered with, unless they say otherwise.
type Endpoint interface {
	// HandlePacket takes a STUN packet, a DTLS handshake datagram, or the
	// plaintext of a DTLS record that the data lane opened.
	HandlePacket(now mono.Time, p *Packet)
	// HandleChannel takes an event of the transport's data channels. Data lane:
	// it waits for nothing.
	HandleChannel(now mono.Time, ev ChannelEvent)
	// HandleFailure says that the transport hit a broken invariant and is
	// closed.
	HandleFailure(now mono.Time, err error)
}

// Packet is what the data lane passes to an Endpoint. Buf is borrowed.
type Packet struct {
	Buf         []byte
	Remote      netip.AddrPort
	Local       netip.AddrPort // its IP is invalid where the system does not tell
	Shard       *Shard         // whose socket received it
	Known       bool           // Remote belongs to one of the endpoint's transports
	ContentType uint8          // of an opened DTLS record; 0: a raw datagram
	At          mono.Time
}

// Done is closed when Close has been called.
func (e *Engine) Done() <-chan struct{} { return e.quit }
