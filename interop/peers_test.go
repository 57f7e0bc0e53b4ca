package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// outcome is what the programs in peers print.
type outcome struct {
	Channels        map[string]echoed
	Audio, Video    int
	Status, Deleted int
	State, DTLS     string
	SRTP, Error     string
}

// runPeer runs a program of peers, for at most a minute and a half.
func runPeer(t *testing.T, s *server, argv ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], s.url+"/echo")...)
	endWithParent(cmd)
	cmd.WaitDelay = time.Second
	log, stdout := &logBuffer{}, &logBuffer{}
	cmd.Stdout, cmd.Stderr = stdout, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := logTransport(t, s, ended)
	out := strings.TrimSpace(stdout.String())
	var o outcome
	lines := strings.Split(out, "\n")
	if e := json.Unmarshal([]byte(lines[len(lines)-1]), &o); err != nil || e != nil {
		t.Fatalf("%v: %v %v\n%s\n%s", argv, err, e, out, log.tail(40))
	}
	if o.Error != "" {
		t.Error(o.Error)
	}
	t.Logf("%s %s %s: %d of audio, %d of video", o.State, o.DTLS, o.SRTP, o.Audio, o.Video)
	return o
}

// logTransport waits for the end of a peer, and logs on the way what it
// negotiated.
func logTransport(t *testing.T, s *server, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
		}
		if list, err := s.connected(); err == nil && len(list) > 0 {
			t.Logf("server: DTLS %s", list[0])
			return <-ended
		}
	}
}

// check checks what every peer must have seen.
func (o outcome) check(t *testing.T, s *server, channels, audio, video int) {
	t.Helper()
	if len(o.Channels) != channels {
		t.Errorf("%d channels, not %d", len(o.Channels), channels)
	}
	for label, c := range o.Channels {
		c.check(t, label)
	}
	if o.Audio < audio || o.Video < video {
		t.Errorf("%d of audio and %d of video came back, not %d and %d", o.Audio, o.Video, audio, video)
	}
	if o.Status != 201 || o.Deleted != 200 && o.Deleted != 404 {
		t.Errorf("POST was answered with %d, DELETE with %d", o.Status, o.Deleted)
	}
	s.awaitSessions(t, 0)
}

// python finds a Python that has a module.
func python(t *testing.T, module, install string) string {
	t.Helper()
	p := os.Getenv("SLUICE_PYTHON")
	if p == "" {
		p = "/usr/bin/python3" // Debian's, which has Debian's modules
	}
	if err := exec.Command(p, "-c", module).Run(); err != nil {
		missing(t, module+" of "+p, install)
	}
	return p
}

// npm finds Node and a package.
func npm(t *testing.T, pkg string) string {
	t.Helper()
	if _, err := os.Stat("node_modules/" + pkg); err != nil {
		missing(t, pkg, "run interop/setup.sh, or npm ci in interop")
	}
	return program(t, "SLUICE_NODE", "apt-get install nodejs", "node")
}

func TestAiortc(t *testing.T) {
	p := python(t, "import aiortc", "apt-get install python3-aiortc")
	s := startServer(t)
	o := runPeer(t, s, p, "peers/aiortc_peer.py")
	o.check(t, s, 3, 50, 30)
}

func TestGStreamer(t *testing.T) {
	install := "apt-get install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice"
	p := python(t, "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC, GstSdp; Gst.init(None)\n"+
		"for e in 'webrtcbin vp8enc opusenc nicesrc dtlsenc srtpenc rtpvp8pay'.split(): assert Gst.ElementFactory.find(e), e", install)
	s := startServer(t)
	o := runPeer(t, s, p, "peers/gstreamer_peer.py")
	o.check(t, s, 1, 50, 30)
}

func TestWerift(t *testing.T) {
	node := npm(t, "werift")
	s := startServer(t)
	o := runPeer(t, s, node, "peers/werift.mjs")
	o.check(t, s, 3, 50, 30)
}

func TestLibdatachannel(t *testing.T) {
	node := npm(t, "node-datachannel")
	s := startServer(t)
	o := runPeer(t, s, node, "peers/libdatachannel.mjs")
	o.check(t, s, 3, 0, 30)
}
