package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// driver is the Node process that drives the browsers.
type driver struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	log     *logBuffer
	ended   chan struct{}
	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	running map[string]int // process ids by name
}

type reply struct {
	ID    int
	OK    json.RawMessage
	Error string
}

var (
	theDriver *driver
	thePages  *httptest.Server
	starting  sync.Mutex
)

// pagesURL is the origin of the test page.
func pagesURL(testing.TB) string {
	starting.Lock()
	defer starting.Unlock()
	if thePages == nil {
		thePages = httptest.NewServer(http.FileServer(http.Dir("page")))
	}
	return thePages.URL
}

func startDriver(t testing.TB) *driver {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if theDriver != nil {
		return theDriver
	}
	node := program(t, "SLUICE_NODE", "apt-get install nodejs", "node")
	if _, err := os.Stat("node_modules/puppeteer-core"); err != nil {
		missing(t, "puppeteer-core", "run interop/setup.sh, or npm ci in interop")
	}
	d := &driver{cmd: exec.Command(node, "browsers.mjs"), log: &logBuffer{}, ended: make(chan struct{}), waiting: map[int]chan reply{}, running: map[string]int{}}
	endWithParent(d.cmd)
	d.cmd.Stderr = d.log
	var err error
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go d.read(out)
	theDriver = d
	return d
}

func (d *driver) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var r reply
		if json.Unmarshal(line, &r) != nil {
			continue // not from the driver: a library's chatter
		}
		d.mu.Lock()
		c := d.waiting[r.ID]
		delete(d.waiting, r.ID)
		d.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
	_ = d.cmd.Wait()
	close(d.ended)
}

// do runs one command and decodes its answer into out, which may be nil.
func (d *driver) do(command string, args map[string]any, out any) error {
	c := make(chan reply, 1)
	d.mu.Lock()
	d.next++
	id := d.next
	d.waiting[id] = c
	d.mu.Unlock()
	msg := map[string]any{"id": id, "command": command}
	for k, v := range args {
		msg[k] = v
	}
	b, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	if _, err := d.in.Write(append(b, '\n')); err != nil {
		return err
	}
	select {
	case r := <-c:
		if r.Error != "" {
			return errors.New(r.Error)
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(r.OK, out)
	case <-d.ended:
		return fmt.Errorf("the driver ended: %s", d.log.tail(20))
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%s did not answer", command)
	}
}

// stopBrowsers ends the driver, and with it the browsers.
func stopBrowsers() {
	if thePages != nil {
		thePages.Close()
	}
	d := theDriver
	if d == nil {
		return
	}
	d.in.Close()
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	for _, pid := range d.running {
		killGroup(pid) // ESRCH when it has ended, as it should
	}
}

// browser says how one is started.
type browser struct {
	name  string // of this way to start it
	kind  string
	args  []string
	prefs map[string]any // Firefox's
}

var (
	chromium = browser{name: "chromium", kind: "chromium", args: []string{"--use-fake-ui-for-media-stream"}}
	firefox  = browser{name: "firefox", kind: "firefox"}
	// chromiumPrivate has no permission to use a camera, so that it hides its
	// addresses behind names of mDNS.
	chromiumPrivate = browser{name: "chromium-private", kind: "chromium"}

	// chromiumSNAP announces its SCTP association in descriptions.
	chromiumSNAP = browser{name: "chromium-snap", kind: "chromium", args: []string{"--use-fake-ui-for-media-stream", "--force-fieldtrials=WebRTC-Sctp-Snap/Enabled/"}}

	// These speak one version of DTLS, and the last no post-quantum group.
	firefox13      = browser{name: "firefox-1.3", kind: "firefox", prefs: map[string]any{"media.peerconnection.dtls.version.min": 0x0304}}
	firefox12      = browser{name: "firefox-1.2", kind: "firefox", prefs: map[string]any{"media.peerconnection.dtls.version.max": 0x0303}}
	chromiumX25519 = browser{name: "chromium-x25519", kind: "chromium", args: []string{"--use-fake-ui-for-media-stream", "--disable-features=WebRtcPqcForDtls"}}

	browsers = []browser{chromium, firefox}
)

// page is a page of a browser with the functions of page/peer.js.
type page struct {
	t testing.TB
	d *driver
	n int
	b browser
}

// open opens the test page, starting the browser if need be.
func (b browser) open(t testing.TB) *page {
	t.Helper()
	path := ""
	if b.kind == "firefox" {
		path = program(t, "SLUICE_FIREFOX", "apt-get install firefox-esr", "firefox-esr", "firefox")
	} else {
		path = program(t, "SLUICE_CHROMIUM", "apt-get install chromium", "chromium", "google-chrome", "chromium-browser")
	}
	d := startDriver(t)
	if _, ok := d.running[b.name]; !ok {
		var v struct {
			PID     int
			Version string
		}
		if err := d.do("launch", map[string]any{"name": b.name, "browser": b.kind, "path": path, "args": b.args, "prefs": b.prefs}, &v); err != nil {
			t.Fatalf("%s: %v\n%s", b.name, err, d.log.tail(20))
		}
		d.running[b.name] = v.PID
		t.Logf("%s is %s", b.name, v.Version)
	}
	var v struct{ Page int }
	if err := d.do("open", map[string]any{"name": b.name, "url": pagesURL(t) + "/"}, &v); err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, d: d, n: v.Page, b: b}
	t.Cleanup(func() {
		if err := d.do("close", map[string]any{"page": p.n}, nil); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the browsers' log:\n%s", d.log.tail(20))
		}
	})
	return p
}

