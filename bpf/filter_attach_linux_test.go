package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread with a network of its own: a veth pair, of
// which v0 has an address and v1 is where frames are put in.
func inNamespace(t *testing.T, f func(in wire) error) {
	t.Helper()
	needFilter(t)
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("SLUICE_INTEROP") == "1" {
			t.Fatal(err)
		}
		t.Skipf("install iproute2: %v", err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends, and its network with it
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			for _, args := range [][]string{
				{"link", "add", "v0", "type", "veth", "peer", "name", "v1"},
				{"addr", "add", "10.9.0.1/24", "dev", "v0"},
				{"link", "set", "v0", "up"},
				{"link", "set", "v1", "up"},
			} {
				if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					return fmt.Errorf("ip %v: %w: %s", args, err, out)
				}
			}
			in, err := newWire()
			if err != nil {
				return err
			}
			defer unix.Close(in.fd)
			return f(in)
		}()
	}()
	select {
	case err := <-done:
		if errors.Is(err, errOldKernel) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
}

// errOldKernel is why a mode cannot be tried.
var errOldKernel = errors.New("needs Linux 6.6")

// wire puts frames into v1.
type wire struct {
	fd    int
	index int // of v0
	to    net.HardwareAddr
}

func newWire() (w wire, err error) {
	v0, err := net.InterfaceByName("v0")
	if err != nil {
		return w, err
	}
	v1, err := net.InterfaceByName("v1")
	if err != nil {
		return w, err
	}
	w.index, w.to = v0.Index, v0.HardwareAddr
	if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return w, err
	}
	return w, unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: v1.Index})
}

// send puts a datagram in, as from an address.
func (w wire) send(from string, port uint16, payload []byte) error {
	b := ethernet(0x0800, ip4(from, 0, 0, datagram(port, guarded, payload)))
	copy(b, w.to)
	copy(b[14+16:], []byte{10, 9, 0, 1})
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[14+10:], ^uint16(sum>>16+sum&0xffff))
	_, err := unix.Write(w.fd, b)
	return err
}

// received is what arrives up to and including a last packet of media.
func (w wire) received(c *net.UDPConn) (got []string, err error) {
	last := "\x80last"
	if err := w.send("10.9.0.99", 9, []byte(last)); err != nil {
		return nil, err
	}
	var b [2048]byte
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	for {
		n, from, err := c.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return got, fmt.Errorf("after %q: %w", got, err)
		}
		if string(b[:n]) == last {
			return got, nil
		}
		got = append(got, fmt.Sprintf("%v %x", from, b[0]))
	}
}

func TestFilterOnAnInterface(t *testing.T) {
	for _, mode := range []FilterMode{FilterDriver, FilterGeneric, FilterTC} {
		t.Run(mode.String(), func(t *testing.T) {
			inNamespace(t, func(in wire) error {
				c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: guarded})
				if err != nil {
					return err
				}
				defer c.Close()
				g := guard{ports: []uint16{guarded}, stun: hour(2), hello: hour(1)}
				f, err := attachFilter(FilterConfig{}, g, in.index, mode)
				if mode == FilterTC && errors.Is(err, unix.EINVAL) && os.Getenv("SLUICE_INTEROP") != "1" {
					return fmt.Errorf("%w: %w", errOldKernel, err) // only the test's own goroutine may skip it
				}
				if err != nil {
					return err
				}
				known := netip.MustParseAddrPort("10.9.0.7:700")
				err = errors.Join(f.Add(known), f.Delete(netip.MustParseAddrPort("10.9.0.7:701")))
				show := func() {
					for range 3 {
						err = errors.Join(err, in.send("10.9.0.2", 2, check(0)), in.send("10.9.0.3", 3, hello(0, 1)),
							in.send("10.9.0.4", 4, []byte("text")), in.send("10.9.0.7", 700, check(0)))
					}
				}
				show()
				got, failed := in.received(c)
				if err = errors.Join(err, failed); err != nil {
					return err
				}
				want := "[10.9.0.2:2 0 10.9.0.3:3 16 10.9.0.7:700 0 10.9.0.2:2 0 10.9.0.7:700 0 10.9.0.7:700 0]"
				if fmt.Sprint(got) != want {
					t.Errorf("passed: %v\nwant:   %v", got, want)
				}
				st, failed := f.Stats()
				if st != (FilterStats{Passed: 1, Known: 3, Admitted: 3, Foreign: 3, STUN: 1, Hello: 2}) || failed != nil {
					t.Errorf("%+v, %v", st, failed)
				}
				if f.Mode() != mode {
					t.Errorf("mode %v", f.Mode())
				}
				// Forgotten, it is one of its source's. Closed, the filter is gone.
				if err := errors.Join(f.Delete(known), f.Delete(known)); err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
				show()
				if got, failed = in.received(c); len(got) != 12 {
					t.Errorf("after Close: %v", got)
				}
				return errors.Join(err, failed)
			})
		})
	}
}

