package load

import "testing"

// Loss by seed is the same in every run, and of the share asked for.
func TestLossBySeed(t *testing.T) {
	count := func() (dropped int) {
		g := &Group{}
		g.lose(0.01)
		for range 100000 {
			if g.loses() {
				dropped++
			}
		}
		return dropped
	}
	n := count()
	if n < 900 || n > 1100 || n != count() {
		t.Errorf("%d of 100000, then %d", n, count())
	}
	g := &Group{}
	for range 1000 {
		if g.loses() {
			t.Fatal("lost without being told to")
		}
	}
}
