package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/srtp"
)

const (
	// tick is how often sockets are looked at. The loop sleeps and is not
	// woken: a wake-up would be on the server's bill.
	tick = time.Millisecond
	// timersEvery is how often protocol timers are looked at.
	timersEvery = 10 * time.Millisecond
	// drain is how long stragglers are waited for after a stretch.
	drain = 250 * time.Millisecond
	// joiners is how many clients signal at a time.
	joiners = 8
)

// Loop drives all clients of a process.
type Loop struct {
	cert  *dtls.Certificate
	epoll int
	posts chan func(now mono.Time)
	done  chan struct{}

	byFD   map[int32]*client
	all    []*client
	groups []*Group
	rx     *reader
	batch  srtp.Batch
	timers mono.Time
}

// NewLoop makes a loop; Run drives it.
func NewLoop() (*Loop, error) {
	cert, err := dtls.GenerateCertificate(time.Now())
	if err != nil {
		return nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	return &Loop{
		cert: cert, epoll: ep, posts: make(chan func(mono.Time), 16), done: make(chan struct{}),
		byFD: map[int32]*client{}, rx: newReader(),
	}, nil
}

// Run drives the clients until the context ends, then closes their sockets.
func (l *Loop) Run(ctx context.Context) {
	defer close(l.done)
	events := make([]unix.EpollEvent, 256)
	for ctx.Err() == nil {
		now := mono.Now()
		for len(l.posts) > 0 {
			(<-l.posts)(now)
		}
		for _, g := range l.groups {
			if g.active {
				g.publish(now)
			}
		}
		n, _ := unix.EpollWait(l.epoll, events, 0)
		for i := range max(n, 0) {
			l.receive(now, l.byFD[events[i].Fd])
		}
		if now >= l.timers {
			l.timers = now.Add(timersEvery)
			l.timeouts(now)
		}
		if n < len(events) {
			time.Sleep(tick - mono.Now().Sub(now))
		}
	}
	for _, c := range l.all {
		unix.Close(c.fd)
	}
	unix.Close(l.epoll)
}

// do runs f on the loop.
func (l *Loop) do(f func(now mono.Time)) error {
	ran := make(chan struct{})
	select {
	case l.posts <- func(now mono.Time) { f(now); close(ran) }:
	case <-l.done:
		return errors.New("load: loop has ended")
	}
	select {
	case <-ran:
		return nil
	case <-l.done:
		return errors.New("load: loop has ended")
	}
}

// receive reads a socket until it is empty.
func (l *Loop) receive(now mono.Time, c *client) {
	for {
		n := l.rx.read(c.fd)
		var protected [readBatch]int // where in the read the packets of the batch are
		k := 0
		for i := range n {
			b, at := l.rx.packet(i)
			switch {
			case len(b) == 0:
			case b[0] < 128:
				c.control(now, b)
			case rtcp.IsRTCP(b):
				if c.rtcp(now, b) && c == c.group.publisher {
					c.group.source.keyframe(now.Sub(c.group.base))
				}
			case c.agent == nil:
				c.media(b, at)
			case c.in != nil:
				l.batch.Add(c.in, b, b)
				protected[k] = i
				k++
			}
		}
		l.unprotect(c, protected[:k])
		if n < readBatch {
			return
		}
	}
}

func (l *Loop) unprotect(c *client, where []int) {
	if len(where) == 0 {
		return
	}
	l.batch.Unprotect()
	for k, i := range where {
		size, err := l.batch.Result(k)
		if err != nil {
			c.group.bad++
			continue
		}
		b, at := l.rx.packet(i)
		c.media(b[:size], at)
	}
	l.batch.Reset()
}

func (l *Loop) timeouts(now mono.Time) {
	for _, c := range l.all {
		if c.agent == nil {
			continue
		}
		if c.deadline != 0 && now >= c.deadline {
			c.timeout(now)
		}
		if c.out != nil && now >= c.report {
			c.sendReport(now, c.group.timestamp(now.Sub(c.group.base)))
		}
	}
}

// add makes c the loop's and begins to connect.
func (l *Loop) add(now mono.Time, c *client) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
		return fmt.Errorf("load: epoll: %w", err)
	}
	l.byFD[int32(c.fd)] = c
	l.all = append(l.all, c)
	return c.start(now, l.cert)
}

// Join connects a publisher and n viewers to the server at url, whose paths
// /publish and /view take offers. Plain groups speak bare RTP: what is posted
// is a client's address, what comes back the server's. It returns when all are
// connected, or the context ends.
func (l *Loop) Join(ctx context.Context, url string, kind Kind, n int, plain bool) (*Group, error) {
	g := newGroup(l, kind, plain)
	var err error
	if g.publisher, err = l.join(ctx, g, url+"/publish?kind="+string(kind), true); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	if err := l.await(ctx, []*client{g.publisher}); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	g.viewers = make([]*client, n)
	errs := make([]error, joiners)
	var wait sync.WaitGroup
	for k := range joiners {
		wait.Go(func() {
			for i := k; i < n && errs[k] == nil; i += joiners {
				g.viewers[i], errs[k] = l.join(ctx, g, url+"/view", false)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("viewers: %w", err)
	}
	if err := l.await(ctx, g.viewers); err != nil {
		return nil, fmt.Errorf("viewers: %w", err)
	}
	return g, l.do(func(mono.Time) { l.groups = append(l.groups, g) })
}

func (l *Loop) join(ctx context.Context, g *Group, url string, send bool) (*client, error) {
	c, err := newClient(g, l.cert)
	if err != nil {
		return nil, err
	}
	body := c.local.String()
	if !g.plain {
		body = c.offer(send)
	}
	text, err := post(ctx, url, body)
	if err != nil {
		unix.Close(c.fd)
		return nil, err
	}
	if g.plain {
		c.pt = map[Kind]uint8{Video: videoType, Audio: audioType}[g.kind]
		c.remote, err = netip.ParseAddrPort(text)
	} else {
		err = c.answer(text)
	}
	if err != nil {
		unix.Close(c.fd)
		return nil, err
	}
	var started error
	if err := l.do(func(now mono.Time) { started = l.add(now, c) }); err != nil {
		return nil, err
	}
	return c, started
}

// await waits until all are connected.
func (l *Loop) await(ctx context.Context, cs []*client) error {
	for {
		missing := 0
		var failed error
		err := l.do(func(mono.Time) {
			for _, c := range cs {
				if !c.ready {
					missing++
				}
				failed = errors.Join(failed, c.failed)
			}
		})
		if err = errors.Join(err, failed); err != nil || missing == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("load: %d of %d not connected: %w", missing, len(cs), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Measure publishes for a while and says what arrived.
func (l *Loop) Measure(ctx context.Context, g *Group, d time.Duration) (r Result, err error) {
	if err := l.do(g.begin); err != nil {
		return r, err
	}
	pause(ctx, d)
	if err := l.do(func(mono.Time) { g.active = false }); err != nil {
		return r, err
	}
	pause(ctx, drain)
	err = l.do(func(mono.Time) { r = g.result() })
	return r, errors.Join(err, ctx.Err())
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func post(ctx context.Context, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if res.StatusCode/100 != 2 {
		return "", fmt.Errorf("%s: %s: %s", url, res.Status, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
