package load

import (
	"testing"
	"time"
)

// A second of video is what the scenario promises: frames at 30 a second,
// bursts of at most four packets, all of a frame's packets in order.
func TestVideoSchedule(t *testing.T) {
	s := source{kind: Video}
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
	if keys != 2 || frames < 178 || frames > 181 || largest != pacerBurst {
		t.Errorf("%d key frames, %d frames, bursts of up to %d", keys, frames, largest)
	}
	if rate := float64(packets) * videoPacket * 8 / 6; rate < 2.3e6 || rate > 2.7e6 {
		t.Errorf("%.0f bit/s", rate)
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
		if n := len(s.due(time.Hour, nil)); n > pacerBurst {
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
