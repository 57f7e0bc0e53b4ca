package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/sdp"
)

func TestCPULists(t *testing.T) {
	var set unix.CPUSet
	set.Set(0)
	set.Set(17)
	back, err := parseCPUs(listCPUs(set))
	if listCPUs(set) != "0,17" || err != nil || back != set {
		t.Errorf("%q, %v", listCPUs(set), err)
	}
	if none, err := parseCPUs(""); err != nil || none.Count() != 0 {
		t.Error(none, err)
	}
	if _, err := parseCPUs("0,x"); err == nil {
		t.Error("accepted")
	}
}

func TestVoluntarySwitches(t *testing.T) {
	const status = "Name:\tx\nvoluntary_ctxt_switches:\t1234\nnonvoluntary_ctxt_switches:\t99\n"
	if n := voluntary([]byte(status)); n != 1234 {
		t.Error(n)
	}
	if n := voluntary([]byte("Name:\tvoluntary_ctxt_switches:\n")); n != 0 {
		t.Error(n)
	}
}

// The figures of another process are those it would tell of itself.
func TestUsageOfAProcess(t *testing.T) {
	pid := os.Getpid()
	before := spentBy(pid)
	mine := spent()
	if d := mine - before; before == 0 || d < -time.Second || d > time.Second {
		t.Errorf("clock %v, getrusage %v", before, mine)
	}
	if residentOf(pid) == 0 || entries(pid, "fd") == 0 || entries(pid, "task") == 0 || wakeupsOf(pid) == 0 {
		t.Error("nothing was read")
	}
	if residentOf(0) != 0 || wakeupsOf(0) != 0 {
		t.Error("something was read of no process")
	}
}

func TestLivekitToken(t *testing.T) {
	token, err := livekitToken(livekitGrant{Room: "r", RoomJoin: true, CanSubscribe: true}, "viewer-1", "secret", time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal(token)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) != parts[2] {
		t.Error("signature")
	}
	var claims struct {
		Iss, Sub string
		Nbf, Exp int64
		Video    livekitGrant
	}
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if err := json.Unmarshal(b, &claims); err != nil || claims.Iss != livekitKey || claims.Sub != "viewer-1" || claims.Nbf > 1e9 || claims.Exp < 1e9 || claims.Video.Room != "r" || !claims.Video.CanSubscribe || claims.Video.CanPublish {
		t.Errorf("%s, %v", b, err)
	}
}

func TestJanusMessages(t *testing.T) {
	for text, fails := range map[string]bool{
		`{"janus":"success","transaction":"1","data":{"id":7}}`:                                                   false,
		`{"janus":"error","transaction":"1","error":{"code":458,"reason":"No such session"}}`:                     true,
		`{"janus":"event","plugindata":{"plugin":"x","data":{"videoroom":"event","error_code":426,"error":"x"}}}`: true,
		`{"janus":"event","plugindata":{"data":{"id":5,"room":1}},"jsep":{"type":"offer","sdp":"v=0"}}`:           false,
	} {
		var m janusMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil || (m.err() != nil) != fails {
			t.Errorf("%s: %v, %v", text, err, m.err())
		}
	}
}

// Two offers about one section become two answers, each with the transport of
// the other side.
func TestCrossOffers(t *testing.T) {
	server := "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=room\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-options:trickle\r\n" +
		"a=fingerprint:sha-256 AA:BB\r\na=msid-semantic: WMS *\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 192.0.2.2\r\n" +
		"a=sendonly\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:server\r\na=ice-pwd:serverpasswordserverpass\r\na=setup:actpass\r\n" +
		"a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 1 2\r\n" +
		"a=msid:janus janus0\r\na=ssrc:1 cname:janus\r\na=ssrc:2 cname:janus\r\n" +
		"a=candidate:1 1 udp 2015363327 192.0.2.2 5000 typ host\r\na=end-of-candidates\r\n"
	client := "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\n" +
		"a=candidate:1 1 udp 2130706431 127.0.0.1 6000 typ host\r\na=ice-ufrag:client\r\na=ice-pwd:clientpasswordclientpass\r\n" +
		"a=fingerprint:sha-256 CC:DD\r\na=setup:active\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
	toServer, toClient := crossOffers(server, client)
	for name, c := range map[string]struct {
		text, ufrag, print, setup, direction, candidate string
	}{
		"to the server": {toServer, "client", "sha-256 CC:DD", "active", "recvonly", "6000"},
		"to the client": {toClient, "server", "sha-256 AA:BB", "passive", "sendonly", "5000"},
	} {
		s, err := sdp.Parse(c.text)
		if err != nil || len(s.Media) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		m := s.Media[0]
		if m.ICEUfrag != c.ufrag || string(m.Setup) != c.setup || string(m.Direction) != c.direction || len(m.Candidates) != 1 ||
			!strings.Contains(m.Candidates[0], c.candidate) || len(m.Fingerprints) != 1 || m.Fingerprints[0] != c.print || m.MID != "0" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if strings.Contains(toServer, "ssrc") || strings.Contains(toServer, "msid:") {
		t.Errorf("the client's answer names sources:\n%s", toServer)
	}
}
