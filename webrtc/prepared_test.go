package webrtc

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
)

// full waits until nothing fills p any more.
func (p *prepared[T]) full() int {
	for {
		p.mu.Lock()
		n, filling := len(p.items), p.filling
		p.mu.Unlock()
		if !filling {
			return n
		}
		runtime.Gosched()
	}
}

func TestPreparedItemsAreGivenOutOnce(t *testing.T) {
	next := 0
	p := prepared[int]{make: func() (int, error) { next++; return next, nil }}
	now := time.Now()
	if _, ok := p.take(now); ok {
		t.Fatal("something was there at first")
	}
	if n := p.full(); n != preparedItems {
		t.Fatalf("%d items", n)
	}
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if v, ok := p.take(now); ok {
					mu.Lock()
					if seen[v] {
						t.Errorf("%d was given out twice", v)
					}
					seen[v] = true
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if p.full() > preparedItems || len(seen) < preparedItems {
		t.Errorf("%d items, %d were taken", p.full(), len(seen))
	}
}

func TestPreparedItemsAgeAndMayFail(t *testing.T) {
	p := prepared[int]{make: func() (int, error) { return 1, nil }}
	p.take(time.Now())
	p.full()
	if _, ok := p.take(time.Now().Add(preparedAge + time.Minute)); ok {
		t.Error("an old item was given out")
	}
	bad := prepared[int]{make: func() (int, error) { return 0, errors.New("no") }}
	for range 3 {
		if _, ok := bad.take(time.Now()); ok {
			t.Error("an item that could not be made was given out")
		}
		if bad.full() != 0 {
			t.Error("it was kept")
		}
	}
}

// Connections have certificates of their own, prepared or not, and so are their keys.
func TestCertificatesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for i := range 3 * preparedItems {
		c := Config{DTLS: DTLSOptions{Unprepared: i%3 == 0}}
		cert, err := c.newCertificate()
		if err != nil {
			t.Fatal(err)
		}
		f, err := cert.Fingerprint("sha-256")
		if err != nil || seen[f.String()] || time.Until(cert.Expires()) < 29*24*time.Hour {
			t.Fatal(err, f, cert.Expires())
		}
		seen[f.String()] = true
		if d := c.dtlsConfig(dtls.Client, cert, nil); (d.EphemeralKey == nil) != c.DTLS.Unprepared {
			t.Error("prepared keys where there should be none, or none")
		}
	}
	keys := map[*dtls.EphemeralKey]bool{}
	for range 100 {
		if k := preparedKey(dtls.GroupX25519); k != nil {
			if keys[k] {
				t.Error("a key was given out twice")
			}
			keys[k] = true
		}
	}
	if preparedKey(99) != nil {
		t.Error("a key of an unknown group")
	}
}

func BenchmarkNewCertificate(b *testing.B) {
	for b.Loop() {
		c := Config{DTLS: DTLSOptions{Unprepared: true}}
		if _, err := c.newCertificate(); err != nil {
			b.Fatal(err)
		}
	}
}