// try calls a function of the page.
func (p *page) try(fn string, arg map[string]any, out any) error {
	err := p.d.do("call", map[string]any{"page": p.n, "fn": fn, "arg": arg}, out)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.b.name, fn, err)
	}
	return nil
}

func (p *page) call(fn string, arg map[string]any, out any) {
	p.t.Helper()
	if err := p.try(fn, arg, out); err != nil {
		p.t.Fatal(err)
	}
}

// session is one PeerConnection of a page.
type session struct {
	p              *page
	Session        int
	Status         int
	Location       string
	ConnectedAfter float64 // ms
}

// options are arguments of a page's functions.
type options map[string]any

func (p *page) start(fn, url string, o options) *session {
	p.t.Helper()
	arg := map[string]any{"url": url}
	for k, v := range o {
		arg[k] = v
	}
	s := &session{p: p}
	p.call(fn, arg, s)
	if s.Status != http.StatusCreated {
		p.t.Errorf("%s was answered with %d", fn, s.Status)
	}
	return s
}

// call calls a function with this session; more arguments may be given.
func (s *session) call(fn string, o options, out any) {
	s.p.t.Helper()
	if err := s.try(fn, o, out); err != nil {
		s.p.t.Fatal(err)
	}
}

func (s *session) try(fn string, o options, out any) error {
	arg := map[string]any{"session": s.Session}
	for k, v := range o {
		arg[k] = v
	}
	return s.p.try(fn, arg, out)
}

// summary is what page/peer.js makes of getStats.
type summary struct {
	State, ICE    string
	States        []string
	Candidates    []string
	Trickled      int
	TrickleStatus int
	DTLS          struct{ Version, Cipher, SRTP, Role, Group string }
	Pair          struct {
		Local, Remote  string
		RTT, Available float64
	}
	Outbound []struct {
		Kind, MID, RID, Codec, Limited                string
		Packets, Bytes, Frames, Width, Height, Target float64
		NACKs, PLIs, FIRs, KeyFrames, Retransmitted   float64
	}
	Inbound []struct {
		Kind, MID, Codec                                                 string
		Packets, Lost, Frames, Width, Height, KeyFrames, Energy, Samples float64
		Concealed, NACKs, PLIs, Freezes, Dropped                         float64
	}
	RemoteInbound []struct {
		Kind                        string
		Lost, Fraction, RTT, Jitter float64
	}
	Sizes  [][2]int
	Tracks []struct{ Kind, MID string }
}

func (s *session) stats() (v summary, err error) {
	err = s.try("stats", nil, &v)
	return v, err
}

// now is stats without an error.
func (s *session) now() summary {
	s.p.t.Helper()
	v, err := s.stats()
	if err != nil {
		s.p.t.Fatal(err)
	}
	return v
}

// logTransport logs what was negotiated.
func (s *session) logTransport(what string) {
	s.p.t.Helper()
	v := s.now()
	s.p.t.Logf("%s (%s): DTLS %s %s %s as %s, pair %s to %s", what, s.p.b.name, v.DTLS.Version, v.DTLS.Cipher, v.DTLS.SRTP, v.DTLS.Role, v.Pair.Local, v.Pair.Remote)
}

// frames are the video frames decoded, and packets of a kind received.
func (v *summary) frames() (n float64) {
	for _, in := range v.Inbound {
		n += in.Frames
	}
	return n
}

func (v *summary) packets(kind string) (n float64) {
	for _, in := range v.Inbound {
		if in.Kind == kind {
			n += in.Packets
		}
	}
	return n
}

// awaitMedia waits for frames of video and packets of audio beyond those of
// before.
func (s *session) awaitMedia(frames, audio float64, before summary) summary {
	s.p.t.Helper()
	var v summary
	eventually(s.p.t, fmt.Sprintf("%.0f frames and %.0f packets of audio at %s", frames, audio, s.p.b.name), func() error {
		var err error
		if v, err = s.stats(); err != nil {
			return err
		}
		f, a := v.frames()-before.frames(), v.packets("audio")-before.packets("audio")
		if f < frames || a < audio {
			return fmt.Errorf("%.0f frames, %.0f packets of audio and %.0f of video, %s", f, a, v.packets("video")-before.packets("video"), v.State)
		}
		return nil
	})
	return v
}
