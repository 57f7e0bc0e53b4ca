package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sockets"
)

// steerKernel measures a group of sockets among which the program steers
// against one among which the kernel's hash spreads.
func steerKernel(r *run, path string, c steerCase, p peer) error {
	row := Row{Scenario: "steer", Case: path, Better: lower, Peer: p.name, PeerVersion: p.version()}
	if err := bpf.Supported(); err != nil {
		row.Skipped = err.Error() + "; run as root"
		r.emit(row)
		return nil
	}
	rounds := map[bool]map[string]int{false: {"cost": 401, "balance": 101}, true: {"cost": 201, "balance": 21}}[r.quick][c.kind]
	var err error
	if c.kind == "cost" {
		err = steerCost(&row, c, rounds)
	} else {
		err = steerBalance(&row, c, rounds)
	}
	if err == nil {
		r.emit(row)
	}
	return err
}

// steerCost: the processor time of a datagram from the call that sends it over
// the loopback network, in which the kernel chooses its socket, to the read.
func steerCost(row *Row, c steerCase, rounds int) error {
	var sides [2]*steerGroup
	for i := range sides {
		g, err := newSteerGroup(c.sockets, i == 0)
		if err != nil {
			return err
		}
		defer g.close()
		if err := g.connect(i == 0 && c.what == "flow"); err != nil {
			return err
		}
		g.payload = make([]byte, socketSize)
		if c.what == "ufrag" {
			g.payload = steerCheck(1)
		}
		sides[i] = g
	}
	turn := func(g *steerGroup) func(time.Duration) (float64, error) {
		return func(d time.Duration) (float64, error) {
			begun, n := threadCPU(), 0
			for threadCPU()-begun < d {
				k, err := g.round()
				if err != nil {
					return 0, err
				}
				n += k
			}
			return float64(threadCPU()-begun) / float64(n), nil
		}
	}
	cs := []contender{{name: "sluice", turn: turn(sides[0])}, {name: row.Peer, turn: turn(sides[1])}}
	for _, k := range cs { // warms up
		if _, err := k.turn(remoteTime); err != nil {
			return err
		}
	}
	times, err := turns(cs, rounds)
	if err != nil {
		return err
	}
	row.Unit = "ns CPU/datagram"
	row.compare(times[0], times[1])
	st, err := sides[0].steering.Stats()
	if err != nil {
		return err
	}
	if all := st.Flow + st.Ufrag + st.Hash + st.Errors; all > 0 {
		row.Also = map[string]float64{"dearer_pct": 100 * (1/row.Ratio - 1), "steered_pct": 100 * float64(st.Flow+st.Ufrag) / float64(all)}
	}
	return nil
}

// steerBalance: what the busiest socket gets of equal flows from new ports, in
// percent of an even share. The engine gives transports to its shards in turn,
// and so are the flows given to the sockets here.
func steerBalance(row *Row, c steerCase, rounds int) error {
	var shares [2][]float64
	for range rounds {
		for i := range shares {
			g, err := newSteerGroup(c.sockets, i == 0)
			if err != nil {
				return err
			}
			g.payload = make([]byte, 100)
			if err = g.connect(i == 0); err == nil {
				_, err = g.round()
			}
			busiest, all := g.busiest()
			if err = errors.Join(err, g.close()); err != nil {
				return err
			}
			shares[i] = append(shares[i], 100*float64(busiest)*float64(c.sockets)/float64(all))
		}
	}
	row.Unit = "% of an even share"
	row.compare(shares[0], shares[1])
	// The 10th percentile of what chance does says too little.
	row.Value, row.PeerValue = median(shares[0]), median(shares[1])
	row.Also = map[string]float64{"worst_imbalance_pct": percentile(shares[0], 100) - 100, "imbalance_pct": median(shares[0]) - 100}
	row.PeerAlso = map[string]float64{"worst_imbalance_pct": percentile(shares[1], 100) - 100, "imbalance_pct": median(shares[1]) - 100}
	return nil
}

// A steerGroup is sockets on one port, and senders to it.
type steerGroup struct {
	conns    []sockets.Conn
	steering *bpf.Steering // nil: the kernel's hash
	senders  []int
	payload  []byte
	ms       []sockets.Message
}

func newSteerGroup(n int, steered bool) (g *steerGroup, err error) {
	g = &steerGroup{ms: make([]sockets.Message, steerFlows)}
	for i := range g.ms {
		g.ms[i].Buf = make([]byte, 1500)
	}
	cfg := sockets.Config{Addr: loopback, ReusePort: true}
	var raws []syscall.RawConn
	for range n {
		c, err := sockets.Listen(cfg)
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		c.SetTimeout(mono.Now()) // passed: reads do not wait
		g.conns = append(g.conns, c)
		cfg.Addr = c.LocalAddr()
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		raws = append(raws, raw)
	}
	if steered {
		if g.steering, err = bpf.New(raws, bpf.Config{}); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	return g, nil
}

// connect makes the senders and, if they are to be known, puts them into the
// flow map.
func (g *steerGroup) connect(known bool) error {
	to := g.conns[0].LocalAddr()
	for i := range steerFlows {
		fd, err := rawSocket()
		if err != nil {
			return err
		}
		g.senders = append(g.senders, fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
			return err
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		if a := name.(*unix.SockaddrInet4); known {
			if err := g.steering.Set(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), i%len(g.conns)); err != nil {
				return err
			}
		}
	}
	return nil
}

// round sends a datagram of each flow and reads them all. Over the loopback
// network a datagram is in its socket when the call that sent it returns.
func (g *steerGroup) round() (n int, err error) {
	for _, fd := range g.senders {
		if _, err := unix.Write(fd, g.payload); err != nil {
			return 0, err
		}
	}
	for _, c := range g.conns {
		for {
			k, err := c.ReadBatch(g.ms)
			if err != nil {
				return n, err
			}
			if n += k; k == 0 {
				break
			}
		}
	}
	if n != len(g.senders) {
		return n, fmt.Errorf("%d of %d datagrams arrived", n, len(g.senders))
	}
	return n, nil
}

// busiest is how many datagrams the socket has read that has read most, and how
// many all have.
func (g *steerGroup) busiest() (most, all uint64) {
	for _, c := range g.conns {
		n := c.Stats().Received
		most = max(most, n)
		all += n
	}
	return most, all
}

func (g *steerGroup) close() error {
	var errs []error
	for _, fd := range g.senders {
		errs = append(errs, unix.Close(fd))
	}
	if g.steering != nil {
		errs = append(errs, g.steering.Close())
	}
	for _, c := range g.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// steerCheck is a browser's first binding request, whose user fragment names a
// socket: USERNAME, GOOG-NETWORK-INFO, ICE-CONTROLLING, PRIORITY, and room for
// MESSAGE-INTEGRITY and FINGERPRINT, which the kernel does not look at.
func steerCheck(socket int) []byte {
	b := []byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, a := range []struct {
		kind  uint16
		value []byte
	}{
		{0x0006, []byte(bpf.UfragPrefix(socket) + "wxyz0123:peer")}, {0xC057, make([]byte, 4)}, {0x802A, make([]byte, 8)},
		{0x0024, make([]byte, 4)}, {0x0008, make([]byte, 20)}, {0x8028, make([]byte, 4)},
	} {
		b = binary.BigEndian.AppendUint16(b, a.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.value)))
		b = append(b, a.value...)
		b = append(b, make([]byte, -len(a.value)&3)...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}