// Which hook an interface takes is found out, and what it refuses is told.
func TestFilterFindsItsHook(t *testing.T) {
	inNamespace(t, func(in wire) error {
		cfg := FilterConfig{Interface: "v0", Ports: []uint16{guarded}}
		f, err := AttachFilter(cfg)
		if err != nil {
			return err
		}
		if f.Mode() != FilterDriver {
			t.Errorf("on veth it is %v", f.Mode())
		}
		// The driver's hook is taken, and a second program of XDP is refused.
		second, err := AttachFilter(cfg)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if second.Mode() != FilterTC {
			t.Errorf("beside XDP it is %v", second.Mode())
		}
		cfg.Mode = FilterGeneric
		if third, err := AttachFilter(cfg); !errors.Is(err, ErrNotSupported) {
			t.Errorf("a taken hook: %v, %v", third, err)
		}
		return errors.Join(second.Close(), f.Close())
	})
}

// Where a Steering is, the addresses it steers are those that are known.
func TestFilterSharesTheFlowsOfASteering(t *testing.T) {
	needPrograms(t)
	needFilter(t)
	g := newGroup(t, "udp4", "127.0.0.1:0", 2)
	steering := g.steer(Config{})
	maps, err := loadFilter(guard{ports: []uint16{guarded}, stun: hour(1), hello: hour(1)}, steering.flows, 1, 16, false)
	if err != nil {
		t.Fatal(err)
	}
	f := &testFilter{maps, t, false}
	b := ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(7, guarded, check(0))))
	if !f.passes(b) || f.passes(b) {
		t.Error("a stranger is not limited")
	}
	from := netip.MustParseAddrPort("10.0.0.1:7")
	if err := steering.Set(from, 1); err != nil {
		t.Fatal(err)
	}
	if !f.passes(b) {
		t.Error("what is steered is limited")
	}
	whole := Filter{filterSet: maps, shared: true}
	if err := errors.Join(whole.Add(from), whole.Delete(from)); err != nil || !f.passes(b) {
		t.Error("the filter wrote to another's map", err)
	}
	if err := maps.close(steering.flows); err != nil {
		t.Fatal(err)
	}
	if err := steering.Set(from, 0); err != nil {
		t.Error("the filter closed another's map", err)
	}
}

func TestFilterWithoutRoom(t *testing.T) {
	needFilter(t)
	s, err := loadFilter(guard{ports: []uint16{1}, stun: hour(1), hello: hour(1)}, nil, 2, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	f := Filter{filterSet: s}
	var full int
	for i := range 4 {
		err := f.Add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1))
		if errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if full != 2 {
		t.Errorf("%d refused, want 2", full)
	}
	if err := s.close(nil); err != nil {
		t.Error(err)
	}
	if _, err := f.Stats(); err == nil {
		t.Error("closed counters can be read")
	}
}
