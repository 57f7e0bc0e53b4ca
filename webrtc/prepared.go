package webrtc

import (
	"sync"
	"time"

	"github.com/sluicertc/sluice/dtls"
)

// What a handshake needs and nothing but time makes is prepared in the background:
// certificates (0.2 ms each) and ephemeral keys (0.1 ms), so that neither
// NewPeerConnection nor a flight on the ctl lane waits for them. Each is given out
// once; see DTLSOptions.Unprepared for where that does not hold.
const (
	preparedItems = 16             // of each kind that is asked for; of ML-KEM they are 150 KB. Beyond them, what is needed is made
	preparedAge   = 12 * time.Hour // older certificates are dropped: their 30 days count from when they were made
)

var (
	preparedCertificates = prepared[*dtls.Certificate]{make: func() (*dtls.Certificate, error) { return dtls.GenerateCertificate(time.Now()) }}
	preparedKeys         = map[dtls.Group]*prepared[*dtls.EphemeralKey]{
		dtls.GroupX25519MLKEM768: preparedOf(dtls.GroupX25519MLKEM768),
		dtls.GroupX25519:         preparedOf(dtls.GroupX25519),
		dtls.GroupP256:           preparedOf(dtls.GroupP256),
	}
)

func preparedOf(g dtls.Group) *prepared[*dtls.EphemeralKey] {
	return &prepared[*dtls.EphemeralKey]{make: func() (*dtls.EphemeralKey, error) { return dtls.GenerateEphemeralKey(g, nil) }}
}

// prepared is a few items that are costly to make. Any goroutine may take one. What
// is taken is replaced by a goroutine that ends when all are there: where nobody
// takes, nothing runs.
type prepared[T any] struct {
	make func() (T, error)

	mu      sync.Mutex // never held while an item is made
	items   []preparedItem[T]
	filling bool
}

type preparedItem[T any] struct {
	v  T
	at time.Time
}

// take returns an item, the one made last; ok is false when there is none, as at first.
func (p *prepared[T]) take(now time.Time) (v T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.items); n > 0 {
		item := p.items[n-1]
		p.items[n-1] = preparedItem[T]{}
		p.items = p.items[:n-1]
		if ok = now.Sub(item.at) < preparedAge; ok {
			v = item.v
		} else {
			clear(p.items) // older still
			p.items = p.items[:0]
		}
	}
	if !p.filling && len(p.items) <= preparedItems/2 {
		p.filling = true
		go p.fill()
	}
	return v, ok
}

func (p *prepared[T]) fill() {
	for {
		v, err := p.make()
		p.mu.Lock()
		if err == nil {
			p.items = append(p.items, preparedItem[T]{v, time.Now()})
		}
		if err != nil || len(p.items) >= preparedItems { // who needs it will see the error
			p.filling = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

// newCertificate is one for a connection of its own.
func (c *Config) newCertificate() (*dtls.Certificate, error) {
	now := time.Now()
	if !c.DTLS.Unprepared {
		if cert, ok := preparedCertificates.take(now); ok {
			return cert, nil
		}
	}
	return dtls.GenerateCertificate(now)
}

// preparedKey is dtls.Config.EphemeralKey.
func preparedKey(g dtls.Group) *dtls.EphemeralKey {
	if p := preparedKeys[g]; p != nil {
		k, _ := p.take(time.Now())
		return k
	}
	return nil
}
