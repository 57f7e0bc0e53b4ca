package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sockets"
)

// flowMap is where the kernel looks up which socket an address belongs to.
type flowMap interface {
	Set(remote netip.AddrPort, socket int) error
	Delete(remote netip.AddrPort) error
	Stats() (bpf.Stats, error)
	Close() error
}

// steering keeps the kernel's flow map in step with the transports' addresses.
// Ctl lanes and callers use it, under a mutex that no data lane takes.
type steering struct {
	flows flowMap

	mu     sync.Mutex
	owners map[netip.AddrPort]*Transport

	refused atomic.Uint64 // addresses that the map did not take
}

// loadSteering makes the kernel steer among the sockets of conns.
func loadSteering(conns []sockets.Conn, flows int) (flowMap, error) {
	raws := make([]syscall.RawConn, 0, len(conns))
	for _, c := range conns {
		sc, ok := c.(syscall.Conn)
		if !ok {
			return nil, bpf.ErrNotSupported
		}
		raw, err := sc.SyscallConn()
		if err != nil {
			return nil, err
		}
		raws = append(raws, raw)
	}
	return bpf.New(raws, bpf.Config{Flows: flows})
}

// errNotAsked is why a shard's datagrams are not steered when NoSteering is
// set.
var errNotAsked = errors.New("switched off by Config.NoSteering")

// steer sets steering up, where it works, and says once which it is.
func (e *Engine) steer(cfg *Config, load func([]sockets.Conn, int) (flowMap, error)) {
	if len(e.shards) < 2 {
		return
	}
	// A program that uses the default engine may know nothing of shards.
	level := slog.LevelInfo
	if cfg.Logger == nil {
		level = slog.LevelDebug
	}
	err := errNotAsked
	if !cfg.NoSteering {
		conns := make([]sockets.Conn, len(e.shards))
		for i, s := range e.shards {
			conns[i] = s.conn
		}
		var flows flowMap
		if flows, err = load(conns, cfg.MaxFlows); err == nil {
			e.steered = &steering{flows: flows, owners: map[netip.AddrPort]*Transport{}}
			e.log.Log(context.Background(), level, "the kernel steers datagrams by transport", "shards", len(e.shards))
			return
		}
	}
	e.log.Log(context.Background(), level, "the kernel spreads datagrams by hash", "shards", len(e.shards), "reason", err)
}

// add sends an address to t's shard, whoever had it before.
func (s *steering) add(addr netip.AddrPort, t *Transport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners[addr] == t {
		return
	}
	if s.flows.Set(addr, t.shard.index) != nil {
		// Where it went before, or by hash: handed over from there.
		s.refused.Add(1)
		return
	}
	s.owners[addr] = t
}

// remove forgets t's addresses, save those that another has taken over.
func (s *steering) remove(t *Transport, addrs ...netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addrs {
		if s.owners[a] == t {
			delete(s.owners, a)
			// Fails only when the map is closed, with all that it holds.
			_ = s.flows.Delete(a)
		}
	}
}

// unsteer is remove, on the ctl lane of t's shard. Data lane.
func (t *Transport) unsteer(addrs ...netip.AddrPort) {
	for _, s := range []*steering{t.engine.steered, t.engine.known} {
		if s != nil && len(addrs) > 0 {
			t.shard.lane.Post(func(mono.Time) { s.remove(t, addrs...) })
		}
	}
}

// SteeringStats tell how datagrams find their shard.
type SteeringStats struct {
	// Active is whether the kernel steers; else it spreads by hash, and all
	// that follows is zero.
	Active bool
	// Datagrams by what decided: the address of a transport, the user fragment
	// in a check from another, the kernel's hash, and the hash after an error.
	Flow, Ufrag, Hash, Errors uint64
	// Flows is the addresses steered now, Refused how many found no room.
	Flows   int
	Refused uint64
}

func (s *steering) stats() SteeringStats {
	if s == nil {
		return SteeringStats{}
	}
	s.mu.Lock()
	st := SteeringStats{Active: true, Flows: len(s.owners), Refused: s.refused.Load()}
	s.mu.Unlock()
	// Counters that cannot be read, as after Close, stay zero.
	k, _ := s.flows.Stats()
	st.Flow, st.Ufrag, st.Hash, st.Errors = k.Flow, k.Ufrag, k.Hash, k.Errors
	return st
}

// UfragPrefix is how the ICE user fragment of an endpoint on this lane should
// begin, for its first check to reach the lane's own shard. It may be empty.
func (l *Lane) UfragPrefix() string {
	if l.engine.steered == nil {
		return ""
	}
	return bpf.UfragPrefix(l.shard.index)
}
