package load

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// A sink drops RTP and nothing else, and counts what it drops.
func TestSinkDropsMediaAlone(t *testing.T) {
	fd, at, err := listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := sink(fd); err != nil {
		t.Fatal(err)
	}
	from, _, err := listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(from)
	if err := connect(from, at); err != nil {
		t.Fatal(err)
	}
	r := newReader()
	media := uint32(0)
	for _, c := range []struct {
		name   string
		b      []byte
		passes bool
	}{
		{"STUN", []byte{0, 1}, true}, {"DTLS", []byte{22, 254}, true}, {"the last before RTP", []byte{127, 96}, true},
		{"RTP", []byte{128, 96}, false}, {"RTP with a marker", []byte{144, 224}, false}, {"RTP, type 63 with a marker", []byte{128, 191}, false},
		{"a sender report", []byte{128, 200}, true}, {"the first of RTCP", []byte{191, 192}, true}, {"the last of RTCP", []byte{128, 223}, true},
		{"what comes after", []byte{192, 96}, true}, {"one byte of STUN", []byte{0}, true},
	} {
		send(from, c.b)
		if got := r.read(fd) == 1; got != c.passes {
			t.Errorf("%s: passes is %v", c.name, got)
		}
		if !c.passes {
			media++
		}
		if n := dropped(fd); n != media {
			t.Errorf("%s: %d dropped, want %d", c.name, n, media)
		}
	}
	if n := dropped(-1); n != 0 {
		t.Errorf("no socket has dropped %d", n)
	}
}

// A clock that changes its speed goes on from where it was.
func TestClockOfAFastPublisher(t *testing.T) {
	at := func(d time.Duration) mono.Time { return mono.Time(0).Add(d) }
	g := &Group{base: at(time.Second), speed: 1}
	if d := g.clock(at(3 * time.Second)); d != 2*time.Second {
		t.Error(d)
	}
	g.pace(at(3*time.Second), 4)
	if d := g.clock(at(3 * time.Second)); d != 2*time.Second {
		t.Error(d)
	}
	if d := g.clock(at(4 * time.Second)); d != 6*time.Second {
		t.Error(d)
	}
	g.pace(at(4*time.Second), 0.5)
	if d := g.clock(at(6 * time.Second)); d != 7*time.Second {
		t.Error(d)
	}
}
