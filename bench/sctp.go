package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
	pionsctp "github.com/pion/sctp"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
	"github.com/sluicertc/sluice/sctp"
)

const (
	sctpRate    = 50_000_000 // bits per second of the emulated link
	sctpQueue   = 256 << 10  // bytes which may wait for it
	sctpMessage = 64 << 10   // bytes
)

// An sctpCase is a path of the scenario, taken apart.
type sctpCase struct {
	rtt  time.Duration
	loss float64
}

func sctpScenario() *scenario {
	s := &scenario{
		name: "sctp", about: "one association over an emulated link of 50 Mb/s: what arrives at round trips and losses",
		quick: []string{"link/20ms/0pct", "link/20ms/1pct", "link/100ms/0.1pct"},
		peers: []peer{{name: "pion/sctp", version: module("github.com/pion/sctp")}, usrsctpPeer()}, measure: measureSCTP,
	}
	for _, rtt := range []string{"0ms", "20ms", "100ms"} {
		for _, loss := range []string{"0pct", "0.1pct", "1pct"} {
			s.cases = append(s.cases, "link/"+rtt+"/"+loss)
		}
	}
	return s
}

func parseSCTP(path string) (c sctpCase, err error) {
	parts := strings.Split(path, "/")
	if len(parts) != 3 || parts[0] != "link" {
		return c, fmt.Errorf("%q is no case of sctp", path)
	}
	if c.rtt, err = time.ParseDuration(parts[1]); err != nil {
		return c, err
	}
	if c.loss, err = strconv.ParseFloat(strings.TrimSuffix(parts[2], "pct"), 64); err != nil {
		return c, fmt.Errorf("%q: %w", path, err)
	}
	c.loss /= 100
	return c, nil
}

// links are both directions; those who compete get the same seeds.
func (c sctpCase) links(seed uint64) (ab, ba netem.Config) {
	n := netem.Config{Seed: seed, Loss: c.loss, Delay: c.rtt / 2, Rate: sctpRate, Queue: sctpQueue}
	back := n
	back.Seed += 1000
	return n, back
}

func measureSCTP(r *run, cases []string, peers []peer) error {
	rounds, stretch := 7, 10*time.Second
	if r.quick {
		rounds, stretch = 3, 3*time.Second
	}
	for _, path := range cases {
		c, err := parseSCTP(path)
		if err != nil {
			return err
		}
		for _, p := range peers {
			var ours, theirs []float64
			for round := range rounds {
				r.table.status("sctp %s: round %d of %d", path, round+1, rounds)
				a, err := c.sluice(uint64(round+1), stretch)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				rival := c.pion
				if p.name == usrsctp.name {
					rival = c.usrsctp
				}
				b, err := rival(uint64(round+1), stretch)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", path, p.name, err)
				}
				ours, theirs = append(ours, a), append(theirs, b)
			}
			row := Row{Scenario: "sctp", Case: path, Unit: "Mb/s", Better: higher, Peer: p.name, PeerVersion: p.version()}
			row.Also = map[string]float64{"link_share_pct": median(ours) * 1e8 / sctpRate}
			row.PeerAlso = map[string]float64{"link_share_pct": median(theirs) * 1e8 / sctpRate}
			row.compare(ours, theirs)
			r.emit(row)
		}
	}
	return nil
}

// sluice returns the Mb/s that arrive within d of virtual time, connecting and
// slow start included.
func (c sctpCase) sluice(seed uint64, d time.Duration) (float64, error) {
	a, b := sctp.New(sctp.Config{}), sctp.New(sctp.Config{})
	ab, ba := c.links(seed)
	w := simtest.New(a, b, ab, ba)
	data, arrived, closed := make([]byte, sctpMessage), 0, error(nil)
	w.Drain = func(int) {
		for _, end := range []*sctp.Association{a, b} {
			for e, ok := end.Event(); ok; e, ok = end.Event() {
				switch e.Kind {
				case sctp.EventMessage:
					arrived += len(e.Data)
					end.Consume(e.SID, len(e.Data))
				case sctp.EventClosed:
					closed = errors.Join(errors.New("the association ended"), e.Err)
				}
			}
		}
		for closed == nil && a.BufferedAmount(1) < highWater {
			if err := a.Write(w.Now, 1, 53, data, sctp.SendOptions{}); err != nil {
				closed = err
			}
		}
	}
	a.Start(w.Now)
	w.Run(d, func() bool { return closed != nil })
	return float64(arrived) * 8 / 1e6 / d.Seconds(), closed
}

