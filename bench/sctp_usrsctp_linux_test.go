package main

import (
	"os"
	"testing"
	"time"
)

// The packets of a datagram pair come through a link as they went in.
func TestJoinCarriesDatagrams(t *testing.T) {
	w := newWire(sctpCase{rate: sctpRate, queue: sctpQueue}.links(1))
	defer w.close()
	var far [2]*os.File
	for i, end := range w.ends {
		ours, theirs, err := datagramPair()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		defer theirs.Close()
		far[i] = theirs
		go join(ours, end)
	}
	for i, text := range []string{"there", "and back"} {
		from, to := far[i], far[1-i]
		if _, err := from.WriteString(text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, err := to.Read(b)
		if err != nil || string(b[:n]) != text {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
}

func TestUsrsctpOverTheLink(t *testing.T) {
	needsProcesses(t)
	needsPeer(t, "usrsctp", usrsctpPeer().whyNot())
	c := sctpCase{size: sctpMessage, rate: sctpRate, queue: sctpQueue, rtt: 20 * time.Millisecond}
	mbps, err := c.usrsctp(1, time.Second)
	if err != nil || mbps <= 0 || mbps > sctpRate/1e6 {
		t.Errorf("%v Mb/s, %v", mbps, err)
	}
	if mbps, err := (sctpCase{memory: true, size: 1000}).usrsctp(1, 100*time.Millisecond); err != nil || mbps <= 0 {
		t.Errorf("%v MB/CPU-s, %v", mbps, err)
	}
}

// An association of ours over memory does not stand still, whatever the size.
func TestSluiceAlone(t *testing.T) {
	for _, size := range []int{1, 1000, 1 << 10, sctpMessage} {
		e := newAloneEnds(size)
		turns := 0
		for ; turns < 10000 && e.closed == nil && e.arrived < 4*size; turns++ {
			e.turn()
		}
		if e.closed != nil || turns == 10000 {
			t.Errorf("%d bytes: %d arrived in %d turns, %v", size, e.arrived, turns, e.closed)
		}
	}
}
