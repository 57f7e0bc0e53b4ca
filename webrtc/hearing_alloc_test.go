//go:build !race

package webrtc

import "testing"

// A message and its answer take what they are kept in and nothing else: a copy
// for the association and one for the handler, each way.
func TestRoundTripAllocatesItsMessagesAlone(t *testing.T) {
	_, _, dc, in := linked(t)
	back := make(chan struct{}, 1)
	in.OnMessage(func(m Message) { _ = in.Send(m.Data) })
	dc.OnMessage(func(Message) { back <- struct{}{} })
	data := make([]byte, 1024)
	trip := func() {
		if err := dc.Send(data); err != nil {
			t.Fatal(err)
		}
		<-back
	}
	for range 500 {
		trip()
	}
	if n := testing.AllocsPerRun(20000, trip); n > 4 {
		t.Errorf("%v allocations", n)
	}
}
