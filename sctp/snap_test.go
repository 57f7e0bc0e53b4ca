package sctp

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

func TestInitBySessionDescriptionSavesTheHandshake(t *testing.T) {
	for seed := range uint64(10) {
		ab, ba := both(seed, netem.Config{Delay: 20 * time.Millisecond, Loss: .1})
		p := newPair(t, Config{Interleave: seed&1 == 1, DTLS: true}, ab, ba)
		must(t, p.a[0].ImportInit(p.a[1].ExportInit()))
		must(t, p.a[1].ImportInit(p.a[0].ExportInit()))
		p.a[0].Start(p.Now)
		p.a[1].Start(p.Now)
		if !p.up(0) || !p.up(1) || p.Links[0].Stats().Pushed != 0 {
			t.Fatal("not connected at once")
		}
		if st := p.a[0].Stats(); st.Interleaved != (seed&1 == 1) || !st.ZeroChecksum {
			t.Errorf("%+v", st)
		}
		exchange(p, seed)
	}
}

// Data which arrives before our own Start waits for the peer's retransmission.
func TestInitImportedOnBothSidesAtDifferentTimes(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	must(t, p.a[0].ImportInit(p.a[1].ExportInit()))
	must(t, p.a[1].ImportInit(p.a[0].ExportInit()))
	p.a[0].Start(p.Now)
	p.write(0, 1, body(1, 100), SendOptions{})
	p.Sleep(50 * time.Millisecond)
	p.a[1].Start(p.Now)
	if !p.Run(5*time.Second, func() bool { return len(p.got[1]) == 1 }) {
		t.Fatalf("not delivered: %v %v", p.other[0], p.other[1])
	}
}

func TestImportRefusesWhatIsNoInit(t *testing.T) {
	a := New(Config{})
	good := New(Config{}).ExportInit()
	for name, c := range map[string]struct {
		chunk []byte
		want  error
	}{
		"nothing": {nil, ErrMalformed},
		"cut":     {good[:len(good)-5], ErrMalformed},
		"two":     {append(append([]byte(nil), good[:20]...), good...), ErrMalformed},
		"sack":    {appendSack(nil, 1, 1, nil, nil), ErrMalformed},
		"tag 0":   {appendInit(nil, typeInit, &initChunk{out: 1, in: 1}), ErrProtocol},
		"no out":  {appendInit(nil, typeInit, &initChunk{tag: 1, in: 1}), ErrProtocol},
		"good":    {good, nil},
	} {
		if err := a.ImportInit(c.chunk); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.Start(simtest.Epoch)
	if err := a.ImportInit(good); err != ErrUnexpected {
		t.Error(err)
	}
}
