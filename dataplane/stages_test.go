package dataplane

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/srtp"
	"github.com/sluicertc/sluice/stun"
)

func TestStagesAreSampled(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	for range 3 {
		v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		v.view(st)
	}
	s := r.e.shards[0]
	before := r.e.Stats().Stages
	for i := range uint16(5) {
		s.stages.turn = sampleTurns - 1 // the next turn is measured
		r.deliver(0, pub.addr, pub.packet(1, 2*i, keyPayload), pub.packet(1, 2*i+1, interPayload))
	}
	after := r.e.Stats().Stages
	for stage, want := range map[Stage]uint64{StageReceive: 10, StageRoute: 30, StageProtect: 30, StageSend: 30} {
		if got := after[stage].Packets - before[stage].Packets; got != want {
			t.Errorf("%v: %d packets, want %d", stage, got, want)
		}
		if after[stage].Nanoseconds == before[stage].Nanoseconds {
			t.Errorf("%v took no time", stage)
		}
	}
	for range 8 * sampleTurns {
		s.step(r.now, 0)
	}
	if s.stages.on {
		t.Error("a turn has no end")
	}
}

// waits reports whether a goroutine has waited, for a lock or for anything
// else, or has made others wait for a lock, within fn.
func waits(fn string) bool {
	for _, profile := range []func([]runtime.BlockProfileRecord) (int, bool){runtime.BlockProfile, runtime.MutexProfile} {
		n, _ := profile(nil)
		records := make([]runtime.BlockProfileRecord, n+100)
		n, ok := profile(records)
		if !ok {
			continue
		}
		for _, rec := range records[:n] {
			frames := runtime.CallersFrames(rec.Stack())
			var names []string
			for more := true; more; {
				var f runtime.Frame
				f, more = frames.Next()
				names = append(names, f.Function)
			}
			// Go's own locks, as of its memory, are not ours.
			own := strings.HasPrefix(names[0], "sync.") || strings.HasPrefix(names[0], "internal/sync.") ||
				strings.HasPrefix(names[0], "runtime.chan") || strings.HasPrefix(names[0], "runtime.select")
			if own && strings.Contains(strings.Join(names, " "), fn) {
				return true
			}
		}
	}
	return false
}

// The walk runs beside everything that takes the engine's locks, all of which
// the profiles of waiting and of locks record.
func TestTheWalkWaitsForNothing(t *testing.T) {
	old := runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	defer runtime.SetMutexProfileFraction(old)
	defer runtime.SetBlockProfileRate(0)

	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	for range 8 {
		v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		v.view(st)
	}
	s := r.e.shards[0]
	var others sync.WaitGroup
	quit := make(chan struct{})
	for i := range 4 {
		others.Add(1)
		go func() {
			defer others.Done()
			ufrag := fmt.Sprint("ufrag", i)
			for n := byte(0); ; n++ {
				select {
				case <-quit:
					return
				default:
				}
				_ = r.e.Register(ufrag, s.lane, pub.ep)
				r.e.lookup([]byte(ufrag))
				r.e.Expect(mono.Time(1), stun.TransactionID{byte(i), n}, s.lane, pub.ep)
				r.e.Unregister(ufrag)
				r.e.Stats()
				s.Post(func(*Shard, mono.Time) {})
				runtime.Gosched()
			}
		}()
	}
	for seq := range uint16(300) {
		payload := interPayload
		if seq == 0 {
			payload = keyPayload
		}
		m := &s.msgs[0]
		m.Buf = m.Buf[:cap(m.Buf)]
		m.Buf = m.Buf[:copy(m.Buf, pub.packet(1, seq, payload))]
		m.Addr, m.At = pub.addr, r.now
		s.step(r.now, 1)
		r.take(pub.addr)
	}
	close(quit)
	others.Wait()
	if waits("dataplane.(*Shard).step") {
		t.Error("the data lane waits for a lock")
	}

	// The negative twin: an update that waits for a lock is seen.
	for range 1000 {
		var mu sync.Mutex
		begun := make(chan struct{})
		mu.Lock()
		s.Post(func(*Shard, mono.Time) {
			close(begun)
			mu.Lock()
		})
		go func() {
			<-begun
			for range 1000 {
				runtime.Gosched()
			}
			mu.Unlock()
		}()
		s.step(r.now, 0)
		if waits("dataplane.(*Shard).step") {
			return
		}
	}
	t.Error("the profiles do not see a lock on the data lane")
}
