package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/sluicertc/sluice/bench/load"
)

// newPionMux is Pion's broadcast example with every connection on one UDP port,
// by its own means for that: a mux over one net.UDPConn.
func newPionMux() (forwarder, error) {
	m := &webrtc.MediaEngine{}
	registry := &interceptor.Registry{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	if err := webrtc.RegisterDefaultInterceptors(m, registry); err != nil {
		return nil, err
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		return nil, err
	}
	// What does not fit is dropped, as by any server; the kernel's limit may be
	// lower than this.
	_ = c.SetReadBuffer(7 << 20)
	_ = c.SetWriteBuffer(7 << 20)
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetICEUDPMux(webrtc.NewICEUDPMux(nil, c))
	return &pionSFU{api: webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(se))}, nil
}

// sunk is what Loop.Sunk tells.
type sunk struct{ Sent, Arrived uint64 }

// steerLoad adds what scenario steer asks of a load.
func steerLoad(mux *http.ServeMux, l *load.Loop, find func(*http.Request) ([]*load.Group, error)) {
	serve := func(path string, f func(r *http.Request, gs []*load.Group) (sunk, error)) {
		mux.Handle("POST "+path, handle(func(r *http.Request) (sunk, error) {
			groups, err := find(r)
			if err != nil {
				return sunk{}, err
			}
			return f(r, groups)
		}))
	}
	serve("/flood", func(r *http.Request, gs []*load.Group) (sunk, error) {
		times, err := strconv.ParseFloat(r.FormValue("times"), 64)
		if err != nil || !(times > 0) {
			return sunk{}, fmt.Errorf("%q is no speed", r.FormValue("times"))
		}
		return sunk{}, l.Flood(gs, times)
	})
	serve("/stop", func(_ *http.Request, gs []*load.Group) (sunk, error) { return sunk{}, l.Stop(gs) })
	serve("/sunk", func(_ *http.Request, gs []*load.Group) (n sunk, err error) {
		n.Sent, n.Arrived, err = l.Sunk(gs)
		return n, err
	})
}
