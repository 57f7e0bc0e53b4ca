package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
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
	groups := map[string][]*load.Group{} // a publisher each
	mux := http.NewServeMux()
	mux.Handle("POST /join", handle(func(r *http.Request) (none struct{}, err error) {
		j := load.Joining{
			URL: r.FormValue("url"), Kind: load.Kind(r.FormValue("kind")), Plain: r.FormValue("plain") != "", NACK: r.FormValue("nack") != "",
			Sink: r.FormValue("sink") != "", CM80: r.FormValue("cm80") != "", Busy: r.FormValue("busy") != "", Paced: r.FormValue("paced") != "",
		}
		if j.Viewers, err = strconv.Atoi(r.FormValue("n")); err != nil {
			return none, err
		}
		if text := r.FormValue("addr"); text != "" {
			if j.Addr, err = netip.ParseAddr(text); err != nil {
				return none, err
			}
		}
		g, err := l.Join(r.Context(), j)
		if err != nil {
			return none, err
		}
		mu.Lock()
		defer mu.Unlock()
		name := r.FormValue("group")
		groups[name] = append(groups[name], g)
		return none, nil
	}))
	find := func(r *http.Request) ([]*load.Group, error) {
		mu.Lock()
		defer mu.Unlock()
		list := groups[r.FormValue("group")]
		if list == nil {
			return nil, fmt.Errorf("no group %q", r.FormValue("group"))
		}
		return list, nil
	}
	mux.Handle("POST /start", handle(func(r *http.Request) (none struct{}, err error) {
		list, err := find(r)
		if err != nil {
			return none, err
		}
		return none, l.Start(list)
	}))
	steerLoad(mux, l, find)
	mux.Handle("POST /measure", handle(func(r *http.Request) (load.Result, error) {
		d, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			return load.Result{}, err
		}
		loss := 0.0
		if text := r.FormValue("loss"); text != "" {
			if loss, err = strconv.ParseFloat(text, 64); err != nil {
				return load.Result{}, err
			}
		}
		list, err := find(r)
		if err != nil {
			return load.Result{}, err
		}
		return l.Measure(r.Context(), list, load.Stretch{For: d, Loss: loss})
	}))
	profiles(mux)
	return mux, nil
}
