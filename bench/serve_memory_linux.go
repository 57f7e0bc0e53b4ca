package main

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// What each end of an active pair sends: as much as a game or a remote control.
const (
	activeEvery = 20 * time.Millisecond
	activeSize  = 1000 // bytes
)

// memoryPairs are the connections of a process that is weighed.
type memoryPairs struct {
	stack dataStack
	list  []dataPair
	heard atomic.Int64 // messages
}

func newMemoryHandler(stack dataStack, err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	p := &memoryPairs{stack: stack}
	mux := http.NewServeMux()
	mux.Handle("POST /connect", handle(p.connect))
	mux.Handle("POST /census", handle(func(*http.Request) (census, error) { return takeCensus() }))
	mux.Handle("POST /rest", handle(p.rest))
	mux.Handle("POST /talk", handle(p.talk))
	profiles(mux)
	return mux, nil
}

func (p *memoryPairs) connect(r *http.Request) (none struct{}, err error) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		return none, err
	}
	for range n {
		pair, err := p.stack.pair(1, false, func(_, _, _ int) { p.heard.Add(1) })
		if err != nil {
			return none, err
		}
		p.list = append(p.list, pair)
	}
	return none, nil
}

// rest returns the CPU time, in us, that the process takes in a second of
// doing nothing.
func (p *memoryPairs) rest(r *http.Request) (micros float64, err error) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		return 0, err
	}
	cpu, start := spent(), time.Now()
	time.Sleep(d)
	return float64(spent()-cpu) / 1e3 / time.Since(start).Seconds(), nil
}

// talk lets all ends send for a while and takes the census while they do.
func (p *memoryPairs) talk(r *http.Request) (c census, err error) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		return c, err
	}
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() { failed <- p.chatter(stop) }()
	before := p.heard.Load()
	time.Sleep(d)
	c, err = takeCensus()
	close(stop)
	if err := errors.Join(err, <-failed); err != nil {
		return c, err
	}
	if p.heard.Load() == before {
		return c, errors.New("nothing arrived")
	}
	return c, nil
}

// chatter is one goroutine for all pairs, so that its own memory is none.
func (p *memoryPairs) chatter(stop <-chan struct{}) error {
	data := make([]byte, activeSize)
	tick := time.NewTicker(activeEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		for _, pair := range p.list {
			// Only side 0 tells how much it has not sent yet.
			if pair.buffered(0, 0) > highWater {
				return errors.New("messages are not carried as fast as they are sent")
			}
			for side := range 2 {
				if err := pair.send(side, 0, data); err != nil {
					return err
				}
			}
		}
	}
}
