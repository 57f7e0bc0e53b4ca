package load

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

func TestNackerAsksAtOnceAndAgainAfterARoundTrip(t *testing.T) {
	var n nacker
	at := mono.Time(time.Hour)
	n.receive(at, 65534, nil)
	ask, _ := n.receive(at, 2, nil)
	if want := []uint16{65535, 0, 1}; !slices.Equal(ask, want) {
		t.Fatalf("asked for %v, want %v", ask, want)
	}
	if _, repaired := n.receive(at, 0, nil); !repaired {
		t.Error("a missing packet that came was not recognised")
	}
	if _, repaired := n.receive(at, 0, nil); repaired {
		t.Error("a packet was repaired twice")
	}
	if ask := n.due(at.Add(nackAgain-1), nil); len(ask) != 0 {
		t.Errorf("asked again too early: %v", ask)
	}
	for try := 2; try <= nackTries; try++ {
		at = at.Add(nackAgain)
		if ask, want := n.due(at, nil), []uint16{65535, 1}; !slices.Equal(ask, want) {
			t.Fatalf("try %d: asked for %v, want %v", try, ask, want)
		}
	}
	if ask := n.due(at.Add(nackAgain), nil); len(ask) != 0 || len(n.missing) != 0 {
		t.Errorf("asked for %v after all tries, %d listed", ask, len(n.missing))
	}
}

func TestNackerListIsBounded(t *testing.T) {
	var n nacker
	n.receive(1, 0, nil)
	n.receive(1, 30000, nil)
	if len(n.missing) != nackListed || n.missing[nackListed-1].seq != 29999 {
		t.Errorf("%d listed, the last %d", len(n.missing), n.missing[len(n.missing)-1].seq)
	}
}

func TestSeenCountsAnIndexOnce(t *testing.T) {
	var s seen
	for _, i := range []uint32{0, 63, 64, 1000} {
		if !s.add(i) || s.add(i) {
			t.Errorf("index %d", i)
		}
	}
	s.clear()
	if !s.add(1000) || s.add(seenMax) || s.add(^uint32(0)) {
		t.Error("after clear, or beyond the limit")
	}
}
