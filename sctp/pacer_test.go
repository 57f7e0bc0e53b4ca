package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// Round trips in each of which a message goes along with a SACK, and so does not
// ask the pacer, leave no debt for a message that goes alone.
func TestMessagesThatGoWithSacksLeaveNoDebt(t *testing.T) {
	ab, ba := both(1, netem.Config{Delay: 100 * time.Microsecond})
	p := newPair(t, Config{}, ab, ba).connect()
	msg := body(1, 1024)
	for n := range 30_000 {
		if n%500 == 499 {
			p.Sleep(300 * time.Millisecond) // the last SACK goes alone
		}
		for i := range 2 {
			p.write(i, 1, msg, SendOptions{})
			at := p.Now
			if !p.Run(time.Second, func() bool { return len(p.got[1-i]) == 1 }) {
				t.Fatalf("trip %d: nothing comes; %+v", n, p.a[i].Stats())
			}
			if d := p.Now.Sub(at); d > 3*time.Millisecond {
				t.Fatalf("trip %d: the message took %v", n, d)
			}
			p.got[1-i] = p.got[1-i][:0]
		}
	}
}
