package interop

import (
	"strings"
	"testing"
)

// messageKinds are what each channel sends: every size class, both types, and
// the empty message of each (RFC 8831 §6.6).
var messageKinds = []options{
	{"size": 1, "count": 10},
	{"size": 65536, "count": 3},
	{"size": 1024, "count": 1000},
	{"size": 40, "count": 20, "text": true},
	{"size": 0, "count": 3, "text": true},
	{"size": 0, "count": 3},
}

var channelKinds = []options{
	{"label": "ordered", "init": options{}},
	{"label": "unordered", "init": options{"ordered": false}},
	{"label": "partial", "init": options{"ordered": false, "maxRetransmits": 3}},
	{"label": "timed", "init": options{"maxPacketLifeTime": 5000}},
	{"label": "named", "init": options{"protocol": "interop"}},
}

// echoed is the answer of page/peer.js and of the other peers about messages.
type echoed struct {
	Sent, Received, Wrong int
	Ordered               bool
	Wanted, Got, Error    string
}

func (e echoed) check(t *testing.T, label string) {
	t.Helper()
	if e.Error != "" {
		t.Errorf("%s: %s", label, e.Error)
	}
	if e.Sent == 0 || e.Received != e.Sent || e.Wrong >= 0 {
		t.Errorf("%s: sent %d messages, got %d back, number %d differs: want %q, got %q", label, e.Sent, e.Received, e.Wrong, e.Wanted, e.Got)
	}
}

func eachBrowser(t *testing.T, f func(t *testing.T, b browser)) {
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) { f(t, b) })
	}
}

func TestEchoOfMediaAndChannels(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		e := b.open(t).start("echo", s.url+"/echo", options{"audio": true, "video": true, "channels": channelKinds})
		e.logTransport("echo")
		s.transports(t)
		v := e.awaitMedia(31, 50, summary{})
		for _, in := range v.Inbound {
			t.Logf("%s %s mid %s %.0fx%.0f: %.0f packets, %.0f lost, %.0f frames, energy %.2g", in.Kind, in.Codec, in.MID, in.Width, in.Height, in.Packets, in.Lost, in.Frames, in.Energy)
			if in.Lost > 0 {
				t.Errorf("%.0f packets of %s lost", in.Lost, in.Kind)
			}
		}
		for _, c := range channelKinds {
			label := c["label"].(string)
			var got echoed
			e.call("messages", options{"label": label, "kinds": messageKinds}, &got)
			got.check(t, label)
		}
		// Bulk data may overflow the browser's socket; media must go on all the same.
		e.awaitMedia(20, 20, e.now())
		kernelDrops(t)
	})
}

// Channels alone: no section of media, and channels opened later.
func TestEchoOfChannelsAlone(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		e := b.open(t).start("echo", s.url+"/echo", options{"channels": []options{{"label": "first"}}})
		var got echoed
		e.call("messages", options{"label": "first", "kinds": messageKinds}, &got)
		got.check(t, "first")
		for i := range 20 {
			label := "late " + strings.Repeat("é", i)
			e.call("addChannel", options{"label": label, "init": options{"ordered": i%2 == 0}}, nil)
			e.call("messages", options{"label": label, "kinds": []options{{"size": 100, "count": 10}, {"size": 0, "count": 1}}}, &got)
			got.check(t, label)
		}
	})
}

// The SCTP association begins in the descriptions (a=sctp-init).
func TestEchoOfChannelsAnnounced(t *testing.T) {
	s := startServer(t, "--snap")
	e := chromiumSNAP.open(t).start("echo", s.url+"/echo", options{"channels": []options{{"label": "first"}}})
	var d struct{ Offer, Answer string }
	e.call("descriptions", options{}, &d)
	if !strings.Contains(d.Offer, "a=sctp-init:") || !strings.Contains(d.Answer, "a=sctp-init:") {
		t.Errorf("no a=sctp-init in\n%s\n%s", d.Offer, d.Answer)
	}
	var got echoed
	e.call("messages", options{"label": "first", "kinds": messageKinds}, &got)
	got.check(t, "first")
}

// The largest message that both sides take.
func TestEchoOfLargeMessages(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		e := b.open(t).start("echo", s.url+"/echo", options{"channels": []options{{"label": "bulk"}}})
		var got echoed
		e.call("messages", options{"label": "bulk", "kinds": []options{{"size": 262144, "count": 40}, {"size": 200000, "count": 5, "text": true}}}, &got)
		got.check(t, "bulk")
	})
}

// Candidates by trickling (RFC 8840): the offer has none.
func TestTrickledCandidates(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		s := startServer(t)
		e := b.open(t).start("echo", s.url+"/echo", options{"trickle": true, "channels": []options{{"label": "c"}}})
		eventually(t, "answer to a trickled candidate", func() error {
			v, err := e.stats()
			if err == nil && v.Trickled == 0 {
				return errNotYet
			}
			if err == nil && v.TrickleStatus != 204 {
				t.Errorf("PATCH was answered with %d", v.TrickleStatus)
			}
			return err
		})
		var got echoed
		e.call("messages", options{"label": "c", "kinds": []options{{"size": 100, "count": 10}}}, &got)
		got.check(t, "c")
	})
}

// A browser that has not been given a camera hides its addresses behind names
// of mDNS, which the server cannot resolve: it learns them from the checks.
func TestHiddenAddresses(t *testing.T) {
	s := startServer(t)
	e := chromiumPrivate.open(t).start("echo", s.url+"/echo", options{"channels": []options{{"label": "c"}}})
	v := e.now()
	if len(v.Candidates) == 0 {
		t.Error("no candidates")
	}
	for _, c := range v.Candidates {
		if !strings.Contains(c, ".local ") {
			t.Errorf("the browser did not hide %q", c)
		}
	}
	var got echoed
	e.call("messages", options{"label": "c", "kinds": messageKinds}, &got)
	got.check(t, "c")
	e.logTransport("hidden")
}
