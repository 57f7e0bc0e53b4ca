package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// profileChild starts or stops the profiles of a contender's process, if any
// are wanted: call is /profile/start or /profile/stop.
func (r *run) profileChild(ctx context.Context, p *child, scenario, kase, who, call string) error {
	if r.profile == "" {
		return nil
	}
	q := url.Values{"base": {absolute(r.profileBase(scenario, kase, who))}, "kinds": {strings.Join(r.kinds, ",")}}
	return p.call(ctx, call, q, nil)
}

func absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	return dir + "/" + path
}

// profiles adds the paths that profile the process itself.
func profiles(mux *http.ServeMux) {
	var p *profiler
	mux.Handle("POST /profile/start", handle(func(r *http.Request) (none struct{}, err error) {
		p, err = startProfiler(r.FormValue("base"), strings.Split(r.FormValue("kinds"), ","))
		return none, err
	}))
	mux.Handle("POST /profile/stop", handle(func(*http.Request) (none struct{}, err error) {
		return none, p.stop()
	}))
}
