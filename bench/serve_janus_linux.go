package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	janusStart = 20 * time.Second
	janusReply = 20 * time.Second
	janusTries = 10
	janusRead  = 64 << 10 // bytes; its own limit of a message is below
)

// janusSFU is Janus and its plugin videoroom, over its API on a Unix socket.
// Every publisher has a room of its own.
type janusSFU struct {
	*foreign
	conn    net.Conn
	session int64

	mu      sync.Mutex
	next    int64
	waiting map[string]chan janusMessage // by transaction
	room    int64
	feed    int64
}

// newJanusSFU starts Janus, which then runs on the processors args[0].
func newJanusSFU(args []string) (forwarder, error) {
	if len(args) != 1 {
		return nil, errors.New("wants processors")
	}
	dir, err := os.MkdirTemp("", "sluice-bench-janus")
	if err != nil {
		return nil, err
	}
	// Once it runs and the socket is connected, nothing is read there again.
	defer os.RemoveAll(dir)
	if err := configureJanus(dir); err != nil {
		return nil, err
	}
	s := &janusSFU{waiting: map[string]chan janusMessage{}}
	for try := 1; ; try++ {
		if err = s.start(dir, args[0]); err == nil {
			break
		}
		if try == janusTries {
			return nil, err
		}
	}
	if err := s.pin(args[0]); err != nil {
		return nil, err
	}
	go s.read()
	reply, err := s.ask(map[string]any{"janus": "create"})
	s.session = reply.Data.ID
	return s, err
}

// start starts Janus on all processors: its transport ends at once when the
// thread of it runs before the start has ended, as happens where they share
// one.
func (s *janusSFU) start(dir, cpus string) error {
	all, err := parseCPUs(cpus)
	if err != nil {
		return err
	}
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return err
	}
	for i := range all {
		all[i] |= own[i]
	}
	cmd := exec.Command("janus", "-F", dir, "-C", filepath.Join(dir, "janus.jcfg"))
	if s.foreign, err = startForeign(listCPUs(all), cmd); err != nil {
		return err
	}
	for end := time.Now().Add(janusStart); ; time.Sleep(50 * time.Millisecond) {
		if err := s.ended(); err != nil {
			return err
		}
		if s.conn, err = net.Dial("unixpacket", filepath.Join(dir, janusSocket)); err == nil {
			return nil
		}
		if time.Now().After(end) {
			s.end()
			return fmt.Errorf("janus does not listen: %s", s.errs.String())
		}
	}
}

const janusSocket = "api"

// configureJanus writes what Janus reads, with the one plugin and the one
// transport that are used. Everything that concerns media is its default, but
// for the event loop: one for all, instead of a thread for every viewer.
func configureJanus(dir string) error {
	own, err := ownAddress()
	if err != nil {
		return err
	}
	for _, lib := range []string{"plugins/libjanus_videoroom.so", "transports/libjanus_pfunix.so"} {
		from, err := janusLibrary(lib)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(lib))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(from, to); err != nil {
			return err
		}
	}
	main := fmt.Sprintf(`general: {
  configs_folder = "%[1]s"
  plugins_folder = "%[1]s/plugins"
  transports_folder = "%[1]s/transports"
  events_folder = "%[1]s/none"
  loggers_folder = "%[1]s/none"
  interface = "%[2]s"
  debug_level = 2
  debug_colors = false
  session_timeout = 0
  event_loops = 1
  hide_dependencies = true
}
media: { ipv6 = false }
nat: { ice_enforce_list = "%[2]s" }
`, dir, own)
	socket := fmt.Sprintf("general: {\n  enabled = true\n  json = \"compact\"\n  path = \"%s\"\n}\n", filepath.Join(dir, janusSocket))
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "janus.jcfg"), []byte(main), 0o600),
		os.WriteFile(filepath.Join(dir, "janus.transport.pfunix.jcfg"), []byte(socket), 0o600),
	)
}

// janusMessage is what is read of a reply or an event.
type janusMessage struct {
	Janus       string
	Transaction string
	Data        struct{ ID int64 }
	Error       struct{ Reason string }
	PluginData  struct {
		Data struct {
			ID    int64
			Error string
		}
	}
	JSEP struct{ Type, SDP string }
}

