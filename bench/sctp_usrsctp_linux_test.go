package main

import (
	"os"
	"testing"
	"time"
)

// The packets of a datagram pair come through a link as they went in.
func TestJoinCarriesDatagrams(t *testing.T) {
	w := newWire(sctpCase{}.links(1))
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
	if os.Getenv("SLUICE_BENCH") != "1" {
		t.Skip("set SLUICE_BENCH=1 to run usrsctp as a process")
	}
	if why := usrsctpPeer().whyNot(); why != "" {
		t.Skip(why)
	}
	c := sctpCase{rtt: 20 * time.Millisecond}
	mbps, err := c.usrsctp(1, time.Second)
	if err != nil || mbps <= 0 || mbps > sctpRate/1e6 {
		t.Errorf("%v Mb/s, %v", mbps, err)
	}
}
