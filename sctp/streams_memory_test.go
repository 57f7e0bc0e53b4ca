package sctp

import (
	"runtime"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

func heapBytes() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// connectedChannels are pairs whose ends agreed on so many streams each.
func connectedChannels(t *testing.T, pairs int, streams uint16) []*dcPair {
	list := make([]*dcPair, pairs)
	for i := range list {
		ab, ba := both(uint64(i), netem.Config{})
		list[i] = newChannelPair(t, Config{MaxStreams: streams}, ab, ba).connect()
		if n := list[i].c[0].assoc.outStreams; n != streams {
			t.Fatalf("%d streams", n)
		}
	}
	return list
}

// 65,535 streams both ways cost nothing: an association with them holds what
// one with a single stream does. One in use costs some hundred bytes, and a
// closed channel leaves nothing.
func TestClass24_StreamsCostNothingUntilUsed(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has its own idea of the heap")
	}
	const pairs = 20
	at := heapBytes()
	few := connectedChannels(t, pairs, 1)
	one := heapBytes() - at
	at = heapBytes()
	many := connectedChannels(t, pairs, 65535)
	all := heapBytes() - at
	t.Logf("an association holds %d bytes with 1 stream, %d with 65,535", one/pairs/2, all/pairs/2)
	if extra := (all - one) / pairs / 2; extra > 512 {
		t.Errorf("65,535 streams cost %d bytes", extra)
	}
	if each := all / pairs / 2; each > 16<<10 {
		t.Errorf("an idle association holds %d bytes", each)
	}

	// In use: both ends together, the test's own notes of it included.
	const used = 2000
	p := many[0]
	at = heapBytes()
	ids := make([]uint16, used)
	for i := range ids {
		id, err := p.c[0].Open(p.Now, ChannelParams{})
		must(t, err)
		ids[i] = id
	}
	p.Sleep(5 * time.Second)
	if n := len(p.c[1].channels); n != used {
		t.Fatalf("%d channels", n)
	}
	p.ev = [2][]ChannelEvent{}
	cost := (heapBytes() - at) / used / 2
	t.Logf("a channel in use costs %d bytes at each end", cost)
	if cost > 1024 {
		t.Errorf("a channel in use costs %d bytes at each end", cost)
	}
	for _, id := range ids {
		p.c[0].Close(p.Now, id)
	}
	p.Sleep(30 * time.Second)
	p.ev = [2][]ChannelEvent{}
	for i, c := range p.c {
		if len(c.channels)+len(c.assoc.tx.streams)+len(c.assoc.rx.data.streams) > 0 {
			t.Errorf("end %d keeps %d channels, %d and %d streams", i, len(c.channels), len(c.assoc.tx.streams), len(c.assoc.rx.data.streams))
		}
	}
	runtime.KeepAlive(few)
	runtime.KeepAlive(many)
}
