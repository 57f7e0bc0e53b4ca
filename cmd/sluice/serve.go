package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/sfu/whip"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/webrtc"
)

// Limits of the HTTP server. A request that takes longer, or has larger
// headers, is cut off.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10

	// drainTimeout bounds the end of the sessions after a signal,
	// requestsTimeout that of requests under way. A browser's spare connection,
	// which net/http takes for a request until it is 5 s old, is not waited for.
	drainTimeout    = 8 * time.Second
	requestsTimeout = time.Second
)

// instance is a running server.
type instance struct {
	opts     *options
	log      *slog.Logger
	engine   *dataplane.Engine
	sfu      *sfu.Server
	http     *http.Server
	listener net.Listener
	access   whip.Access
	started  time.Time
}

// serve runs until ctx is done, and then drains. ready, if not nil, is called
// with what listens.
func serve(ctx context.Context, o *options, log *slog.Logger, ready func(*instance)) error {
	in, err := newInstance(o, log)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- in.http.Serve(in.listener) }()
	in.announce()
	if ready != nil {
		ready(in)
	}
	select {
	case err = <-failed:
		err = fmt.Errorf("HTTP: %w", err)
	case <-ctx.Done():
		log.Info("shutting down", "sessions", in.sfu.Len())
	}
	in.drain()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

func newInstance(o *options, log *slog.Logger) (_ *instance, err error) {
	in := &instance{opts: o, log: log, started: time.Now()}
	in.access = whip.Access{Token: o.token, Origins: o.origins}
	if in.engine, err = listenUDP(o, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			in.engine.Close()
		}
	}()
	var stun []webrtc.ICEServer
	for _, s := range o.iceServers {
		if strings.HasPrefix(s.URL, "stun:") {
			stun = append(stun, webrtc.ICEServer{URLs: []string{s.URL}})
		}
	}
	in.sfu = sfu.New(sfu.Config{
		Engine: in.engine, MaxSessions: o.maxSessions, Logger: log,
		WebRTC: webrtc.Config{
			ICEServers: stun, ICELite: o.iceLite, AnnouncedAddresses: o.announce, IncludeLoopback: o.includeLoopback,
			SNAP: o.snap, SPED: o.sped,
		},
	})
	handler, err := in.handler()
	if err != nil {
		return nil, err
	}
	if in.listener, err = listenHTTP(o); err != nil {
		return nil, err
	}
	in.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return in, nil
}

func listenHTTP(o *options) (net.Listener, error) {
	l, err := net.Listen("tcp", o.http)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on --http %s: %w; is another program on it? Name another port, or :0 for any", o.http, err)
	}
	if o.tlsCert == "" {
		return l, nil
	}
	cert, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot read --tls-cert and --tls-key: %w", err)
	}
	// Without HTTP/2: nothing here gains by it.
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), nil
}

// listenUDP binds the engine's port. The shards share it (SO_REUSEPORT), and
// so, by the kernel's rules, could another server of the same user: each would
// get some of the other's packets. Hence the look beforehand.
func listenUDP(o *options, log *slog.Logger) (*dataplane.Engine, error) {
	addr := o.udpAddr
	if err := free(addr); err != nil {
		if o.udpGiven {
			return nil, fmt.Errorf("cannot bind --udp %s: %w; is another program on it? Name another port, or :0 for any", o.udp, err)
		}
		log.Warn("the default UDP port is taken: using any that is free; name one with --udp to open it in a firewall", "port", addr.Port())
		addr = netip.AddrPortFrom(addr.Addr(), 0)
	}
	if o.xdp != "" {
		if err := sockets.XDPWorks(o.xdp); err != nil {
			log.Warn("--xdp has no effect", "interface", o.xdp, "reason", err)
		}
	}
	e, err := dataplane.New(dataplane.Config{
		Addr: addr, Shards: o.shards, Logger: log,
		NoSteering: o.noSteering, MaxBurstDelay: orNever(o.burstDelay), MaxRunPadding: o.runPadding,
		Filter:  bpf.FilterConfig{Interface: o.filter},
		Sockets: sockets.Config{NoGSO: o.noGSO, MaxWakeupDelay: orNever(o.wakeupDelay), XDP: o.xdp},
	})
	if err != nil {
		return nil, cannotListen(o, err)
	}
	return e, nil
}

// cannotListen says which flag an error of the engine is about.
func cannotListen(o *options, err error) error {
	if errors.Is(err, bpf.ErrFilter) {
		return fmt.Errorf("--filter %s: want the name of a network interface, as ip link shows it: %w", o.filter, err)
	}
	return fmt.Errorf("cannot bind --udp %s: %w", o.udp, err)
}

// orNever is a bound as the configurations of the library have it, where zero
// is the default.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func free(addr netip.AddrPort) error {
	if addr.Port() == 0 {
		return nil
	}
	var ip net.IP
	if addr.Addr().IsValid() {
		ip = addr.Addr().AsSlice()
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: int(addr.Port()), Zone: addr.Addr().Zone()})
	if err != nil {
		return err
	}
	return c.Close()
}

// announce says where the server is, and what an operator should think of.
func (in *instance) announce() {
	o, scheme := in.opts, "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	in.log.Info("sluice is ready", "version", version(), "url", scheme+"://"+in.listener.Addr().String()+"/",
		"udp", in.engine.LocalAddr(), "shards", in.engine.Shards())
	if in.loopback() {
		return
	}
	if o.token == "" {
		in.log.Warn("HTTP is reachable from other machines and no --token is set: anybody may publish and watch")
	}
	if o.tlsCert == "" {
		in.log.Warn("HTTP is reachable from other machines without TLS: browsers give no camera to its pages, and a token can be read on the way; set --tls-cert, or put a proxy with TLS in front")
	}
}

// loopback reports whether HTTP is for this machine only.
func (in *instance) loopback() bool {
	host, _, _ := net.SplitHostPort(in.listener.Addr().String())
	return loopbackHost(host)
}

// drain ends all sessions and stops listening, in bounded time.
func (in *instance) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	// From here on /healthz says 503 and offers are refused.
	if err := in.sfu.Close(ctx); err != nil {
		in.log.Warn("not all sessions were ended", "err", err)
	}
	requests, cancelRequests := context.WithTimeout(context.Background(), requestsTimeout)
	defer cancelRequests()
	if in.http.Shutdown(requests) != nil {
		in.http.Close()
	}
	if err := in.engine.Close(); err != nil {
		in.log.Warn("closing the sockets", "err", err)
	}
	in.log.Info("bye")
}
