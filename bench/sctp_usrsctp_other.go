//go:build !linux

package main

import (
	"errors"
	"time"
)

const usrsctpMissing = "bench emulates usrsctp's link over Linux's datagram sockets"

func usrsctpPeer() peer {
	p := usrsctp.peer()
	p.missing = func() string { return usrsctpMissing }
	return p
}

func (sctpCase) usrsctp(uint64, time.Duration) (float64, error) { return 0, errors.New(usrsctpMissing) }
