package sfu

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/webrtc"
)

// idleTurns is for how many looks a layer may bring no packet before its
// viewers get a smaller one: 3 s, longer than a still screen is silent.
const idleTurns = 3

// activity is what was last seen of one layer.
type activity struct {
	packets uint64
	idle    int // looks since the last new packet
	seen    bool
}

func (a *activity) live() bool { return a != nil && a.seen && a.idle < idleTurns }

// pick is the track for an output: the layer asked for, or else the largest
// that arrives. A browser sends only the smaller layers while its uplink is
// slow. Without any packet the choice stays. Server.mu is held.
func (st *stream) pick(src *source, rid string, current *webrtc.MediaStreamTrack) *webrtc.MediaStreamTrack {
	if src == nil {
		return nil
	}
	if l := src.layer(rid); rid != "" && l != nil {
		return l
	}
	for _, l := range slices.Backward(src.layers) {
		if st.layers[l].live() {
			return l
		}
	}
	if slices.Contains(src.layers, current) {
		return current
	}
	return src.best()
}

// watchLayers starts the one goroutine that looks at all simulcasts. It lives
// while there are any. mu is held.
func (s *Server) watchLayers(sources []*source) {
	if s.watching || s.closed || !slices.ContainsFunc(sources, (*source).simulcast) {
		return
	}
	s.watching = true
	s.running.Go(s.watch)
}

func (src *source) simulcast() bool { return len(src.layers) > 1 }

func (s *Server) watch() {
	tick := time.NewTicker(layerInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.quit:
			return
		}
		list := s.simulcasts()
		if list == nil {
			return
		}
		for _, st := range list {
			s.lookAt(st)
		}
	}
}

// simulcasts are the streams to look at. With none, watch ends.
func (s *Server) simulcasts() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*stream
	for _, st := range s.streams {
		if slices.ContainsFunc(st.sources, (*source).simulcast) {
			list = append(list, st)
		}
	}
	s.watching = list != nil
	return list
}

// lookAt compares a stream's layers with what they were a turn ago.
func (s *Server) lookAt(st *stream) {
	s.mu.Lock()
	var pc *webrtc.PeerConnection
	if st.publisher != nil {
		pc = st.publisher.pc
	}
	s.mu.Unlock()
	if pc == nil {
		return
	}
	report, err := pc.GetStats()
	if err != nil {
		return // closed meanwhile
	}
	type key struct{ mid, rid string }
	packets := map[key]uint64{}
	for _, v := range report {
		if in, ok := v.(*webrtc.InboundRTPStats); ok {
			packets[key{in.MID, in.RID}] = in.PacketsReceived
		}
	}
	s.mu.Lock()
	old := st.layers
	st.layers = map[*webrtc.MediaStreamTrack]*activity{}
	for _, src := range st.sources {
		if !src.simulcast() {
			continue
		}
		for _, l := range src.layers {
			a := old[l]
			if a == nil {
				a = &activity{}
			}
			a.look(packets[key{src.mid, l.RID()}])
			st.layers[l] = a
		}
	}
	s.mu.Unlock()
	s.sync(st)
}

func (a *activity) look(packets uint64) {
	a.idle++
	if packets != a.packets {
		a.seen, a.idle = packets > 0, 0
	}
	a.packets = packets
}
