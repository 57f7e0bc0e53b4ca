package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// relayQueue is how many packets may be under way in one direction; more are
// lost, as in any network.
const relayQueue = 4096

// A relay is a network between two ends, 0 and 1, that holds every packet for
// a while. Each end has a face, a socket that is the end's address as the other
// one sees it: what comes to the face of one end leaves from the other face.
type relay struct {
	delay time.Duration
	faces [2]*net.UDPConn
	ends  [2]atomic.Pointer[netip.AddrPort] // known once their descriptions passed
}

type heldPacket struct {
	due time.Time
	b   []byte
}

func newRelay(delay time.Duration) (*relay, error) {
	r := &relay{delay: delay}
	for i := range r.faces {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			r.close()
			return nil, err
		}
		r.faces[i] = c
	}
	for i := range r.faces {
		held := make(chan heldPacket, relayQueue)
		go r.receive(r.faces[i], held)
		go r.forward(r.faces[1-i], &r.ends[i], held)
	}
	return r, nil
}

func (r *relay) receive(face *net.UDPConn, held chan<- heldPacket) {
	defer close(held)
	b := make([]byte, 2048)
	for {
		n, err := face.Read(b)
		if err != nil {
			return // closed
		}
		select {
		case held <- heldPacket{time.Now().Add(r.delay), append([]byte(nil), b[:n]...)}:
		default:
		}
	}
}

// forward sends in the order of arrival, which is that of the due times.
func (r *relay) forward(face *net.UDPConn, end *atomic.Pointer[netip.AddrPort], held <-chan heldPacket) {
	for p := range held {
		time.Sleep(time.Until(p.due))
		if to := end.Load(); to != nil {
			_, _ = face.WriteToUDPAddrPort(p.b, *to)
		}
	}
}

func (r *relay) close() {
	for _, c := range r.faces {
		if c != nil {
			_ = c.Close() // nothing to lose
		}
	}
}

// pass takes the description of an end and returns it as the other one gets
// it, with the face as the only candidate.
func (r *relay) pass(end int, description string) (string, error) {
	face := r.faces[end].LocalAddr().(*net.UDPAddr).AddrPort()
	var b strings.Builder
	for line := range strings.SplitAfterSeq(description, "\n") {
		f := strings.Fields(line)
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
			continue
		}
		// RFC 8839 §5.1: foundation component transport priority address port
		if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") || r.ends[end].Load() != nil {
			continue
		}
		addr, err := netip.ParseAddrPort(net.JoinHostPort(f[4], f[5]))
		if err != nil || !addr.Addr().Is4() {
			continue
		}
		r.ends[end].Store(&addr)
		f[4], f[5] = face.Addr().String(), fmt.Sprint(face.Port())
		b.WriteString(strings.Join(f, " ") + "\r\n")
	}
	if r.ends[end].Load() == nil {
		return "", errors.New("a description without an IPv4 UDP candidate")
	}
	return b.String(), nil
}
