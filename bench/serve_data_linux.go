package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A dataStack makes connected pairs within its process.
type dataStack interface {
	// pair connects two PeerConnections with as many channels. heard is told
	// of every message, in whatever goroutine the stack has for it.
	pair(channels int, unordered bool, heard func(side, channel, n int)) (dataPair, error)
}

// A dataPair is two connected ends, 0 and 1.
type dataPair interface {
	send(side, channel int, b []byte) error
	buffered(side, channel int) int
	// low signals when what is buffered of side 0 has fallen to lowWater.
	low(channel int) <-chan struct{}
}

// pairs is a child's connections and what they are used for at the moment.
type pairs struct {
	stack dataStack
	list  []dataPair
	chans int
	heard atomic.Pointer[func(pair, side, channel, n int)]
}

func newPairs(stack dataStack, err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	p := &pairs{stack: stack}
	mux := http.NewServeMux()
	mux.Handle("POST /connect", handle(p.connect))
	mux.Handle("POST /census", handle(func(*http.Request) (census, error) { return takeCensus() }))
	mux.Handle("POST /rtt", handle(p.rtt))
	mux.Handle("POST /flow", handle(p.flow))
	profiles(mux)
	return mux, nil
}

func (p *pairs) connect(r *http.Request) (none struct{}, err error) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		return none, err
	}
	if p.chans, err = strconv.Atoi(r.FormValue("channels")); err != nil {
		return none, err
	}
	for range n {
		i := len(p.list)
		pair, err := p.stack.pair(p.chans, r.FormValue("unordered") != "", func(side, channel, n int) {
			if f := p.heard.Load(); f != nil {
				(*f)(i, side, channel, n)
			}
		})
		if err != nil {
			return none, err
		}
		p.list = append(p.list, pair)
	}
	return none, nil
}

// census is what a process holds.
type census struct {
	Heap       int64 // bytes of live objects
	Stack      int64 // bytes of goroutine stacks
	RSS        int64 // bytes
	Goroutines int
	FDs        int
}

func takeCensus() (c census, err error) {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	return census{int64(m.HeapAlloc), int64(m.StackInuse), resident(), runtime.NumGoroutine(), len(fds)}, err
}

type sizeAndTime struct {
	size int
	d    time.Duration
}

func readSizeAndTime(r *http.Request) (s sizeAndTime, err error) {
	if s.size, err = strconv.Atoi(r.FormValue("size")); err != nil {
		return s, err
	}
	s.d, err = time.ParseDuration(r.FormValue("for"))
	return s, err
}

// rttResult is round trips, one after the other.
type rttResult struct {
	Micros float64 // median
	CPU    float64 // us of the process per round trip
	Trips  int
}

func (p *pairs) rtt(r *http.Request) (res rttResult, err error) {
	s, err := readSizeAndTime(r)
	if err != nil {
		return res, err
	}
	if len(p.list) == 0 {
		return res, errors.New("nobody is connected")
	}
	pair, data, back := p.list[0], make([]byte, s.size), make(chan struct{}, 1)
	heard := func(_, side, _, _ int) {
		if side == 1 {
			_ = pair.send(1, 0, data) // what fails comes out as a round trip that never ends
			return
		}
		back <- struct{}{}
	}
	p.heard.Store(&heard)
	defer p.heard.Store(nil)
	var times []float64
	cpu := spent()
	for end := time.Now().Add(s.d); time.Now().Before(end); {
		t := time.Now()
		if err := pair.send(0, 0, data); err != nil {
			return res, err
		}
		select {
		case <-back:
		case <-time.After(5 * time.Second):
			return res, errors.New("a round trip did not end")
		}
		times = append(times, float64(time.Since(t))/1e3)
	}
	return rttResult{percentile(times, 50), float64(spent()-cpu) / 1e3 / float64(len(times)), len(times)}, nil
}

// flowResult is what arrived while everybody sent as much as goes.
type flowResult struct {
	Bytes   int64
	Seconds float64
	CPU     float64 // seconds of the process
}

func (p *pairs) flow(r *http.Request) (res flowResult, err error) {
	s, err := readSizeAndTime(r)
	if err != nil {
		return res, err
	}
	var arrived atomic.Int64
	heard := func(_, side, _, n int) {
		if side == 1 {
			arrived.Add(int64(n))
		}
	}
	p.heard.Store(&heard)
	defer p.heard.Store(nil)
	stop := make(chan struct{})
	errs := make(chan error, len(p.list)*p.chans)
	var all sync.WaitGroup
	for _, pair := range p.list {
		for ch := range p.chans {
			all.Go(func() {
				if err := pump(pair, ch, make([]byte, s.size), stop); err != nil {
					errs <- err
				}
			})
		}
	}
	time.Sleep(s.d / 5) // windows open
	cpu, bytes, start := spent(), arrived.Load(), time.Now()
	time.Sleep(s.d)
	res = flowResult{arrived.Load() - bytes, time.Since(start).Seconds(), (spent() - cpu).Seconds()}
	close(stop)
	all.Wait()
	// What is under way belongs to nobody's next turn.
	for end, last := time.Now().Add(5*time.Second), int64(-1); last != arrived.Load() && time.Now().Before(end); {
		last = arrived.Load()
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case err := <-errs:
		return res, err
	default:
	}
	return res, nil
}

// pump sends until it is told to stop, and waits while much is buffered.
func pump(pair dataPair, ch int, data []byte, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if pair.buffered(0, ch) > highWater {
			select {
			case <-stop:
				return nil
			case <-pair.low(ch):
			case <-time.After(100 * time.Millisecond): // it fell before we looked
			}
			continue
		}
		if err := pair.send(0, ch, data); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
}

// signals are the channels behind dataPair.low.
func signals(n int) []chan struct{} {
	list := make([]chan struct{}, n)
	for i := range list {
		list[i] = make(chan struct{}, 1)
	}
	return list
}
