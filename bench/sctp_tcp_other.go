//go:build !linux

package main

import (
	"errors"
	"time"
)

const tcpMissing = "bench emulates the kernel's link over Linux's TUN devices"

func tcpPeer() peer {
	return peer{name: "tcp", version: func() string { return "" }, missing: func() string { return tcpMissing }}
}

func (sctpCase) tcp(uint64, time.Duration) (float64, error) { return 0, errors.New(tcpMissing) }

const aloneMissing = "bench counts processor time on Linux"

func (sctpCase) sluiceAlone(time.Duration) (float64, error) { return 0, errors.New(aloneMissing) }
func (sctpCase) pionAlone(time.Duration) (float64, error)   { return 0, errors.New(aloneMissing) }
