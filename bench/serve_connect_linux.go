package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	pion "github.com/pion/webrtc/v4"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/webrtc"
)

// A connectEnd is a PeerConnection with a data channel that is about to be
// connected. Descriptions hold all candidates.
type connectEnd interface {
	offer() (string, error)
	answer(offer string) (string, error)
	accept(answer string) error
	connected() <-chan struct{}
	// channel makes a negotiated data channel, before the offer or the answer, and
	// lets connected tell when that is open.
	channel() error
	close() error
}

const connectWait = 20 * time.Second

// connectID is the id of the negotiated channel: none that is given out first.
const connectID uint16 = 100

// connector serves ends of one stack to the parent.
type connector struct {
	end func() (connectEnd, error)

	mu       sync.Mutex
	answered []connectEnd
}

func newConnector(end func() (connectEnd, error), err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	c := &connector{end: end}
	mux := http.NewServeMux()
	mux.Handle("POST /connect", handle(c.connect))
	mux.HandleFunc("POST /answer", func(w http.ResponseWriter, r *http.Request) {
		text, err := c.answer(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, text)
	})
	mux.Handle("POST /drop", handle(func(*http.Request) (none struct{}, err error) { return none, c.drop() }))
	mux.Handle("POST /usage", handle(func(*http.Request) (usage, error) { return usage{CPU: spent()}, nil }))
	profiles(mux)
	return mux, nil
}

func (c *connector) answer(w http.ResponseWriter, r *http.Request) (string, error) {
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return "", err
	}
	e, err := c.end()
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	c.answered = append(c.answered, e)
	c.mu.Unlock()
	return e.answer(string(offer))
}

func (c *connector) drop() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.answered {
		err = errors.Join(err, e.close())
	}
	c.answered = nil
	return err
}

// connectResult is what connections cost that were made one after the other.
type connectResult struct {
	Walls []float64 // ms
	CPU   float64   // us of this process per connection, made and closed
}

// connect makes n connections from ends of ours to those at the URL, or else
// also of ours, over a network with a round trip of rtt.
func (c *connector) connect(r *http.Request) (res connectResult, err error) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 1 {
		return res, errors.Join(err, errors.New("how many?"))
	}
	rtt, err := time.ParseDuration(r.FormValue("rtt"))
	if err != nil {
		return res, err
	}
	channel := r.FormValue("channel") == "true"
	cpu := spent()
	for range n {
		wall, err := c.once(r.Context(), r.FormValue("url"), rtt, channel)
		if err != nil {
			return res, err
		}
		res.Walls = append(res.Walls, float64(wall)/1e6)
	}
	res.CPU = float64(spent()-cpu) / 1e3 / float64(n)
	return res, nil
}

// ready makes an end, with a channel if need be.
func (c *connector) ready(channel bool) (connectEnd, error) {
	e, err := c.end()
	if err == nil && channel {
		if err = e.channel(); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, err
}

func (c *connector) once(ctx context.Context, url string, rtt time.Duration, channel bool) (wall time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	pass := func(_ int, description string) (string, error) { return description, nil }
	if rtt > 0 {
		r, err := newRelay(rtt / 2)
		if err != nil {
			return 0, err
		}
		defer r.close()
		pass = func(end int, description string) (string, error) {
			time.Sleep(rtt / 2) // signalling crosses the network too
			return r.pass(end, description)
		}
	}
	start := time.Now()
	from, err := c.ready(channel)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	ends := []connectEnd{from}
	offer, err := from.offer()
	if err == nil {
		offer, err = pass(0, offer)
	}
	var answer string
	switch {
	case err != nil:
	case url == "":
		var to connectEnd
		if to, err = c.ready(channel); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, to.close()) }()
		ends = append(ends, to)
		answer, err = to.answer(offer)
	default:
		answer, err = postOffer(ctx, url+"/answer", offer)
	}
	if err == nil {
		answer, err = pass(1, answer)
	}
	if err == nil {
		err = from.accept(answer)
	}
	if err != nil {
		return 0, err
	}
	for i, e := range ends {
		select {
		case <-e.connected():
		case <-ctx.Done():
			return 0, fmt.Errorf("end %d did not connect", i)
		}
	}
	return time.Since(start), nil
}