// pion does the same in real time: its timers know no other.
func (c sctpCase) pion(seed uint64, d time.Duration) (mbps float64, err error) {
	net := newWire(c.links(seed))
	defer net.close()
	ctx, cancel := context.WithTimeout(context.Background(), d+20*time.Second)
	defer cancel()
	type result struct {
		a   *pionsctp.Association
		err error
	}
	start, accepted := time.Now(), make(chan result, 1)
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	go func() {
		a, err := pionsctp.Server(pionsctp.Config{NetConn: net.ends[1], LoggerFactory: logs})
		accepted <- result{a, err}
	}()
	client, err := pionsctp.Client(pionsctp.Config{NetConn: net.ends[0], LoggerFactory: logs})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var server result
	select {
	case server = <-accepted:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if server.err != nil {
		return 0, server.err
	}
	defer server.a.Close()
	stream, err := client.OpenStream(1, pionsctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return 0, err
	}
	low := make(chan struct{}, 1)
	stream.SetBufferedAmountLowThreshold(lowWater)
	stream.OnBufferedAmountLow(func() { signal(low) })
	go func() {
		data := make([]byte, sctpMessage)
		for {
			if stream.BufferedAmount() > highWater {
				select {
				case <-low:
				case <-ctx.Done():
					return
				}
				continue
			}
			if _, err := stream.Write(data); err != nil {
				return // closed: the time is over
			}
		}
	}()
	return receivePion(server.a, start, d)
}

func receivePion(a *pionsctp.Association, start time.Time, d time.Duration) (float64, error) {
	stream, err := a.AcceptStream()
	if err != nil {
		return 0, err
	}
	if err := stream.SetReadDeadline(start.Add(d)); err != nil {
		return 0, err
	}
	buf, arrived := make([]byte, sctpMessage), 0
	for {
		n, err := stream.Read(buf)
		if err != nil {
			break // the deadline
		}
		arrived += n
	}
	return float64(arrived) * 8 / 1e6 / d.Seconds(), nil
}

// A wire is two emulated links on the wall clock.
type wire struct {
	mu    sync.Mutex
	links [2]*netem.Link // links[i] leads to ends[1-i]
	ends  [2]*wireEnd
	done  chan struct{}
	once  sync.Once
}

type wireEnd struct {
	w    *wire
	side int
	in   chan []byte
}

func newWire(ab, ba netem.Config) *wire {
	w := &wire{links: [2]*netem.Link{netem.New(ab), netem.New(ba)}, done: make(chan struct{})}
	for i := range w.ends {
		w.ends[i] = &wireEnd{w, i, make(chan []byte, 4096)}
	}
	go w.carry()
	return w
}

// carry delivers what is due, some 0.1 ms late.
func (w *wire) carry() {
	for {
		select {
		case <-w.done:
			return
		case <-time.After(100 * time.Microsecond):
		}
		w.mu.Lock()
		now := mono.Now()
		for i, l := range w.links {
			for b, ok := l.Pop(now); ok; b, ok = l.Pop(now) {
				select {
				case w.ends[1-i].in <- b:
				default: // the reader is far behind
				}
			}
		}
		w.mu.Unlock()
	}
}

func (w *wire) close() { w.once.Do(func() { close(w.done) }) }

func (e *wireEnd) Read(b []byte) (int, error) {
	select {
	case p := <-e.in:
		return copy(b, p), nil
	case <-e.w.done:
		return 0, io.EOF
	}
}

func (e *wireEnd) Write(b []byte) (int, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.links[e.side].Push(mono.Now(), b)
	return len(b), nil
}

func (e *wireEnd) Close() error                     { e.w.close(); return nil }
func (e *wireEnd) LocalAddr() net.Addr              { return wireAddr{} }
func (e *wireEnd) RemoteAddr() net.Addr             { return wireAddr{} }
func (e *wireEnd) SetDeadline(time.Time) error      { return nil }
func (e *wireEnd) SetReadDeadline(time.Time) error  { return nil }
func (e *wireEnd) SetWriteDeadline(time.Time) error { return nil }

type wireAddr struct{}

func (wireAddr) Network() string { return "emulated" }
func (wireAddr) String() string  { return "emulated" }
