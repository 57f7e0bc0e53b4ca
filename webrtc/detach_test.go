package webrtc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestDetachedChannelIsAConn(t *testing.T) {
	_, _, dc, in := linked(t)
	var ca, cb net.Conn = dc.Detach(), in.Detach()
	if dc.Detach() != ca {
		t.Error("Detach is not idempotent")
	}
	must(ca.Write([]byte("hello")))(t)
	must(ca.(*DataChannelConn).WriteText("wörld"))(t)
	must(ca.Write(nil))(t)
	must(ca.Write([]byte("!")))(t)
	// Partial reads do not lose the rest.
	buf := make([]byte, 3)
	var got []byte
	for len(got) < 5 {
		n := must(cb.Read(buf))(t)
		got = append(got, buf[:n]...)
	}
	if string(got) != "hello" {
		t.Errorf("%q", got)
	}
	if _, _, err := cb.(*DataChannelConn).ReadMessage(buf); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("short buffer: %v", err)
	}
	big := make([]byte, 100)
	text, n, err := cb.(*DataChannelConn).ReadMessage(big)
	if err != nil || !text || string(big[:n]) != "wörld" {
		t.Errorf("%v %q %v", text, big[:n], err)
	}
	if text, n, err = cb.(*DataChannelConn).ReadMessage(big); text || n != 0 || err != nil {
		t.Errorf("empty message: %v %d %v", text, n, err)
	}
	if n := must(cb.Read(big))(t); string(big[:n]) != "!" {
		t.Errorf("%q", big[:n])
	}
	// Deadlines: in the past, moved, and taken back.
	past := time.Now().Add(-time.Second)
	cb.SetReadDeadline(past)
	if _, err := cb.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	if ne, ok := err.(net.Error); ok && !ne.Timeout() {
		t.Error("no timeout")
	}
	cb.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := cb.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	cb.SetDeadline(time.Time{})
	read := make(chan error, 1)
	go func() { _, err := cb.Read(buf); read <- err }()
	cb.SetReadDeadline(past)
	if err := await(t, "end of a read", read); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("moved deadline: %v", err)
	}
	cb.SetReadDeadline(time.Time{})
	ca.SetWriteDeadline(past)
	if _, err := ca.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write deadline: %v", err)
	}
	ca.SetWriteDeadline(time.Time{})
	must(ca.Write([]byte("last")))(t)
	if err := ca.Close(); err != nil {
		t.Fatal(err)
	}
	if got := must(io.ReadAll(cb))(t); string(got) != "last" {
		t.Errorf("%q", got)
	}
	if _, err := ca.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := ca.Write(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := cb.Write(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the peer's close: %v", err)
	}
	if ca.LocalAddr().Network() == "" || !strings.Contains(ca.RemoteAddr().String(), "first") {
		t.Error(ca.LocalAddr(), ca.RemoteAddr())
	}
}

func TestReaderThatStopsHoldsTheWriterAndNoMemory(t *testing.T) {
	a, b, dc, in := linked(t)
	w, r := dc.Detach(), in.Detach()
	other, far := link(t, a, b, "other", nil)
	_ = other
	const size, limit = 64 << 10, 64
	written := make(chan int, limit)
	ended := make(chan error, 1)
	payload := bytes.Repeat([]byte{7}, size)
	go func() {
		for i := range limit {
			if _, err := w.Write(payload); err != nil {
				ended <- err
				return
			}
			written <- i
		}
		ended <- nil
	}()
	w.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	if err := await(t, "a writer that waits", ended); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the writer ended with %v", err)
	}
	// What the peer holds unread is bounded by the receive window.
	in.mu.Lock()
	c := in.detached
	in.mu.Unlock()
	c.mu.Lock()
	held := 0
	for _, m := range c.queue {
		held += len(m.Data)
	}
	c.mu.Unlock()
	if held == 0 || held > 3<<20 {
		t.Errorf("%d bytes are held unread", held)
	}
	// A reader that leaves gives the window back to the other channels.
	got := make(chan struct{}, 1)
	far.OnMessage(func(m Message) {
		if len(m.Data) == size {
			got <- struct{}{}
		}
	})
	if err := other.Send(payload); err != nil {
		t.Fatal(err)
	}
	r.Close()
	await(t, "message on the other channel", got)
	for range 30 {
		if err := other.Send(payload); err != nil {
			t.Fatal(err)
		}
		await(t, "message on the other channel", got)
	}
}

func TestWriterWaitsForTheNetworkAndLosesNothing(t *testing.T) {
	_, _, dc, in := linked(t)
	w, r := dc.Detach(), in.Detach()
	total := 16 << 20
	if testing.Short() {
		total = 4 << 20
	}
	go func() {
		chunk := make([]byte, 16<<10)
		for n := 0; n < total; n += len(chunk) {
			for i := range chunk {
				chunk[i] = byte((n + i) % 251)
			}
			if _, err := w.Write(chunk); err != nil {
				t.Error(err)
				return
			}
			if b := dc.BufferedAmount(); b > detachedHigh+int64(len(chunk)) {
				t.Errorf("%d bytes are buffered", b)
				return
			}
		}
		w.Close()
	}()
	r.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 5000)
	n := 0
	for {
		k, err := r.Read(buf)
		for i := range k {
			if buf[i] != byte((n+i)%251) {
				t.Fatalf("byte %d is wrong", n+i)
			}
		}
		n += k
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != total {
		t.Errorf("%d bytes of %d", n, total)
	}
}

func TestReadOfADetachedChannelEndsWithItsEngine(t *testing.T) {
	ea, eb := newEngine(t, 1), newEngine(t, 1)
	a, b := newPC(t, Config{Engine: ea}), newPC(t, Config{Engine: eb})
	_, in := link(t, a, b, "x", nil)
	read := make(chan error, 1)
	c := in.Detach()
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	eb.Close()
	if err := await(t, "end of the read", read); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestReadRTPEndsWithItsContext(t *testing.T) {
	a, b := couple(t)
	must(a.AddTrack(vp8Track(t)))(t)
	tracks := make(chan TrackEvent, 1)
	b.OnTrack(func(e TrackEvent) { tracks <- e })
	negotiate(t, a, b, nil)
	ctx, cancel := context.WithCancel(context.Background())
	track := await(t, "track", tracks).Track
	await(t, "connection", connected(a))
	await(t, "connection", connected(b))
	read := make(chan error, 1)
	go func() { _, err := track.ReadRTP(ctx, make([]byte, 1500)); read <- err }()
	cancel()
	if err := await(t, "end of the read", read); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { _, err := track.ReadRTP(context.Background(), make([]byte, 1500)); read <- err }()
	runtime.Gosched()
	a.Close()
	if err := await(t, "end of the read", read); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
