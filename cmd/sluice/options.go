package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicertc/sluice/sfu/whip"
)

// defaultUDP is one port for all media, so that one rule opens a firewall.
const defaultUDP = ":7881"

// maxDelay is what a flag may let packets wait on purpose: more would be heard
// and seen.
const maxDelay = 20 * time.Millisecond

// options are what flags and environment say.
type options struct {
	http, udp       string
	udpGiven        bool // not the default, which gives way when it is taken
	udpAddr         netip.AddrPort
	announce        []netip.Addr
	token           string
	origins         []string
	iceServers      []whip.ICEServer
	iceLite         bool
	shards          int
	noSteering      bool
	noGSO           bool
	burstDelay      time.Duration
	wakeupDelay     time.Duration
	runPadding      int
	snap, sped      bool
	filter, xdp     string
	tlsCert, tlsKey string
	debugPublic     bool
	logLevel        slog.Level
	logJSON         bool
	maxSessions     int
	includeLoopback bool
}

// listFlag is a flag that may be repeated, or hold several values separated by
// commas.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(v string) error {
	for s := range strings.SplitSeq(v, ",") {
		if s = strings.TrimSpace(s); s != "" {
			*l = append(*l, s)
		}
	}
	return nil
}

// raw are the flags before they are checked.
type raw struct {
	announce, origins, iceServers listFlag
	logLevel, logFormat, loopback string
}

func (o *options) flags(r *raw) *flag.FlagSet {
	fs := flag.NewFlagSet("sluice", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.http, "http", "127.0.0.1:8080", "")
	fs.StringVar(&o.udp, "udp", defaultUDP, "")
	fs.Var(&r.announce, "announce", "")
	fs.StringVar(&o.token, "token", "", "")
	fs.Var(&r.origins, "origin", "")
	fs.Var(&r.iceServers, "ice-server", "")
	fs.BoolVar(&o.iceLite, "ice-lite", false, "")
	fs.IntVar(&o.shards, "shards", 0, "")
	fs.BoolVar(&o.noSteering, "no-steering", false, "")
	fs.BoolVar(&o.noGSO, "no-gso", false, "")
	fs.DurationVar(&o.burstDelay, "max-burst-delay", time.Millisecond, "")
	fs.DurationVar(&o.wakeupDelay, "max-wakeup-delay", time.Millisecond, "")
	fs.IntVar(&o.runPadding, "max-run-padding", 0, "")
	fs.BoolVar(&o.snap, "snap", false, "")
	fs.BoolVar(&o.sped, "sped", false, "")
	fs.StringVar(&o.filter, "filter", "", "")
	fs.StringVar(&o.xdp, "xdp", "", "")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "")
	fs.StringVar(&o.tlsKey, "tls-key", "", "")
	fs.BoolVar(&o.debugPublic, "debug-public", false, "")
	fs.StringVar(&r.logLevel, "log-level", "info", "")
	fs.StringVar(&r.logFormat, "log-format", "text", "")
	fs.IntVar(&o.maxSessions, "max-sessions", 10000, "")
	fs.StringVar(&r.loopback, "include-loopback", "auto", "")
	return fs
}

// variable is the environment variable of a flag.
func variable(name string) string {
	return "SLUICE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// parseOptions reads the environment, then the flags, which count more.
func parseOptions(args []string, env func(string) string) (*options, error) {
	o, r := &options{}, &raw{}
	fs := o.flags(r)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag: commands come first, flags begin with --", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		if v := env(variable(f.Name)); v != "" && !given[f.Name] && err == nil {
			given[f.Name] = true
			if e := fs.Set(f.Name, v); e != nil {
				// The value may be a secret: it is left out.
				err = fmt.Errorf("environment variable %s cannot be read as the value of --%s", variable(f.Name), f.Name)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	o.udpGiven = given["udp"]
	return o, o.check(r)
}

func (o *options) check(r *raw) error {
	host, _, err := net.SplitHostPort(o.http)
	if err != nil {
		return fmt.Errorf("--http %q: want host:port, such as 127.0.0.1:8080 or :8080", o.http)
	}
	if o.udpAddr, err = parseUDP(o.udp); err != nil {
		return err
	}
	for _, s := range r.announce {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("--announce %q: want IP addresses, such as 203.0.113.7", s)
		}
		o.announce = append(o.announce, a.Unmap())
	}
	for _, s := range r.origins {
		if err := checkOrigin(s); err != nil {
			return err
		}
		o.origins = append(o.origins, s)
	}
	for _, s := range r.iceServers {
		srv, err := parseICEServer(s)
		if err != nil {
			return err
		}
		o.iceServers = append(o.iceServers, srv)
	}
	switch {
	case (o.tlsCert == "") != (o.tlsKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case o.shards < 0 || o.shards > 256:
		return errors.New("--shards: want 0 (one for each processor) to 256")
	case o.maxSessions < 1:
		return errors.New("--max-sessions: want at least 1")
	}
	if o.burstDelay < 0 || o.burstDelay > maxDelay || o.wakeupDelay < 0 || o.wakeupDelay > maxDelay {
		return fmt.Errorf("--max-burst-delay and --max-wakeup-delay: want a time such as 500us, up to %v; 0 for none", maxDelay)
	}
	if o.runPadding < 0 || o.runPadding > 255 {
		return errors.New("--max-run-padding: want 0 to 255 bytes")
	}
	if o.includeLoopback, err = parseAuto(r.loopback, loopbackHost(host)); err != nil {
		return err
	}
	if err := o.logLevel.UnmarshalText([]byte(r.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q: want debug, info, warn or error", r.logLevel)
	}
	if o.logJSON = r.logFormat == "json"; !o.logJSON && r.logFormat != "text" {
		return fmt.Errorf("--log-format %q: want text or json", r.logFormat)
	}
	return nil
}

func parseAuto(v string, auto bool) (bool, error) {
	if v == "auto" {
		return auto, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("--include-loopback=%s: want true, false or auto", v)
	}
	return b, nil
}

func parseUDP(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--udp %q: want address:port, such as :7881 or 192.0.2.1:7881", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--udp %q: the port is a number from 0 (any that is free) to 65535", s)
	}
	var a netip.Addr
	if host != "" {
		if a, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("--udp %q: want an IP address, or none for all", s)
		}
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

func checkOrigin(s string) error {
	if s == "*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("--origin %q: want * or an origin such as https://example.org", s)
	}
	return nil
}

// parseICEServer reads stun:host:port, or turn:user:password@host:port.
func parseICEServer(s string) (whip.ICEServer, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	switch scheme {
	case "stun", "stuns":
		if rest != "" {
			return whip.ICEServer{URL: s}, nil
		}
	case "turn", "turns":
		at := strings.LastIndex(rest, "@")
		if user, pass, ok := strings.Cut(rest[:max(at, 0)], ":"); ok && at+1 < len(rest) {
			return whip.ICEServer{URL: scheme + ":" + rest[at+1:], Username: user, Credential: pass}, nil
		}
		// The password is left out.
		return whip.ICEServer{}, fmt.Errorf("--ice-server %s:...: want turn:user:password@host:port", scheme)
	}
	return whip.ICEServer{}, errors.New("--ice-server: want stun:host:port or turn:user:password@host:port")
}

// loopbackHost reports whether a host names this machine only.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func (o *options) logger(w io.Writer) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.logLevel}
	if o.logJSON {
		return slog.New(slog.NewJSONHandler(w, ho))
	}
	return slog.New(slog.NewTextHandler(w, ho))
}
