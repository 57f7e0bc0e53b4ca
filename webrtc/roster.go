package webrtc

import (
	"sync"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
)

// rosters are the open connections of each engine, so that they end with it:
// its lanes stop and tell nobody. One goroutine waits for an engine, however
// many connections it has.
var rosters = struct {
	sync.Mutex
	of map[*dataplane.Engine]map[*PeerConnection]bool
}{of: map[*dataplane.Engine]map[*PeerConnection]bool{}}

func (pc *PeerConnection) enrol() {
	rosters.Lock()
	defer rosters.Unlock()
	r := rosters.of[pc.engine]
	if r == nil {
		r = map[*PeerConnection]bool{}
		rosters.of[pc.engine] = r
		go watch(pc.engine)
	}
	r[pc] = true
}

func (pc *PeerConnection) leave() {
	rosters.Lock()
	delete(rosters.of[pc.engine], pc)
	rosters.Unlock()
}

// watch closes the connections of an engine that is closed.
func watch(e *dataplane.Engine) {
	<-e.Done()
	rosters.Lock()
	r := rosters.of[e]
	delete(rosters.of, e)
	rosters.Unlock()
	for pc := range r {
		pc.engineClosed()
	}
}

// engineClosed closes the connection on its lane, or, once that has ended, in
// its place, without a word to the peer: the sockets may be closed too.
func (pc *PeerConnection) engineClosed() {
	end := func(now mono.Time) {
		pc.stranded = true
		pc.closeOnLane(now)
	}
	pc.lane.Do(end)
	select {
	case <-pc.closedCh:
	default:
		end(mono.Now())
	}
}
