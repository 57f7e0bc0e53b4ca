package webrtc

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
)

// streamed is a connected couple whose channels are detached, and take messages
// of up to most bytes. Their windows share memory bytes; 0: the default.
func streamed(t *testing.T, most, memory int, init *DataChannelInit) (dc, in *DataChannel) {
	t.Helper()
	pc := func() *PeerConnection {
		e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1, MaxChannelMemory: memory})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return newPC(t, Config{Engine: e, DataChannels: DataChannelOptions{MaxMessageSize: most, Detach: true, Interleave: true}})
	}
	return link(t, pc(), pc(), "file", init)
}

// unread is what a channel holds that nobody has read.
func (c *DataChannelConn) unread() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.queue {
		n += len(c.queue[i].Data)
	}
	return n
}

// noise is a source of so many bytes, the same for the same seed.
func noise(seed uint64, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(seed)}), n)
}

func sameBytes(t *testing.T, what string, got, want io.Reader) {
	t.Helper()
	a, b := make([]byte, 32<<10), make([]byte, 32<<10)
	for at := 0; ; {
		n, err := io.ReadFull(want, b)
		if k, e := io.ReadFull(got, a[:n]); k != n || (e != nil && n > 0) {
			t.Errorf("%s: ends after %d bytes: %v", what, at+k, e)
			return
		}
		if !bytes.Equal(a[:n], b[:n]) {
			t.Errorf("%s: altered after byte %d", what, at)
			return
		}
		at += n
		if err != nil { // the end of want
			if k, e := got.Read(a); k != 0 || e != io.EOF {
				t.Errorf("%s: %d bytes and %v after the end", what, k, e)
			}
			return
		}
	}
}

