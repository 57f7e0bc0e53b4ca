package sfu

import (
	"context"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/webrtc"
)

func TestSessionsShareACertificateThatDoesNotRunOut(t *testing.T) {
	s := New(Config{Logger: quiet()})
	t.Cleanup(func() { s.Close(context.Background()) })
	now := time.Now()
	at := func(d time.Duration) *dtls.Certificate {
		t.Helper()
		c, err := s.certificate(now.Add(d))
		if err != nil {
			t.Fatal(err)
		}
		if left := c.Expires().Sub(now.Add(d)); left < 10*24*time.Hour {
			t.Errorf("after %v a session gets a certificate that is valid for %v", d, left)
		}
		return c
	}
	first := at(0)
	if at(certificateAge-time.Second) != first {
		t.Error("a certificate for each session")
	}
	if at(certificateAge) == first || at(100*certificateAge) == first {
		t.Error("the first certificate is used until it runs out")
	}
}

func TestSessionsUseTheCertificateOfTheConfig(t *testing.T) {
	own, err := dtls.GenerateCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Logger: quiet(), WebRTC: webrtc.Config{Certificate: own}})
	t.Cleanup(func() { s.Close(context.Background()) })
	if c, err := s.certificate(time.Now()); c != own || err != nil {
		t.Errorf("another certificate, %v", err)
	}
}
