package main

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sluicertc/sluice/sfu/whip"
)

//go:embed web
var webFiles embed.FS

// csp lets a page load nothing but the server's own files, and be framed by
// nobody.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func (in *instance) handler() (http.Handler, error) {
	w, err := whip.New(whip.Config{Server: in.sfu, Access: in.access, ICEServers: in.opts.iceServers, Logger: in.log})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, p := range []string{"/whip/", "/whep/", "/echo", "/session/"} {
		mux.Handle(p, w)
	}
	mux.Handle("/api/streams", in.access.Guard(get(in.streams)))
	mux.Handle("/healthz", get(in.health))
	mux.Handle("/metrics", in.private(get(in.metrics().ServeHTTP)))
	mux.Handle("/debug/sessions", in.private(get(in.debugSessions)))
	mux.Handle("/debug/webrtc", in.private(get(in.debugWebRTC)))
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": notHere, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(path, in.private(h))
	}
	pages, err := fs.Sub(webFiles, "web")
	if err != nil {
		return nil, err
	}
	files := http.FileServerFS(pages)
	for _, p := range []string{"/{$}", "/app.js", "/chart.js", "/client.js", "/debug.js", "/pattern.js", "/style.css", "/icon.svg"} {
		mux.Handle(p, get(files.ServeHTTP))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		whip.WriteProblem(w, http.StatusNotFound, "", "", "there is nothing at "+r.URL.Path)
	})
	return in.secure(mux), nil
}

// notHere stands in for pprof's cmdline: flags may hold the token.
func notHere(w http.ResponseWriter, r *http.Request) {
	whip.WriteProblem(w, http.StatusNotFound, "", "", "the command line is not shown, as it may hold a secret")
}

// get refuses all methods that change something.
func get(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			whip.WriteProblem(w, http.StatusMethodNotAllowed, "", "", r.Method+" has no meaning here; allowed are GET, HEAD")
			return
		}
		f(w, r)
	})
}

// secure sets what every answer needs, and refuses names that are not ours: a
// page whose name was made to point at this machine (DNS rebinding) has an
// origin of its own, equal to the Host it asks for.
func (in *instance) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		if in.loopback() && !in.knownHost(r.Host) {
			whip.WriteProblem(w, http.StatusMisdirectedRequest, "host", "The server is not known by this name",
				"HTTP listens on loopback, and is asked as localhost or by address; a proxy's name is allowed with --origin")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (in *instance) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	return slices.ContainsFunc(in.opts.origins, func(o string) bool {
		u, err := url.Parse(o)
		return o == "*" || err == nil && strings.EqualFold(u.Hostname(), host)
	})
}

// private shows a handler to clients on this machine only, unless it was made
// public. What a proxy passes on comes from elsewhere.
func (in *instance) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !in.opts.debugPublic && !local(r) {
			whip.WriteProblem(w, http.StatusForbidden, "private", "Only for clients on this machine",
				"start the server with --debug-public to show this page to everybody")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func local(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // nobody is left to tell of an error
}

// health is ready as long as offers are taken.
func (in *instance) health(w http.ResponseWriter, _ *http.Request) {
	if in.sfu.Closing() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (in *instance) streams(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"streams": in.sfu.Streams()})
}