// One message of 64 MiB goes both ways at once, through windows which share
// 256 KiB, by one Write and by a writer of parts.
func TestMessageOf64MebibytesThroughALittleMemory(t *testing.T) {
	size := int64(64 << 20)
	if testing.Short() {
		size = 8 << 20
	}
	dc, in := streamed(t, 64<<20, 256<<10, nil)
	conns := []*DataChannelConn{dc.Detach(), in.Detach()}
	done := make(chan int, 4)
	for i, c := range conns {
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer func() { done <- i }()
			if i == 0 {
				b := must(io.ReadAll(noise(uint64(i), size)))(t)
				if n, err := c.Write(b); n != len(b) || err != nil {
					t.Error(n, err)
				}
				return
			}
			w := c.NextWriter(false)
			if n, err := io.Copy(w, noise(uint64(i), size)); n != size || err != nil {
				t.Error(n, err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		go func() {
			defer func() { done <- i }()
			text, r, err := c.NextReader()
			if err != nil || text {
				t.Error(text, err)
				return
			}
			sameBytes(t, "message", watched{r, t, c}, noise(uint64(1-i), size))
		}()
	}
	for range 4 {
		<-done
	}
	for _, c := range conns {
		if n := c.dc.stat.messagesReceived.Load(); n != 1 || c.dc.stat.bytesReceived.Load() != uint64(size) || c.dc.stat.bytesSent.Load() != uint64(size) {
			t.Errorf("%d messages were counted", n)
		}
	}
}

// watched checks with each Read that no more is held than there may be.
type watched struct {
	io.Reader
	t *testing.T
	c *DataChannelConn
}

func (w watched) Read(b []byte) (int, error) {
	if n := w.c.unread(); n > 512<<10 {
		w.t.Errorf("%d bytes are held unread", n)
	}
	if n := w.c.dc.BufferedAmount(); n > detachedHigh+partSize {
		w.t.Errorf("%d bytes are buffered", n)
	}
	return w.Reader.Read(b)
}

func TestMessagesReadInPartsStayApart(t *testing.T) {
	dc, in := streamed(t, 8<<20, 0, nil)
	w, r := dc.Detach(), in.Detach()
	long := must(io.ReadAll(noise(1, 3<<20)))(t)
	words := strings.Repeat("ünïcödé€𝄞", 30000)
	write := func() {
		must(w.Write([]byte("first")))(t)
		must(w.Write(long))(t)
		must(w.Write(nil))(t)
		must(w.WriteText(words))(t)
		x := w.NextWriter(true)
		must(x.Write([]byte("né")[:2]))(t) // a part may cut a character
		must(x.Write([]byte("né")[2:]))(t)
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if err := w.NextWriter(false).Close(); err != nil { // empty
			t.Error(err)
		}
		must(w.Write([]byte("last")))(t)
	}
	read := func(text bool, want []byte) {
		t.Helper()
		isText, m, err := r.NextReader()
		if err != nil || isText != text {
			t.Fatalf("text %v, %v", isText, err)
		}
		sameBytes(t, "message", m, bytes.NewReader(want))
	}
	go write()
	read(false, []byte("first"))
	read(false, long)
	read(false, nil)
	read(true, []byte(words))
	read(true, []byte("né"))
	read(false, nil)
	read(false, []byte("last"))

	// Whole messages, longer than the window; a reader that has not read all.
	go write()
	buf := make([]byte, 4<<20)
	for _, want := range [][]byte{[]byte("first"), long, nil, []byte(words), []byte("né")} {
		text, n, err := r.ReadMessage(buf)
		if err != nil || !bytes.Equal(buf[:n], want) || text != (len(want) > 0 && want[0] != 'f' && len(want) != len(long)) {
			t.Fatalf("text %v, %d bytes of %d, %v", text, n, len(want), err)
		}
	}
	if _, n, err := r.ReadMessage(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if _, _, err := r.ReadMessage(buf[:3]); !errors.Is(err, io.ErrShortBuffer) {
		t.Error(err)
	}
	if n := must(r.Read(buf[:1]))(t); string(buf[:n]) != "l" {
		t.Errorf("%q", buf[:n])
	}
	if _, n, err := r.ReadMessage(buf[:3]); string(buf[:n]) != "ast" || err != nil {
		t.Errorf("%q %v", buf[:n], err)
	}

	// What is not read is skipped, and a reader of before reads nothing more.
	go write()
	var old io.Reader
	for i := range 6 {
		_, m, err := r.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		if old != nil {
			if n, err := old.Read(buf); n != 0 || err != io.EOF {
				t.Error(n, err)
			}
		}
		if i == 1 {
			must(m.Read(buf[:7]))(t)
		}
		old = m
	}
	read(false, []byte("last"))
}

func TestWritersWaitForEachOther(t *testing.T) {
	dc, in := streamed(t, 8<<20, 0, nil)
	w, r := dc.Detach(), in.Detach()
	x := w.NextWriter(false)
	must(x.Write(make([]byte, 100)))(t)
	if err := dc.Send([]byte("between")); !errors.Is(err, ErrInvalidState) {
		t.Error(err)
	}
	w.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := w.Write([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	w.SetWriteDeadline(time.Time{})
	second := make(chan error, 1)
	go func() { _, err := w.Write([]byte("second")); second <- err }()
	must(x.Write(make([]byte, 100)))(t)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Error("Close is not idempotent:", err)
	}
	if _, err := x.Write([]byte{1}); !errors.Is(err, ErrInvalidState) {
		t.Error(err)
	}
	if err := await(t, "second message", second); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 300)
	for _, want := range []int{200, 6} {
		if _, n, err := r.ReadMessage(buf); n != want || err != nil {
			t.Error(n, err)
		}
	}
}

// A writer whose deadline comes, or that does wrong, gives its message up; the
// reader is told, and the next message comes.
func TestMessageGivenUpByItsWriter(t *testing.T) {
	dc, in := streamed(t, 8<<20, 0, nil)
	w, r := dc.Detach(), in.Detach()
	for _, fault := range []string{"deadline", "size", "text"} {
		x := w.NextWriter(fault == "text")
		must(x.Write(make([]byte, 3*partSize)))(t)
		_, m, err := r.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		switch fault {
		case "deadline":
			w.SetWriteDeadline(time.Now().Add(-time.Second))
			_, err = x.Write(make([]byte, 2*partSize))
		case "size":
			_, err = x.Write(make([]byte, 8<<20))
		case "text":
			_, err = x.Write(bytes.Repeat([]byte{0xff}, 2*partSize))
		}
		if err == nil || x.Close() == nil {
			t.Errorf("%s: %v", fault, err)
		}
		if _, err := io.Copy(io.Discard, m); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the reader ended with %v", fault, err)
		}
		w.SetWriteDeadline(time.Time{})
		must(w.Write([]byte("next")))(t)
		if _, m, err = r.NextReader(); err != nil {
			t.Fatal(err)
		}
		if b := must(io.ReadAll(m))(t); string(b) != "next" {
			t.Errorf("%s: %q", fault, b)
		}
	}
}

// Nobody reads: the writer waits, and its message is given up with the channel,
// whoever closes it.
func TestChannelClosedWithinAMessage(t *testing.T) {
	for _, far := range []bool{false, true} {
		dc, in := streamed(t, 64<<20, 256<<10, nil)
		w, r := dc.Detach(), in.Detach()
		closed := []<-chan struct{}{closedOf(dc), closedOf(in)}
		written := make(chan error, 1)
		go func() { _, err := w.Write(make([]byte, 32<<20)); written <- err }()
		_, m, err := r.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		must(io.ReadFull(m, make([]byte, 100_000)))(t)
		if far {
			in.Close()
		} else {
			w.Close()
		}
		if err := await(t, "end of the write", written); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, m); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the reader ended with %v", err)
		}
		await(t, "close", closed[0])
		await(t, "close", closed[1])
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}

func TestWriteHonoursWhatThePeerTakes(t *testing.T) {
	dc, in := streamed(t, 1<<20, 0, nil)
	w, r := dc.Detach(), in.Detach()
	if _, err := w.Write(make([]byte, 1<<20+1)); !errors.Is(err, ErrType) {
		t.Error(err)
	}
	go w.Write(make([]byte, 1<<20))
	if _, m, err := r.NextReader(); err != nil {
		t.Error(err)
	} else if b := must(io.ReadAll(m))(t); len(b) != 1<<20 {
		t.Errorf("%d bytes", len(b))
	}
	one := uint16(1)
	dc, _ = streamed(t, 1<<20, 0, &DataChannelInit{MaxRetransmits: &one})
	if _, err := dc.Detach().NextWriter(false).Write([]byte{1}); !errors.Is(err, ErrInvalidState) {
		t.Errorf("parts to a channel that is not reliable: %v", err)
	}
	if _, err := NewPeerConnection(Config{Engine: newEngine(t, 1), DataChannels: DataChannelOptions{MaxMessageSize: 1<<30 + 1}}); !errors.Is(err, ErrType) {
		t.Error(err)
	}
}

// MaxMessageSize without Detach: OnMessage gets long messages whole.
func TestLongMessagesWhole(t *testing.T) {
	pc := func() *PeerConnection {
		return newPC(t, Config{Engine: newEngine(t, 1), DataChannels: DataChannelOptions{MaxMessageSize: 10 << 20}})
	}
	a, b := pc(), pc()
	dc, in := link(t, a, b, "x", nil)
	if !strings.Contains(a.LocalDescription().SDP, "a=max-message-size:10485760\r\n") {
		t.Error(a.LocalDescription().SDP)
	}
	got := make(chan Message, 2)
	in.OnMessage(func(m Message) { got <- m })
	want := must(io.ReadAll(noise(7, 10<<20)))(t)
	for range 2 {
		if err := dc.Send(want); err != nil {
			t.Fatal(err)
		}
		if m := await(t, "message", got); !bytes.Equal(m.Data, want) {
			t.Errorf("%d bytes", len(m.Data))
		}
	}
	if err := dc.Send(make([]byte, 10<<20+1)); !errors.Is(err, ErrType) {
		t.Error(err)
	}
}
