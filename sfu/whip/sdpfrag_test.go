package whip

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/sdp"
)

// After the example of RFC 9725 §4.3.2.
const fragmentText = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
	"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n" +
	"a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2\r\na=end-of-candidates\r\n"

func TestFragmentsAreRead(t *testing.T) {
	for _, text := range []string{fragmentText, strings.ReplaceAll(fragmentText, "\r", "")} {
		f, err := ParseFragment(text)
		if err != nil {
			t.Fatal(err)
		}
		if f.Ufrag != "EsAw" || f.Pwd != "P2uYro0UCOQ4zxjKXaWCBui1" || len(f.Candidates) != 3 {
			t.Fatalf("%+v", f)
		}
		for i, want := range []string{"candidate:1387637174 1 udp", "candidate:3471623853 1 udp", ""} {
			if c := f.Candidates[i]; c.SDPMid != "0" || !strings.HasPrefix(c.Candidate, want) {
				t.Errorf("candidate %d: %+v", i, c)
			}
		}
		if f.Candidates[2].Candidate != "" {
			t.Error("the end has a text")
		}
	}
}

func TestFragmentsAreRefused(t *testing.T) {
	many := strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", maxCandidates)
	for what, text := range map[string]string{
		"empty":               "",
		"says nothing":        "a=mid:0\r\n",
		"not a line":          "a=ice-ufrag:abcd\r\nhello\r\n",
		"long line":           "a=ice-ufrag:abcd\r\na=x:" + strings.Repeat("x", maxFragmentLine),
		"short ufrag":         "a=ice-ufrag:abc\r\n",
		"bad ufrag":           "a=ice-ufrag:ab cd\r\n",
		"long ufrag":          "a=ice-ufrag:" + strings.Repeat("a", 257) + "\r\n",
		"short password":      "a=ice-ufrag:abcd\r\na=ice-pwd:012345678901234567890\r\n",
		"two ufrags":          "a=ice-ufrag:abcd\r\nm=audio 9 x 0\r\na=ice-ufrag:abce\r\n",
		"two passwords":       "a=ice-pwd:0123456789012345678901\r\na=ice-pwd:0123456789012345678902\r\n",
		"empty candidate":     "a=candidate:\r\n",
		"too many candidates": many + "a=end-of-candidates\r\n",
		"too long":            strings.Repeat("a=x:y\r\n", maxFragment/7+1) + many,
	} {
		if _, err := ParseFragment(text); !errors.Is(err, ErrFragment) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if _, err := ParseFragment(many); err != nil {
		t.Errorf("as many candidates as allowed: %v", err)
	}
}

func TestFragmentsOfDescriptionsAreRead(t *testing.T) {
	text := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n" +
		"a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=rtpmap:96 VP8/90000\r\n"
	d, err := sdp.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	out := formatFragment(d)
	for _, want := range []string{"a=ice-lite\r\n", "a=group:BUNDLE 0 1\r\n", "a=ice-options:trickle\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %q", want, out)
		}
	}
	f, err := ParseFragment(out)
	if err != nil || f.Ufrag != "abcd" || f.Pwd != "0123456789012345678901" || len(f.Candidates) != 2 || f.Candidates[0].SDPMid != "0" {
		t.Errorf("%+v, %v", f, err)
	}
	if strings.Contains(out, "m=video") {
		t.Error("a section without candidates says nothing")
	}
}

// What is read, written again and read again is the same.
func FuzzFragment(f *testing.F) {
	f.Add(fragmentText)
	f.Add("a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\nm=x\na=mid:\na=candidate:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseFragment(text)
		if err != nil {
			if !errors.Is(err, ErrFragment) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(a.Candidates) > maxCandidates {
			t.Fatal("too many candidates")
		}
		var b strings.Builder
		if a.Ufrag != "" {
			fmt.Fprintf(&b, "a=ice-ufrag:%s\n", a.Ufrag)
		}
		if a.Pwd != "" {
			fmt.Fprintf(&b, "a=ice-pwd:%s\n", a.Pwd)
		}
		for _, c := range a.Candidates {
			line := "a=" + c.Candidate
			if c.Candidate == "" {
				line = "a=end-of-candidates"
			}
			fmt.Fprintf(&b, "m=x\na=mid:%s\n%s\n", c.SDPMid, line)
		}
		if b.Len() > maxFragment {
			return
		}
		again, err := ParseFragment(b.String())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(a) {
			t.Fatalf("%+v became %+v, %v", a, again, err)
		}
	})
}
