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
	sctpRate     = 50_000_000 // bits per second of the emulated link
	sctpQueue    = 256 << 10  // bytes which may wait for it
	gigabitRate  = 1_000_000_000
	gigabitQueue = 5 << 20  // as long in time
	sctpMessage  = 64 << 10 // bytes
)

// What is to be expected of gigabit/*: with a loss p and a round trip R, CUBIC's
// window is on average the larger of sqrt(1.5/p) segments, its Reno-friendly
// region, and 1.05 (R/p)^(3/4) (RFC 9438 §4.3, §5.1). At 100 ms that is 38.7
// segments, 4.5 Mb/s, at 0.1 % and 12.2 segments, 1.4 Mb/s, at 1 %, for TCP and
// for everybody who is fair to it, Pion's New Reno included; the first slow start
// adds what it carries before its first loss. So at a loss nobody can be at TCP's
// rate and at five times Pion's. Pion 1.11.1 is above TCP at 1 %, since a chunk that
// its RACK finds lost is sent again without a reduction of the window
// (onRackAfterSACK; only three miss indications reduce it). Who wants more than a
// flow's share asks for it: sctp.Config.Flows.

// An sctpCase is a path of the scenario, taken apart.
type sctpCase struct {
	memory bool // no link at all: what the association itself costs
	size   int  // bytes a message
	rate   int64
	queue  int
	rtt    time.Duration
	loss   float64
}

func sctpScenario() *scenario {
	s := &scenario{
		name: "sctp", about: "one association over an emulated link of 50 Mb/s or 1 Gb/s: what arrives at round trips and losses; and its CPU time over memory",
		quick: []string{"memory/64KB", "link/20ms/0pct", "link/20ms/1pct", "link/100ms/0.1pct"},
		peers: []peer{{name: "pion/sctp", version: module("github.com/pion/sctp")}, usrsctpPeer(), tcpPeer()}, measure: measureSCTP,
	}
	for _, rtt := range []string{"0ms", "20ms", "100ms"} {
		for _, loss := range []string{"0pct", "0.1pct", "1pct"} {
			s.cases = append(s.cases, "link/"+rtt+"/"+loss)
		}
	}
	for _, loss := range []string{"0pct", "0.1pct", "1pct"} {
		s.cases = append(s.cases, "gigabit/100ms/"+loss)
	}
	s.cases = append(s.cases, "memory/1KB", "memory/64KB")
	return s
}

func parseSCTP(path string) (c sctpCase, err error) {
	parts := strings.Split(path, "/")
	if len(parts) == 2 && parts[0] == "memory" && dataSizes[parts[1]] > 0 {
		return sctpCase{memory: true, size: dataSizes[parts[1]]}, nil
	}
	c = sctpCase{size: sctpMessage, rate: sctpRate, queue: sctpQueue}
	switch {
	case len(parts) != 3 || (parts[0] != "link" && parts[0] != "gigabit"):
		return c, fmt.Errorf("%q is no case of sctp", path)
	case parts[0] == "gigabit":
		c.rate, c.queue = gigabitRate, gigabitQueue
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
	n := netem.Config{Seed: seed, Loss: c.loss, Delay: c.rtt / 2, Rate: c.rate, Queue: c.queue}
	back := n
	back.Seed += 1000
	return n, back
}

func measureSCTP(r *run, cases []string, peers []peer) error {
	rounds, stretch := 7, 10*time.Second
	if r.quick {
		rounds, stretch = 3, 1500*time.Millisecond
	}
	for _, path := range cases {
		c, err := parseSCTP(path)
		if err != nil {
			return err
		}
		stretch := stretch
		if c.memory {
			stretch /= 5
		}
		for _, p := range peers {
			switch {
			case c.memory && p.name == "tcp":
				continue // the kernel's is never alone
			case c.memory && aloneMissing != "":
				r.emit(Row{Scenario: "sctp", Case: path, Peer: p.name, Skipped: aloneMissing})
				continue
			}
			var ours, theirs []float64
			rival := c.rival(p.name)
			for round := range rounds {
				r.table.status("sctp %s: round %d of %d", path, round+1, rounds)
				a, err := c.sluice(uint64(round+1), stretch)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				b, err := rival(uint64(round+1), stretch)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", path, p.name, err)
				}
				ours, theirs = append(ours, a), append(theirs, b)
			}
			row := Row{Scenario: "sctp", Case: path, Unit: "Mb/s", Better: higher, Peer: p.name, PeerVersion: p.version()}
			if c.memory {
				row.Unit = "MB/CPU-s"
			} else {
				row.Also = map[string]float64{"link_share_pct": median(ours) * 1e8 / float64(c.rate)}
				row.PeerAlso = map[string]float64{"link_share_pct": median(theirs) * 1e8 / float64(c.rate)}
			}
			row.compare(ours, theirs)
			r.emit(row)
		}
	}
	return nil
}

