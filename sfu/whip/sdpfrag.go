package whip

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

// ErrFragment says what is wrong with an SDP fragment.
var ErrFragment = errors.New("whip: malformed SDP fragment")

// Fragment is an application/trickle-ice-sdpfrag (RFC 8840 §9).
type Fragment struct {
	Ufrag, Pwd string // empty: not given
	// Candidates belong to the section named by their SDPMid. One without
	// text means that there are no more.
	Candidates []webrtc.ICECandidate
}

// ParseFragment reads a fragment. Unknown attributes are skipped. A fragment
// without credentials or candidates says nothing, which is an error.
func ParseFragment(text string) (Fragment, error) {
	var f Fragment
	if len(text) > maxFragment {
		return f, fmt.Errorf("%w: %d bytes, at most %d", ErrFragment, len(text), maxFragment)
	}
	mid := ""
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line = strings.TrimRight(line, "\r \t"); line == "" {
			continue
		}
		if len(line) > maxFragmentLine || len(line) < 2 || line[1] != '=' {
			return Fragment{}, fmt.Errorf("%w: line %d is not of the form x=value with at most %d bytes", ErrFragment, n, maxFragmentLine)
		}
		if line[0] == 'm' {
			mid = "" // until a=mid names the section
		}
		if line[0] != 'a' {
			continue
		}
		if err := f.attribute(line[2:], &mid); err != nil {
			return Fragment{}, fmt.Errorf("%w: line %d: %s", ErrFragment, n, err)
		}
	}
	return f, f.validate()
}

func (f *Fragment) attribute(a string, mid *string) error {
	key, v, _ := strings.Cut(a, ":")
	switch key {
	case "mid":
		*mid = v
	case "ice-ufrag":
		return once(&f.Ufrag, v, "ice-ufrag")
	case "ice-pwd":
		return once(&f.Pwd, v, "ice-pwd")
	case "candidate":
		if v == "" {
			return errors.New("empty candidate")
		}
		return f.add(webrtc.ICECandidate{Candidate: a, SDPMid: *mid})
	case "end-of-candidates":
		return f.add(webrtc.ICECandidate{SDPMid: *mid})
	}
	return nil
}

// once sets a value that may be repeated in every section of a bundle, and
// must then be the same.
func once(dst *string, v, what string) error {
	if *dst != "" && *dst != v {
		return errors.New("two values of " + what)
	}
	*dst = v
	return nil
}

func (f *Fragment) add(c webrtc.ICECandidate) error {
	if len(f.Candidates) >= maxCandidates {
		return fmt.Errorf("more than %d candidates", maxCandidates)
	}
	f.Candidates = append(f.Candidates, c)
	return nil
}

func (f *Fragment) validate() error {
	switch {
	case f.Ufrag == "" && f.Pwd == "" && len(f.Candidates) == 0:
		return fmt.Errorf("%w: neither credentials nor candidates", ErrFragment)
	// RFC 8839 §5.4.
	case f.Ufrag != "" && !iceChars(f.Ufrag, 4):
		return fmt.Errorf("%w: ice-ufrag has 4 to 256 letters, digits, + and /", ErrFragment)
	case f.Pwd != "" && !iceChars(f.Pwd, 22):
		return fmt.Errorf("%w: ice-pwd has 22 to 256 letters, digits, + and /", ErrFragment)
	}
	return nil
}

func iceChars(s string, least int) bool {
	if len(s) < least || len(s) > 256 {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/')
	})
}

// formatFragment writes the ICE half of a local description, as a restart is
// answered (RFC 9725 §4.3.3): credentials and options for the session,
// candidates in the sections that carry them.
func formatFragment(d *sdp.Session) string {
	var b strings.Builder
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteString("\r\n")
	}
	if d.ICELite {
		line("a=ice-lite")
	}
	for _, g := range d.Groups {
		line("a=group:", g.Semantics, " ", strings.Join(g.MIDs, " "))
	}
	first := true
	for i := range d.Media {
		m := &d.Media[i]
		if m.Rejected() || m.ICEUfrag == "" {
			continue
		}
		if first {
			first = false
			if len(m.ICEOptions) > 0 {
				line("a=ice-options:", strings.Join(m.ICEOptions, " "))
			}
			line("a=ice-ufrag:", m.ICEUfrag)
			line("a=ice-pwd:", m.ICEPwd)
		}
		if len(m.Candidates) == 0 && !m.EndOfCandidates {
			continue
		}
		line("m=", m.Kind, " 9 ", m.Proto, " ", strings.Join(m.Formats, " "))
		line("a=mid:", m.MID)
		for _, c := range m.Candidates {
			line("a=candidate:", c)
		}
		if m.EndOfCandidates {
			line("a=end-of-candidates")
		}
	}
	return b.String()
}
