package load

import (
	"slices"
	"testing"
	"time"
)

// A second of video is what the scenario promises: frames at 30 a second, each at
// once or paced, all of a frame's packets in order.
func TestVideoSchedule(t *testing.T) {
	for _, c := range []struct {
		paced   bool
		burst   int
		bitrate float64
	}{{false, framePackets, 2.7e6}, {true, pacedBurst, 2.4e6}} {
		s := source{kind: Video, paced: c.paced}
		start := time.Hour
		s.skip(start)
		packets, keys, frames, largest := 0, 0, 0, 0
		open := false
		for now := start; now < start+6*time.Second; now += time.Millisecond {
			list := s.due(now, nil)
			largest = max(largest, len(list))
			for _, p := range list {
				if p.first == open {
					t.Fatalf("frame at %v begins or goes on wrongly", p.at-start)
				}
				open = !p.marker
				packets++
				if p.first {
					frames++
					if p.key {
						keys++
					}
				}
			}
		}
		if keys != 2 || frames < 178 || frames > 181 || largest != c.burst {
			t.Errorf("%+v: %d key frames, %d frames, bursts of up to %d", c, keys, frames, largest)
		}
		if rate := float64(packets) * videoPacket * 8 / 6; rate < c.bitrate-0.1e6 || rate > c.bitrate+0.1e6 {
			t.Errorf("%+v: %.0f bit/s", c, rate)
		}
	}
}

// A second of what keeps a server busy is 10,000 packets, each frame of them
// whole.
func TestBusySchedule(t *testing.T) {
	s := source{kind: Video, busy: true}
	start := time.Hour
	s.skip(start)
	packets, keys := 0, 0
	for now := start; now < start+time.Second; now += time.Millisecond {
		list := s.due(now, nil)
		if n := len(list); n != busyPackets && n != 2*busyPackets {
			t.Fatalf("%d packets at %v", n, now-start)
		}
		for i, p := range list {
			if p.first != (i%busyPackets == 0) || p.marker != (i%busyPackets == busyPackets-1) {
				t.Fatalf("packet %d at %v: %+v", i, now-start, p)
			}
			if p.first && p.key {
				keys++
			}
		}
		packets += len(list)
	}
	if packets < 9990 || packets > 10010 || keys != 1 {
		t.Errorf("%d packets in a second, %d key frames", packets, keys)
	}
}

func TestAudioSchedule(t *testing.T) {
	s := source{kind: Audio}
	s.skip(time.Second)
	n := 0
	for now := time.Second; now < 2*time.Second; now += 7 * time.Millisecond {
		n += len(s.due(now, nil))
	}
	if n != 50 {
		t.Errorf("%d packets in a second", n)
	}
}

func TestIdleTimeIsNotSentAfterwards(t *testing.T) {
	for _, kind := range []Kind{Video, Audio} {
		s := source{kind: kind}
		s.due(time.Second, nil)
		s.skip(time.Hour)
		if n := len(s.due(time.Hour, nil)); n > framePackets {
			t.Errorf("%s: %d packets at once after a pause", kind, n)
		}
	}
}

func TestRequestsForKeyFramesAreCoalesced(t *testing.T) {
	s := source{kind: Video}
	s.skip(time.Second)
	keys := 0
	for now := time.Second; now < 2*time.Second; now += time.Millisecond {
		s.keyframe(now) // a storm
		for _, p := range s.due(now, nil) {
			if p.first && p.key {
				keys++
			}
		}
	}
	if keys < 2 || keys > 5 {
		t.Errorf("%d key frames in a second", keys)
	}
}

func TestStamp(t *testing.T) {
	b := make([]byte, 100)
	putStamp(b, 1234567890123, 42)
	if sent, index, ok := readStamp(b); !ok || sent != 1234567890123 || index != 42 {
		t.Fatal(sent, index, ok)
	}
	for _, bad := range [][]byte{nil, b[:99], make([]byte, 100)} {
		if _, _, ok := readStamp(bad); ok {
			t.Errorf("%d bytes were taken for ours", len(bad))
		}
	}
}

// Publishers that start together send their frames one after the other, and
// their key frames apart.
func TestPublishersAreStaggered(t *testing.T) {
	const publishers = 20
	var first, key []time.Duration
	for k := range publishers {
		s := source{kind: Video}
		s.skip(time.Hour)
		s.stagger(k, publishers)
		begun := false
		for now := time.Hour; len(key) == k; now += time.Millisecond {
			if now > time.Hour+time.Minute {
				t.Fatalf("publisher %d has no key frame in a minute", k)
			}
			for _, p := range s.due(now, nil) {
				switch {
				case !p.key && !begun:
					t.Fatalf("publisher %d does not begin with a key frame", k)
				case !begun:
					first = append(first, now)
					begun = true
					s.staggerKeys(k, publishers)
				case p.first && p.key:
					key = append(key, now)
				}
			}
		}
	}
	if !slices.IsSorted(first) || first[0] != time.Hour || first[publishers-1]-first[0] < 25*time.Millisecond {
		t.Errorf("first packets at %v", first)
	}
	if !slices.IsSorted(key) || key[publishers-1]-key[0] < 2500*time.Millisecond {
		t.Errorf("next key frames at %v", key)
	}
}