// rival is what a peer does in a round. Over a link that is the Mb/s which
// arrive within d, connecting and slow start included; over memory, MB per
// second of processor time.
func (c sctpCase) rival(name string) func(seed uint64, d time.Duration) (float64, error) {
	switch name {
	case usrsctp.name:
		return c.usrsctp
	case "tcp":
		return c.tcp
	}
	return c.pion
}

// sluice is on virtual time over a link.
func (c sctpCase) sluice(seed uint64, d time.Duration) (float64, error) {
	if c.memory {
		return c.sluiceAlone(d)
	}
	e := newSCTPEnds(c.size)
	ab, ba := c.links(seed)
	w := simtest.New(e.a, e.b, ab, ba)
	w.Drain = func(int) { e.work(w.Now) }
	e.a.Start(w.Now)
	w.Run(d, func() bool { return e.closed != nil })
	return float64(e.arrived) * 8 / 1e6 / d.Seconds(), e.closed
}

// sctpEnds are two associations of ours, of which a sends as much as goes.
type sctpEnds struct {
	a, b    *sctp.Association
	data    []byte
	arrived int
	closed  error
}

func newSCTPEnds(size int) *sctpEnds {
	return &sctpEnds{a: sctp.New(sctp.Config{}), b: sctp.New(sctp.Config{}), data: make([]byte, size)}
}

// work reads events and sends.
func (e *sctpEnds) work(now mono.Time) {
	for _, end := range []*sctp.Association{e.a, e.b} {
		for ev, ok := end.Event(); ok; ev, ok = end.Event() {
			switch ev.Kind {
			case sctp.EventMessage:
				e.arrived += len(ev.Data)
				end.Consume(ev.SID, len(ev.Data))
			case sctp.EventClosed:
				e.closed = errors.Join(errors.New("the association ended"), ev.Err)
			}
		}
	}
	for e.closed == nil && e.a.BufferedAmount(1) < highWater {
		err := e.a.Write(now, 1, 53, e.data, sctp.SendOptions{})
		if errors.Is(err, sctp.ErrSendBufferFull) {
			return
		}
		e.closed = err
	}
}

// pion does the same in real time: its timers know no other.
func (c sctpCase) pion(seed uint64, d time.Duration) (float64, error) {
	if c.memory {
		return c.pionAlone(d)
	}
	w := newWire(c.links(seed))
	defer w.close()
	arrived, err := c.pionFlow([2]net.Conn{w.ends[0], w.ends[1]}, d)
	return float64(arrived) * 8 / 1e6 / d.Seconds(), err
}

// pionFlow returns the bytes that arrive within d.
func (c sctpCase) pionFlow(ends [2]net.Conn, d time.Duration) (arrived int, err error) {
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
		a, err := pionsctp.Server(pionsctp.Config{NetConn: ends[1], LoggerFactory: logs})
		accepted <- result{a, err}
	}()
	client, err := pionsctp.Client(pionsctp.Config{NetConn: ends[0], LoggerFactory: logs})
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
		data := make([]byte, c.size)
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

func receivePion(a *pionsctp.Association, start time.Time, d time.Duration) (arrived int, err error) {
	stream, err := a.AcceptStream()
	if err != nil {
		return 0, err
	}
	if err := stream.SetReadDeadline(start.Add(d)); err != nil {
		return 0, err
	}
	buf := make([]byte, sctpMessage)
	for {
		n, err := stream.Read(buf)
		if err != nil {
			return arrived, nil // the deadline
		}
		arrived += n
	}
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
