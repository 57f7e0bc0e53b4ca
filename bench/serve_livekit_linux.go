package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	livekitKey = "bench"
	// livekitStart is how long the server may take to listen.
	livekitStart = 20 * time.Second
)

// livekitSFU is LiveKit's server behind its own WHIP endpoint, which also
// answers offers to receive. Every publisher has a room of its own.
type livekitSFU struct {
	*foreign
	url     string
	secret  string
	room    atomic.Int64
	viewers atomic.Int64
	mu      sync.Mutex
	kind    string // of the last publisher
}

// newLivekitSFU starts the binary args[1] on the processors args[0].
func newLivekitSFU(args []string) (forwarder, error) {
	if len(args) != 2 {
		return nil, errors.New("wants processors and a binary")
	}
	signal, err := freePort()
	if err != nil {
		return nil, err
	}
	fallback, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &livekitSFU{url: fmt.Sprintf("http://127.0.0.1:%d", signal), secret: rand.Text() + rand.Text()}
	cmd := exec.Command(args[1])
	cmd.Env = []string{"LIVEKIT_CONFIG=" + livekitConfig(signal, fallback, s.secret)}
	if s.foreign, err = startForeign(args[0], cmd); err != nil {
		return nil, err
	}
	for end := time.Now().Add(livekitStart); ; time.Sleep(50 * time.Millisecond) {
		if err := s.ended(); err != nil {
			return nil, err
		}
		if res, err := http.Get(s.url); err == nil {
			return s, res.Body.Close()
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("LiveKit does not listen: %s", s.errs.String())
		}
	}
}

// livekitConfig is YAML. Everything that concerns media is LiveKit's default;
// limits of a node, which the number of viewers would exceed, are off.
func livekitConfig(signal, fallback int, secret string) string {
	return fmt.Sprintf(`port: %d
bind_addresses: [127.0.0.1]
keys: {%s: %s}
logging: {level: error}
rtc:
  tcp_port: %d
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces: {includes: [lo]}
turn: {enabled: false}
limit: {num_tracks: -1, bytes_per_sec: -1}
`, signal, livekitKey, secret, fallback)
}

// livekitTracks are the names it gives the tracks of WHIP publishers.
var livekitTracks = map[string]string{"audio": "synthesized-microphone", "video": "synthesized-camera"}

func (s *livekitSFU) publish(kind, offer string) (string, error) {
	s.mu.Lock()
	s.kind = kind
	s.mu.Unlock()
	room := fmt.Sprintf("load-%d", s.room.Add(1))
	return s.post(livekitGrant{Room: room, RoomJoin: true, CanPublish: true}, "publisher", offer, "")
}

func (s *livekitSFU) view(offer string) (string, error) {
	s.mu.Lock()
	kind := s.kind
	s.mu.Unlock()
	grant := livekitGrant{Room: fmt.Sprintf("load-%d", s.room.Load()), RoomJoin: true, CanSubscribe: true}
	info, err := json.Marshal(map[string]map[string][]string{"subscribedParticipantTrackNames": {"publisher": {livekitTracks[kind]}}})
	if err != nil {
		return "", err
	}
	return s.post(grant, fmt.Sprintf("viewer-%d", s.viewers.Add(1)), offer, string(info))
}

func (s *livekitSFU) post(grant livekitGrant, identity, offer, info string) (string, error) {
	token, err := livekitToken(grant, identity, s.secret, time.Now())
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/whip/v1", strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Authorization", "Bearer "+token)
	if info != "" {
		req.Header.Set("X-LiveKit-ClientInfo", info)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", errors.Join(err, s.ended())
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("LiveKit: %s: %s; it said: %s", res.Status, b, s.errs.String())
	}
	return string(b), nil
}

// livekitGrant is the claim "video" of a token.
type livekitGrant struct {
	Room         string `json:"room"`
	RoomJoin     bool   `json:"roomJoin"`
	CanPublish   bool   `json:"canPublish"`
	CanSubscribe bool   `json:"canSubscribe"`
}

// livekitToken signs a JSON Web Token (RFC 7519) with HMAC-SHA-256.
func livekitToken(grant livekitGrant, identity, secret string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": livekitKey, "sub": identity, "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(), "video": grant,
	})
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil)), nil
}
