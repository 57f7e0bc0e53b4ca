package ice

import (
	"crypto/rand"
	"encoding/binary"
	"io"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

// generation is one set of credentials, ours and theirs. Restart begins
// another (RFC 8445 §9).
type generation struct {
	localUfrag, localPwd   string
	remoteUfrag, remotePwd string
	localKey               *stun.Key // verifies requests, signs responses
	remoteKey              *stun.Key // signs requests, verifies responses; nil: not known yet
	username               string    // of our requests: "theirs:ours" (RFC 8445 §7.2.2)
}

const iceAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// iceChars reports whether s is made of ice-char (RFC 8839 §5.1).
func iceChars(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

// token gives prefix and n random ice-chars of 6 bits each.
func (a *Agent) token(prefix string, n int) string {
	b := make([]byte, n)
	a.random(b)
	for i := range b {
		b[i] = iceAlphabet[b[i]&63]
	}
	return prefix + string(b)
}

// random fills b. Where the configured source fails, crypto/rand takes over,
// which cannot: a predictable transaction id would be worse than a surprise.
func (a *Agent) random(b []byte) {
	if _, err := io.ReadFull(a.cfg.Rand, b); err != nil {
		rand.Read(b)
	}
}

func (a *Agent) random64() uint64 {
	a.random(a.scratch[:8])
	return binary.BigEndian.Uint64(a.scratch[:])
}

func (a *Agent) newTransactionID() (id stun.TransactionID) {
	a.random(a.scratch[:])
	return a.scratch
}

func (a *Agent) newGeneration(ufrag, pwd string) (*generation, error) {
	if ufrag == "" {
		ufrag = a.token(a.cfg.UfragPrefix, ufragRandom)
	}
	if pwd == "" {
		pwd = a.token("", pwdRandom)
	}
	if len(ufrag) < minUfrag || len(ufrag) > maxLocalUfrag || len(pwd) < minPwd || len(pwd) > maxPwd ||
		!iceChars(ufrag) || !iceChars(pwd) {
		return nil, ErrCredentials
	}
	return &generation{localUfrag: ufrag, localPwd: pwd, localKey: stun.NewKey([]byte(pwd))}, nil
}

// LocalCredentials gives our current username fragment and password.
func (a *Agent) LocalCredentials() (ufrag, pwd string) { return a.gen.localUfrag, a.gen.localPwd }

// RemoteUfrag gives the peer's current username fragment, empty if unknown.
func (a *Agent) RemoteUfrag() string { return a.gen.remoteUfrag }

// SetRemoteCredentials tells the peer's username fragment (4 to 256 bytes)
// and password (22 to 256), and lets checks begin. Repeating them is
// harmless; others give ErrNeedsRestart, because a peer changes both sides
// (RFC 8445 §9).
//
// Deviates: any visible ASCII but ':' is taken, not only ice-chars, because
// deployed peers send others.
func (a *Agent) SetRemoteCredentials(now mono.Time, ufrag, pwd string) error {
	if a.state == StateClosed {
		return ErrClosed
	}
	g := a.gen
	if g.remoteKey != nil {
		if g.remoteUfrag == ufrag && g.remotePwd == pwd {
			return nil
		}
		return ErrNeedsRestart
	}
	if len(ufrag) < minUfrag || len(ufrag) > maxUfrag || len(pwd) < minPwd || len(pwd) > maxPwd ||
		!visible(ufrag) || !visible(pwd) {
		return ErrCredentials
	}
	g.remoteUfrag, g.remotePwd = ufrag, pwd
	g.remoteKey = stun.NewKey([]byte(pwd))
	g.username = ufrag + ":" + g.localUfrag
	a.startedAt, a.hopeAt = now, now
	a.forgetForeign(ufrag)
	early := a.early
	a.early = nil
	for i := range early {
		e := &early[i]
		if e.ufrag == ufrag {
			a.admit(now, &e.check)
		}
	}
	a.step(now)
	return nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return true
}

// Restart begins a new generation of credentials, given or, where empty,
// generated (RFC 8445 §9). Candidates, pairs and the remote credentials are
// forgotten: call Gather, SetRemoteCredentials and AddRemoteCandidate anew.
// The selected pair carries on, with its consent, under the old credentials
// until a pair of the new ones is nominated.
func (a *Agent) Restart(now mono.Time, ufrag, pwd string) error {
	if a.state == StateClosed {
		return ErrClosed
	}
	g, err := a.newGeneration(ufrag, pwd)
	if err != nil {
		return err
	}
	// RFC 8445 §9: both MUST change.
	if g.localUfrag == a.gen.localUfrag || g.localPwd == a.gen.localPwd {
		return ErrCredentials
	}
	a.prev, a.prevUntil = a.gen, 0
	if a.selected == nil {
		a.prevUntil = now.Add(previousGrace)
	} else if a.selected.gen != a.gen {
		a.prev = a.selected.gen // a restart during a restart
	}
	a.gen = g
	a.clearChecks()
	a.remotes, a.early = nil, nil
	a.endOfRemote, a.aggressive = false, false
	a.startedAt = 0
	a.resetGathering()
	if a.state == StateFailed {
		a.setState(StateChecking) // W3C: only a restart leaves failed
	}
	a.step(now)
	return nil
}

// LocalUfrag gives our username fragment, the first half of USERNAME, out of
// a raw STUN Binding request, so that a demultiplexer can tell whose it is. It
// allocates nothing and authenticates nothing.
func LocalUfrag(b []byte) (ufrag []byte, ok bool) {
	m, err := stun.Parse(b)
	if err != nil || m.Type() != stun.BindingRequest {
		return nil, false
	}
	name, _ := m.Username()
	ufrag, _, ok = splitUsername(name)
	return ufrag, ok
}

// splitUsername cuts "ours:theirs" at its first colon (RFC 8445 §7.2.2).
func splitUsername(name []byte) (ours, theirs []byte, ok bool) {
	for i, c := range name {
		if c == ':' {
			return name[:i], name[i+1:], i > 0
		}
	}
	return nil, nil, false
}
