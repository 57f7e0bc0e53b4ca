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
	// A stretch has ended when nothing has arrived for the time drain. A server
	// that was offered too much may keep seconds of it; drainLimit ends that.
	drain      = 250 * time.Millisecond
	drainStep  = 50 * time.Millisecond
	drainLimit = 10 * time.Second
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
	stall  time.Duration // longest turn since the stretch began
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
	for last := mono.Now(); ctx.Err() == nil; {
		now := mono.Now()
		l.stall, last = max(l.stall, now.Sub(last)), now
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
					c.group.source.keyframe(c.group.clock(now))
				}
			case c.agent == nil:
				c.media(now, b, at)
			case c.in == nil || c.drops(b):
			default:
				l.batch.Add(c.in, b, b)
				protected[k] = i
				k++
			}
		}
		l.unprotect(now, c, protected[:k])
		if n < readBatch {
			return
		}
	}
}

func (l *Loop) unprotect(now mono.Time, c *client, where []int) {
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
		c.media(now, b[:size], at)
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
			c.sendReport(now, c.group.timestamp(c.group.clock(now)))
		}
		if c.group.nack {
			c.askAgain(now)
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

// Joining says who connects to what.
type Joining struct {
	URL     string // of the server, whose paths /publish and /view take offers
	Kind    Kind
	Viewers int
	Addr    netip.Addr // of the clients; the zero value is 127.0.0.1
	// Plain clients speak bare RTP: what is posted is a client's address, what
	// comes back the server's.
	Plain bool
	NACK  bool // viewers ask for what is missing
	Sink  bool // viewers' sockets drop media and count it; only Sunk tells
	CM80  bool // AES_CM_128_HMAC_SHA1_80 is offered, and not AEAD_AES_128_GCM
	Busy  bool // of video: 10,000 packets a second in bursts of 8
	Paced bool // of video: its packets as a browser's pacer sends them
}

// Join connects a publisher and its viewers. It returns when all are
// connected, or the context ends.
func (l *Loop) Join(ctx context.Context, j Joining) (_ *Group, err error) {
	if !j.Addr.IsValid() {
		j.Addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	g, url, n := newGroup(l, j), j.URL, j.Viewers
	defer func() {
		if err != nil { // nobody is left to publish for
			_ = l.do(func(mono.Time) { g.active = false })
		}
	}()
	if g.publisher, err = l.join(ctx, g, url+"/publish?kind="+string(j.Kind), true); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	if err := l.await(ctx, []*client{g.publisher}); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	// It publishes while viewers come, as publishers do: some servers have no
	// track before its first packet.
	if err := l.do(func(now mono.Time) {
		l.groups = append(l.groups, g)
		g.begin(now, 0, 1)
	}); err != nil {
		return nil, err
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
	return g, l.do(func(mono.Time) { g.active = false })
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

// A Stretch is what Measure does.
type Stretch struct {
	For  time.Duration
	Loss float64 // share of the packets that viewers lose on arrival, 0 to 1
}

// lossless is the end of a stretch in which nothing is dropped: what is lost
// last has no successor that would tell.
const lossless = 150 * time.Millisecond

// Start lets groups publish together; nothing is counted before Measure.
func (l *Loop) Start(groups []*Group) error {
	return l.do(func(now mono.Time) {
		for i, g := range groups {
			g.begin(now, i, len(groups))
		}
	})
}

// Measure lets groups publish together for a while, ends that, and says what
// arrived.
func (l *Loop) Measure(ctx context.Context, groups []*Group, s Stretch) (r Result, err error) {
	all := func(f func(i int, g *Group, now mono.Time)) {
		if err == nil {
			err = l.do(func(now mono.Time) {
				for i, g := range groups {
					f(i, g, now)
				}
			})
		}
	}
	all(func(i int, g *Group, now mono.Time) {
		g.reset(now, i, len(groups))
		g.lose(s.Loss)
		l.stall = 0
	})
	tail := time.Duration(0)
	if s.Loss > 0 {
		tail = min(lossless, s.For)
	}
	pause(ctx, s.For-tail)
	all(func(_ int, g *Group, _ mono.Time) { g.lose(0) })
	pause(ctx, tail)
	stall := time.Duration(0)
	all(func(_ int, g *Group, _ mono.Time) { g.active, stall = false, l.stall })
	if err == nil {
		err = l.drained(ctx, groups)
	}
	if err == nil {
		err = l.do(func(mono.Time) { r = results(groups) })
	}
	r.Stall = float64(stall) / 1e3
	return r, err
}

// drained waits until nothing has arrived for the time drain.
func (l *Loop) drained(ctx context.Context, groups []*Group) error {
	last := uint64(0)
	for quiet, waited := time.Duration(0), time.Duration(0); quiet < drain && waited < drainLimit; waited += drainStep {
		pause(ctx, drainStep)
		arrived := uint64(0)
		if err := l.do(func(mono.Time) {
			for _, g := range groups {
				arrived += g.got + g.late
			}
		}); err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if quiet += drainStep; arrived != last {
			last, quiet = arrived, 0
		}
	}
	return nil
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
