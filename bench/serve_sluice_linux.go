package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/sockets"
)

// sluiceSFU is package sfu, as package whip serves it over HTTP. Every
// publisher begins a stream, which the viewers that follow watch.
type sluiceSFU struct {
	engine *dataplane.Engine
	server *sfu.Server
	stream atomic.Int64
}

func newSluiceSFU() (forwarder, error) {
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		return nil, err
	}
	return &sluiceSFU{engine: e, server: sfu.New(sfu.Config{Engine: e})}, nil
}

func (s *sluiceSFU) publish(_, offer string) (string, error) {
	_, answer, err := s.server.Publish(context.Background(), streamName(s.stream.Add(1)), offer)
	return answer, err
}

func (s *sluiceSFU) view(offer string) (string, error) {
	_, answer, err := s.server.Play(context.Background(), streamName(s.stream.Load()), offer, "")
	return answer, err
}

func streamName(n int64) string { return fmt.Sprintf("load-%d", n) }

func (s *sluiceSFU) counters() map[string]float64 {
	st := s.engine.Stats()
	m := socketCounters(st.Sockets)
	if st.Retransmitted > 0 {
		m["retransmitted"] = float64(st.Retransmitted)
	}
	for cause, n := range st.Drops {
		if n > 0 {
			m["dropped "+cause] = float64(n)
		}
	}
	return m
}

func socketCounters(st sockets.Stats) map[string]float64 {
	return map[string]float64{
		"reads": float64(st.Reads), "writes": float64(st.Writes), "sent": float64(st.Sent), "parked": float64(st.Wakeups),
		"gso_runs": float64(st.GSORuns), "would_block": float64(st.WouldBlock),
	}
}
