package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluicertc/sluice/bench/load"
)

// newLoadHandler serves package load to the parent.
func newLoadHandler() (http.Handler, error) {
	l, err := load.NewLoop()
	if err != nil {
		return nil, err
	}
	go l.Run(context.Background())
	var mu sync.Mutex
	groups := map[string]*load.Group{}
	mux := http.NewServeMux()
	mux.Handle("POST /join", handle(func(r *http.Request) (none struct{}, err error) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			return none, err
		}
		g, err := l.Join(r.Context(), r.FormValue("url"), load.Kind(r.FormValue("kind")), n, r.FormValue("plain") != "")
		if err != nil {
			return none, err
		}
		mu.Lock()
		defer mu.Unlock()
		groups[r.FormValue("group")] = g
		return none, nil
	}))
	mux.Handle("POST /measure", handle(func(r *http.Request) (load.Result, error) {
		d, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			return load.Result{}, err
		}
		mu.Lock()
		g := groups[r.FormValue("group")]
		mu.Unlock()
		if g == nil {
			return load.Result{}, fmt.Errorf("no group %q", r.FormValue("group"))
		}
		return l.Measure(r.Context(), g, d)
	}))
	profiles(mux)
	return mux, nil
}