func (m janusMessage) err() error {
	switch {
	case m.Janus == "error":
		return errors.New("janus: " + m.Error.Reason)
	case m.PluginData.Data.Error != "":
		return errors.New("janus: " + m.PluginData.Data.Error)
	}
	return nil
}

func (s *janusSFU) read() {
	b := make([]byte, janusRead)
	for {
		n, err := s.conn.Read(b)
		if err != nil {
			return
		}
		var m janusMessage
		// An ack only says that an event follows.
		if json.Unmarshal(b[:n], &m) != nil || m.Janus == "ack" {
			continue
		}
		s.mu.Lock()
		c := s.waiting[m.Transaction]
		delete(s.waiting, m.Transaction)
		s.mu.Unlock()
		if c != nil {
			c <- m
		}
	}
}

// ask sends a request and waits for what answers it.
func (s *janusSFU) ask(q map[string]any) (m janusMessage, err error) {
	s.mu.Lock()
	s.next++
	id, c := fmt.Sprint(s.next), make(chan janusMessage, 1)
	s.waiting[id] = c
	s.mu.Unlock()
	q["transaction"] = id
	if s.session != 0 {
		q["session_id"] = s.session
	}
	b, err := json.Marshal(q)
	if err != nil {
		return m, err
	}
	if _, err := s.conn.Write(b); err != nil {
		return m, errors.Join(err, s.ended())
	}
	select {
	case m = <-c:
		return m, m.err()
	case <-time.After(janusReply):
		return m, fmt.Errorf("janus does not answer; it said: %s", s.errs.String())
	}
}

// message sends a request to the plugin, with an offer or answer if any.
func (s *janusSFU) message(handle int64, body map[string]any, kind, sdp string) (janusMessage, error) {
	q := map[string]any{"janus": "message", "handle_id": handle, "body": body}
	if sdp != "" {
		q["jsep"] = map[string]string{"type": kind, "sdp": sdp}
	}
	return s.ask(q)
}

func (s *janusSFU) attach() (int64, error) {
	m, err := s.ask(map[string]any{"janus": "attach", "plugin": "janus.plugin.videoroom"})
	return m.Data.ID, err
}

func (s *janusSFU) publish(_, offer string) (string, error) {
	handle, err := s.attach()
	if err != nil {
		return "", err
	}
	room := handle // one as good as another
	if _, err := s.message(handle, map[string]any{"request": "create", "room": room, "publishers": 1}, "", ""); err != nil {
		return "", err
	}
	m, err := s.message(handle, map[string]any{"request": "joinandconfigure", "ptype": "publisher", "room": room}, "offer", offer)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.room, s.feed = room, m.PluginData.Data.ID
	s.mu.Unlock()
	return m.JSEP.SDP, nil
}

// view: Janus makes the offers to its viewers, so both sides get the other's
// turned into an answer.
func (s *janusSFU) view(offer string) (string, error) {
	handle, err := s.attach()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	room, feed := s.room, s.feed
	s.mu.Unlock()
	m, err := s.message(handle, map[string]any{
		"request": "join", "ptype": "subscriber", "room": room, "streams": []map[string]int64{{"feed": feed}},
	}, "", "")
	if err != nil {
		return "", err
	}
	toServer, toClient := crossOffers(m.JSEP.SDP, offer)
	_, err = s.message(handle, map[string]any{"request": "start"}, "answer", toServer)
	return toClient, err
}

// crossOffers makes answers of two offers about one section, to send and to
// receive: the client's is the server's with the client's transport and no
// source, the server's is its own as the passive side.
func crossOffers(server, client string) (toServer, toClient string) {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.ReplaceAll(server, "\r\n", "\n"), "\n") {
		if line == "" || transportLine(line) || hasPrefix(line, "a=ssrc", "a=msid:", "a=sendonly") {
			continue
		}
		b.WriteString(line + "\r\n")
	}
	b.WriteString("a=recvonly\r\n")
	for line := range strings.SplitSeq(client, "\r\n") {
		if transportLine(line) {
			b.WriteString(line + "\r\n")
		}
	}
	return b.String(), strings.ReplaceAll(server, "a=setup:actpass", "a=setup:passive")
}

func transportLine(line string) bool {
	return hasPrefix(line, "a=candidate:", "a=end-of-candidates", "a=ice-", "a=fingerprint:", "a=setup:")
}

func hasPrefix(s string, list ...string) bool {
	for _, prefix := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
