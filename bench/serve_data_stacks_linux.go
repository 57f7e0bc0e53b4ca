package main

import (
	"errors"
	"net/netip"
	"strconv"
	"time"

	pion "github.com/pion/webrtc/v4"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/webrtc"
)

var errNotOpen = errors.New("the channels did not open")

// awaitOpen waits for n channels.
func awaitOpen(open <-chan struct{}, n int) error {
	deadline := time.After(20 * time.Second)
	for range n {
		select {
		case <-open:
		case <-deadline:
			return errNotOpen
		}
	}
	return nil
}

func channelNumber(label string) int {
	n, _ := strconv.Atoi(label) // we name them ourselves
	return n
}

// sluiceEngines are enough for 105 connections no two of which are between the
// same two engines: those would have the same addresses, and nothing in a DTLS
// or SCTP packet tells them apart. They are there before anything is measured.
const sluiceEngines = 15

type sluiceStack struct {
	engines [sluiceEngines]*dataplane.Engine
	// The engines of the next pair: low < high.
	low, high int
}

var errEngines = errors.New("more pairs than there are pairs of engines")

func newSluiceStack() (dataStack, error) {
	s := &sluiceStack{low: 0, high: 1}
	for i := range s.engines {
		e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
		if err != nil {
			return nil, err
		}
		s.engines[i] = e
	}
	return s, nil
}

type sluicePair struct {
	pcs   [2]*webrtc.PeerConnection
	chans [2][]*webrtc.DataChannel
	lows  []chan struct{}
}

func (s *sluiceStack) pair(channels int, unordered bool, heard func(side, channel, n int)) (dataPair, error) {
	p := &sluicePair{lows: signals(channels)}
	open := make(chan struct{}, 2*channels)
	if s.high == sluiceEngines {
		return nil, errEngines
	}
	engines := [2]*dataplane.Engine{s.engines[s.low], s.engines[s.high]}
	if s.low++; s.low == s.high {
		s.low, s.high = 0, s.high+1
	}
	for i := range p.pcs {
		pc, err := webrtc.NewPeerConnection(webrtc.Config{Engine: engines[i], IncludeLoopback: true})
		if err != nil {
			return nil, err
		}
		p.pcs[i], p.chans[i] = pc, make([]*webrtc.DataChannel, channels)
	}
	use := func(side int, dc *webrtc.DataChannel) {
		n := channelNumber(dc.Label())
		p.chans[side][n] = dc
		dc.OnMessage(func(m webrtc.Message) { heard(side, n, len(m.Data)) })
		dc.OnOpen(func() { open <- struct{}{} })
	}
	p.pcs[1].OnDataChannel(func(dc *webrtc.DataChannel) { use(1, dc) })
	for n := range channels {
		dc, err := p.pcs[0].CreateDataChannel(strconv.Itoa(n), &webrtc.DataChannelInit{Unordered: unordered})
		if err != nil {
			return nil, err
		}
		dc.SetBufferedAmountLowThreshold(lowWater)
		dc.OnBufferedAmountLow(func() { signal(p.lows[n]) })
		use(0, dc)
	}
	if err := p.negotiate(); err != nil {
		return nil, err
	}
	return p, awaitOpen(open, 2*channels)
}

func (p *sluicePair) negotiate() error {
	from, to := p.pcs[0], p.pcs[1]
	for range 2 {
		if err := from.SetLocalDescription(webrtc.SessionDescription{}); err != nil {
			return err
		}
		<-from.GatheringComplete()
		if err := to.SetRemoteDescription(from.LocalDescription()); err != nil {
			return err
		}
		from, to = to, from
	}
	return nil
}

func (p *sluicePair) send(side, ch int, b []byte) error { return p.chans[side][ch].Send(b) }
func (p *sluicePair) buffered(side, ch int) int         { return int(p.chans[side][ch].BufferedAmount()) }
func (p *sluicePair) low(ch int) <-chan struct{}        { return p.lows[ch] }

// pionStack has sockets for each connection, Pion's default.
type pionStack struct{ api *pion.API }

func newPionStack() (dataStack, error) {
	s, err := newPionSFU(false)
	if err != nil {
		return nil, err
	}
	return &pionStack{s.(*pionSFU).api}, nil
}

type pionPairing struct {
	pcs   [2]*pion.PeerConnection
	chans [2][]*pion.DataChannel
	lows  []chan struct{}
}

func (s *pionStack) pair(channels int, unordered bool, heard func(side, channel, n int)) (dataPair, error) {
	p := &pionPairing{lows: signals(channels)}
	open := make(chan struct{}, 2*channels)
	for i := range p.pcs {
		pc, err := s.api.NewPeerConnection(pion.Configuration{})
		if err != nil {
			return nil, err
		}
		p.pcs[i], p.chans[i] = pc, make([]*pion.DataChannel, channels)
	}
	use := func(side int, dc *pion.DataChannel) {
		n := channelNumber(dc.Label())
		p.chans[side][n] = dc
		dc.OnMessage(func(m pion.DataChannelMessage) { heard(side, n, len(m.Data)) })
		dc.OnOpen(func() { open <- struct{}{} })
	}
	p.pcs[1].OnDataChannel(func(dc *pion.DataChannel) { use(1, dc) })
	ordered := !unordered
	for n := range channels {
		dc, err := p.pcs[0].CreateDataChannel(strconv.Itoa(n), &pion.DataChannelInit{Ordered: &ordered})
		if err != nil {
			return nil, err
		}
		dc.SetBufferedAmountLowThreshold(lowWater)
		dc.OnBufferedAmountLow(func() { signal(p.lows[n]) })
		use(0, dc)
	}
	if err := p.negotiate(); err != nil {
		return nil, err
	}
	return p, awaitOpen(open, 2*channels)
}

func (p *pionPairing) negotiate() error {
	offer, err := p.pcs[0].CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := pion.GatheringCompletePromise(p.pcs[0])
	if err := p.pcs[0].SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	if err := p.pcs[1].SetRemoteDescription(*p.pcs[0].LocalDescription()); err != nil {
		return err
	}
	answer, err := p.pcs[1].CreateAnswer(nil)
	if err != nil {
		return err
	}
	gathered = pion.GatheringCompletePromise(p.pcs[1])
	if err := p.pcs[1].SetLocalDescription(answer); err != nil {
		return err
	}
	<-gathered
	return p.pcs[0].SetRemoteDescription(*p.pcs[1].LocalDescription())
}

func (p *pionPairing) send(side, ch int, b []byte) error { return p.chans[side][ch].Send(b) }
func (p *pionPairing) buffered(side, ch int) int {
	return int(p.chans[side][ch].BufferedAmount())
}
func (p *pionPairing) low(ch int) <-chan struct{} { return p.lows[ch] }