func postOffer(ctx context.Context, url, offer string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

// sluiceEnd is Sluice's PeerConnection.
type sluiceEnd struct {
	pc   *webrtc.PeerConnection
	up   chan struct{}
	open chan struct{} // nil: without channel
}

func newSluiceEnds() (func() (connectEnd, error), error) { return sluiceEnds(webrtc.Config{}) }

// newSpedEnds makes ends that lose no round trip they need not.
func newSpedEnds() (func() (connectEnd, error), error) {
	return sluiceEnds(webrtc.Config{SPED: true, SNAP: true, DTLSRole: webrtc.DTLSClient})
}

// sluiceEnds makes ends on engines in turn, no two successive ones on the same
// two: a pair on them would have the addresses of the last one. cfg needs no engine.
func sluiceEnds(cfg webrtc.Config) (func() (connectEnd, error), error) {
	var engines [sluiceEngines]*dataplane.Engine
	for i := range engines {
		e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
		if err != nil {
			return nil, err
		}
		engines[i] = e
	}
	var mu sync.Mutex
	next := 0
	return func() (connectEnd, error) {
		mu.Lock()
		e := engines[next%len(engines)]
		next++
		mu.Unlock()
		cfg := cfg
		cfg.Engine, cfg.IncludeLoopback = e, true
		pc, err := webrtc.NewPeerConnection(cfg)
		if err != nil {
			return nil, err
		}
		s := &sluiceEnd{pc: pc, up: make(chan struct{})}
		var once sync.Once
		pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
			if state == webrtc.PeerConnectionConnected {
				once.Do(func() { close(s.up) })
			}
		})
		return s, nil
	}, nil
}

func (s *sluiceEnd) describe() (string, error) {
	if err := s.pc.SetLocalDescription(webrtc.SessionDescription{}); err != nil {
		return "", err
	}
	<-s.pc.GatheringComplete()
	return s.pc.LocalDescription().SDP, nil
}

func (s *sluiceEnd) offer() (string, error) {
	if _, err := s.pc.CreateDataChannel("bench", nil); err != nil {
		return "", err
	}
	return s.describe()
}

func (s *sluiceEnd) answer(offer string) (string, error) {
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPOffer, SDP: offer}); err != nil {
		return "", err
	}
	return s.describe()
}

func (s *sluiceEnd) accept(answer string) error {
	return s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPAnswer, SDP: answer})
}

func (s *sluiceEnd) connected() <-chan struct{} {
	if s.open != nil {
		return s.open
	}
	return s.up
}

func (s *sluiceEnd) channel() error {
	id := connectID
	dc, err := s.pc.CreateDataChannel("negotiated", &webrtc.DataChannelInit{Negotiated: true, ID: &id})
	if err != nil {
		return err
	}
	open := make(chan struct{})
	s.open = open
	dc.OnOpen(sync.OnceFunc(func() { close(open) }))
	return nil
}

func (s *sluiceEnd) close() error { return s.pc.Close() }

// pionEnd is Pion's.
type pionEnd struct {
	pc   *pion.PeerConnection
	up   chan struct{}
	open chan struct{} // nil: without channel
}

func newPionEnds() (func() (connectEnd, error), error) {
	s, err := newPionSFU(false)
	if err != nil {
		return nil, err
	}
	api := s.(*pionSFU).api
	return func() (connectEnd, error) {
		pc, err := api.NewPeerConnection(pion.Configuration{})
		if err != nil {
			return nil, err
		}
		p := &pionEnd{pc: pc, up: make(chan struct{})}
		var once sync.Once
		pc.OnConnectionStateChange(func(state pion.PeerConnectionState) {
			if state == pion.PeerConnectionStateConnected {
				once.Do(func() { close(p.up) })
			}
		})
		return p, nil
	}, nil
}

func (p *pionEnd) describe(d pion.SessionDescription, err error) (string, error) {
	if err != nil {
		return "", err
	}
	gathered := pion.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	<-gathered
	return p.pc.LocalDescription().SDP, nil
}

func (p *pionEnd) offer() (string, error) {
	if _, err := p.pc.CreateDataChannel("bench", nil); err != nil {
		return "", err
	}
	return p.describe(p.pc.CreateOffer(nil))
}

func (p *pionEnd) answer(offer string) (string, error) {
	if err := p.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	return p.describe(p.pc.CreateAnswer(nil))
}

func (p *pionEnd) accept(answer string) error {
	return p.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer})
}

func (p *pionEnd) connected() <-chan struct{} {
	if p.open != nil {
		return p.open
	}
	return p.up
}

func (p *pionEnd) channel() error {
	id, negotiated := connectID, true
	dc, err := p.pc.CreateDataChannel("negotiated", &pion.DataChannelInit{Negotiated: &negotiated, ID: &id})
	if err != nil {
		return err
	}
	open := make(chan struct{})
	p.open = open
	dc.OnOpen(sync.OnceFunc(func() { close(open) }))
	return nil
}

func (p *pionEnd) close() error { return p.pc.Close() }
