package mono

import (
	"testing"
	"time"
)

func TestEarliestTreatsZeroAsNone(t *testing.T) {
	for _, c := range []struct{ a, b, want Time }{
		{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {3, 5, 3}, {5, 3, 3},
	} {
		if got := Earliest(c.a, c.b); got != c.want {
			t.Errorf("Earliest(%d, %d) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNowIsPositiveAndMonotonic(t *testing.T) {
	a := Now()
	b := Now()
	if a <= 0 || b < a {
		t.Fatalf("Now went from %d to %d", a, b)
	}
}

func TestWallRoundTrip(t *testing.T) {
	m := Now()
	if got := FromWall(m.Wall()); got != m {
		t.Fatalf("FromWall(Wall(%d)) = %d", m, got)
	}
	if m.Add(time.Second).Sub(m) != time.Second || !m.Before(m.Add(1)) || !m.Add(1).After(m) {
		t.Fatal("arithmetic disagrees with time.Duration")
	}
}
