package sfu

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/webrtc"
)

// Config configures a Server. The zero value works.
type Config struct {
	// Engine is the dataplane to use; nil means that of WebRTC.
	Engine *dataplane.Engine
	// WebRTC is what every session's PeerConnection is made with. Without a
	// Certificate all get the same, which is renewed in time.
	WebRTC webrtc.Config
	// MaxSessions, MaxStreams and MaxViewersPerStream bound the server; 0
	// means 10000, 1000 and 5000.
	MaxSessions, MaxStreams, MaxViewersPerStream int
	// ConnectTimeout ends a session that has not connected; 0 means 30 s.
	ConnectTimeout time.Duration
	// PublisherGrace is how long viewers wait for a publisher who left; 0
	// means 10 s, and below 0 not at all.
	PublisherGrace time.Duration
	// Logger receives what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// Server forwards between sessions. Its methods may be called from any
// goroutine.
type Server struct {
	cfg Config
	log *slog.Logger

	mu        sync.Mutex // never held while waiting for a PeerConnection
	sessions  map[string]*Session
	streams   map[string]*stream
	closed    bool
	quit      chan struct{}
	running   sync.WaitGroup
	watching  bool              // the goroutine that compares layers runs
	cert      *dtls.Certificate // see certificate
	certUntil time.Time
	parted    [maxParted]string // ids of sessions that their peers ended, a ring
	nparted   int
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Engine != nil {
		cfg.WebRTC.Engine = cfg.Engine
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.WebRTC.Logger == nil {
		cfg.WebRTC.Logger = cfg.Logger
	}
	if cfg.WebRTC.Codecs == nil {
		cfg.WebRTC.Codecs = webrtc.DefaultCodecs()
	}
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&cfg.MaxSessions, defaultMaxSessions)
	or(&cfg.MaxStreams, defaultMaxStreams)
	or(&cfg.MaxViewersPerStream, defaultMaxViewers)
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = defaultConnectTimeout
	}
	if cfg.PublisherGrace == 0 {
		cfg.PublisherGrace = defaultPublisherGrace
	}
	return &Server{
		cfg: cfg, log: cfg.Logger, quit: make(chan struct{}),
		sessions: map[string]*Session{}, streams: map[string]*stream{},
	}
}

// ValidName reports whether a stream may have this name: 1 to 64 letters,
// digits and any of "-._~", which need no escape in a URL (RFC 3986 §2.3).
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || name == "." || name == ".." {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~", c))
	})
}

// admit reserves a session, before its connection is made: refusing must cost
// little.
func (s *Server) admit(role Role, name string) (*Session, error) {
	x := &Session{
		srv: s, id: rand.Text(), role: role, created: time.Now(),
		done: make(chan struct{}), gathered: make(chan struct{}, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case len(s.sessions) >= s.cfg.MaxSessions:
		return nil, fmt.Errorf("%w: %d sessions", ErrLimit, s.cfg.MaxSessions)
	}
	var err error
	switch role {
	case Publisher:
		x.stream, err = s.reserve(x, name)
	case Viewer:
		x.stream, err = s.join(x, name)
	}
	if err != nil {
		return nil, err
	}
	s.sessions[x.id] = x
	return x, nil
}

// Session finds a session by its id.
func (s *Server) Session(id string) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.sessions[id]
	return x, ok
}

// Parted reports whether a session has lately been ended by its peer, whose
// goodbye on the media path may overtake the one in signalling. It does so
// once.
func (s *Server) Parted(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.parted[:], id)
	if id == "" || i < 0 {
		return false
	}
	s.parted[i] = ""
	return true
}

// Sessions are those of now, the oldest first.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	list := make([]*Session, 0, len(s.sessions))
	for _, x := range s.sessions {
		list = append(list, x)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *Session) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	return list
}

// Len is the number of sessions.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Streams are those of now, by name.
func (s *Server) Streams() []StreamInfo {
	s.mu.Lock()
	list := make([]StreamInfo, 0, len(s.streams))
	for _, st := range s.streams {
		list = append(list, st.info())
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b StreamInfo) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Close refuses new sessions and ends those there are, until ctx is done. The
// Engine, which others may use, stays.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	s.mu.Unlock()
	for _, x := range s.Sessions() {
		if ctx.Err() != nil {
			return fmt.Errorf("sfu: close: %w", ctx.Err())
		}
		x.end("server closes")
	}
	s.running.Wait()
	return nil
}

// Closing reports whether Close was called.
func (s *Server) Closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
