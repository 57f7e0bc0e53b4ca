package deadline

import (
	"testing"
	"time"
)

func TestDeadlineComesAndMoves(t *testing.T) {
	var d Deadline
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for i, c := range []struct {
		at   time.Time
		come bool
	}{{time.Time{}, false}, {past, true}, {past, true}, {future, false}, {past, true}, {time.Time{}, false}, {future, false}, {time.Time{}, false}} {
		if d.Set(c.at); d.Past() != c.come {
			t.Fatalf("step %d: come is %v", i, !c.come)
		}
	}
}

// Who waits already is woken by the deadline that is set meanwhile.
func TestWaiterSeesTheNewDeadline(t *testing.T) {
	var d Deadline
	for _, first := range []time.Time{{}, time.Now().Add(time.Hour)} {
		d.Set(first)
		waiting := d.Wait()
		d.Set(time.Now().Add(time.Millisecond))
		<-waiting
	}
}

// A timer that has run out, and has to wait for the lock while the deadline is
// moved, ends nothing.
func TestTimerOfAnEarlierDeadlineDoesNothing(t *testing.T) {
	for _, next := range []time.Time{{}, time.Now().Add(time.Hour)} {
		var d Deadline
		d.Set(time.Now().Add(time.Hour))
		late := d.count
		d.Set(next)
		d.come(late)
		if d.Past() {
			t.Error("the deadline that was moved has come")
		}
	}
	var d Deadline
	d.Set(time.Now().Add(time.Hour))
	d.come(d.count)
	if !d.Past() {
		t.Error("it has not come")
	}
}
