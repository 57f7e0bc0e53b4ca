package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	sluice "github.com/sluicertc/sluice/webrtc"
)

// chromiumSPED carries the DTLS handshake in checks, and announces its SCTP
// association in descriptions.
var chromiumSPED = browser{name: "chromium-sped", kind: "chromium", args: []string{"--use-fake-ui-for-media-stream",
	"--force-fieldtrials=WebRTC-IceHandshakeDtls/Enabled/WebRTC-Sctp-Snap/Enabled/"}}

// spedEcho opens a channel, checks that both descriptions agree on DTLS in STUN,
// and sends messages there and back.
func spedEcho(t *testing.T, url string, media bool) {
	t.Helper()
	o := options{"channels": []options{{"label": "first"}}}
	if media {
		o["audio"], o["video"] = true, true
	}
	e := chromiumSPED.open(t).start("echo", url, o)
	var d struct{ Offer, Answer string }
	e.call("descriptions", options{}, &d)
	for _, text := range []string{d.Offer, d.Answer} {
		if !strings.Contains(text, " googspedv1") {
			t.Errorf("no googspedv1 in\n%s", text)
		}
	}
	if media {
		e.awaitMedia(10, 20, summary{})
	}
	var got echoed
	e.call("messages", options{"label": "first", "kinds": messageKinds[:3]}, &got)
	got.check(t, "first")
	e.logTransport("sped")
}

// Chromium is DTLS client: its hello, with post-quantum keys longer than one
// check, comes in checks.
func TestChromiumCarriesItsHello(t *testing.T) {
	for _, x := range []struct {
		args  []string
		media bool
	}{{[]string{"--sped"}, false}, {[]string{"--sped", "--snap"}, true}, {[]string{"--sped", "--snap", "--ice-lite"}, false}} {
		t.Run(fmt.Sprint(x.args), func(t *testing.T) {
			s := startServer(t, x.args...)
			spedEcho(t, s.url+"/echo", x.media)
			s.transports(t)
			var sent, received float64
			eventually(t, "datagrams of DTLS in checks", func() error {
				b, err := s.get("/debug/webrtc?format=json")
				if err != nil {
					return err
				}
				var v any
				if err := json.Unmarshal(b, &v); err != nil {
					return err
				}
				walk(v, func(m map[string]any) {
					if m["type"] == "transport" {
						sent, _ = m["dtlsInStunSent"].(float64)
						received, _ = m["dtlsInStunReceived"].(float64)
					}
				})
				if received == 0 {
					return errNotYet
				}
				return nil
			})
			t.Logf("the server got %.0f datagrams of DTLS in checks and sent %.0f", received, sent)
		})
	}
}

// Chromium is DTLS server: our hello goes in checks, or in the answers to its own.
func TestChromiumTakesOurHelloFromChecks(t *testing.T) {
	for _, snap := range []bool{false, true} {
		t.Run(fmt.Sprintf("snap %v", snap), func(t *testing.T) {
			h := startHost(t, sluice.Config{SPED: true, SNAP: snap, DTLSRole: sluice.DTLSClient})
			spedEcho(t, h.url+"/echo", false)
			v := spedStats(t, h)
			t.Logf("we sent %d datagrams of DTLS in checks and got %d", v.DTLSInSTUNSent, v.DTLSInSTUNReceived)
			if v.DTLSInSTUNSent == 0 {
				t.Error("our hello did not go in a check")
			}
		})
	}
}

// A browser that knows nothing of it is spoken to in the ordinary way.
func TestBrowsersWithoutDTLSInSTUN(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b browser) {
		h := startHost(t, sluice.Config{SPED: true, DTLSRole: sluice.DTLSClient})
		e := b.open(t).start("echo", h.url+"/echo", options{"channels": []options{{"label": "first"}}})
		var got echoed
		e.call("messages", options{"label": "first", "kinds": messageKinds[:3]}, &got)
		got.check(t, "first")
		if v := spedStats(t, h); v.DTLSInSTUNSent != 0 || v.DTLSInSTUNReceived != 0 {
			t.Errorf("we sent %d datagrams of DTLS in checks and got %d", v.DTLSInSTUNSent, v.DTLSInSTUNReceived)
		}
	})
}

func spedStats(t *testing.T, h *host) (found *sluice.TransportStats) {
	t.Helper()
	h.transport(t)
	for _, x := range h.sfu.Sessions() {
		pc := x.PeerConnection()
		if pc == nil {
			continue
		}
		report, err := pc.GetStats()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range report {
			if s, ok := v.(*sluice.TransportStats); ok {
				found = s
			}
		}
	}
	if found == nil {
		t.Fatal("no transport")
	}
	return found
}
