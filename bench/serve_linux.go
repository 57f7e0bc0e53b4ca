package main

import (
	"io"
	"net/http"
	"os"
	"runtime"
	"time"
)

// A forwarder sends one publisher to many viewers.
type forwarder interface {
	// publish and view answer an offer.
	publish(kind, offer string) (answer string, err error)
	view(offer string) (answer string, err error)
	// counters are the server's own, for whoever looks for a cause; each only
	// grows.
	counters() map[string]float64
}

// usage is what a server has used so far.
type usage struct {
	CPU      time.Duration
	RSS      int64 // bytes
	Wakeups  int64 // of its threads
	Threads  int
	FDs      int
	Routines int // goroutines; 0: another program, which is not asked
	Counters map[string]float64
}

func usageOf(s forwarder) usage {
	pid, routines := os.Getpid(), runtime.NumGoroutine()
	if f, ok := s.(interface{ pid() int }); ok {
		pid, routines = f.pid(), 0
	}
	return usage{
		CPU: spentBy(pid), RSS: residentOf(pid), Wakeups: wakeupsOf(pid),
		Threads: entries(pid, "task"), FDs: entries(pid, "fd"), Routines: routines, Counters: s.counters(),
	}
}

func newServer(s forwarder, err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	answer := func(f func(r *http.Request, offer string) (string, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			var text string
			if err == nil {
				text, err = f(r, string(offer))
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, text)
		}
	}
	mux.Handle("POST /publish", answer(func(r *http.Request, offer string) (string, error) {
		return s.publish(r.FormValue("kind"), offer)
	}))
	mux.Handle("POST /view", answer(func(_ *http.Request, offer string) (string, error) { return s.view(offer) }))
	mux.Handle("POST /usage", handle(func(*http.Request) (usage, error) {
		return usageOf(s), nil
	}))
	profiles(mux)
	return mux, nil
}
