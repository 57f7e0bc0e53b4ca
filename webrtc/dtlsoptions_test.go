package webrtc

import (
	"errors"
	"testing"

	"github.com/sluicertc/sluice/dtls"
)

// Options that no handshake could have are refused before there is one, and good
// ones bound what both sides may do.
func TestDTLSOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]DTLSOptions{
		"versions the wrong way round": {MinVersion: dtls.VersionDTLS13, MaxVersion: dtls.VersionDTLS12},
		"DTLS 1.0":                     {MinVersion: dtls.VersionDTLS10},
		"an unknown group":             {Groups: []dtls.Group{99}},
		"1.2 with hybrids alone":       {Groups: []dtls.Group{dtls.GroupX25519MLKEM768}},
		"an unknown profile":           {SRTPProfiles: []dtls.SRTPProfile{99}},
	} {
		if _, err := NewPeerConnection(Config{DTLS: o}); !errors.Is(err, ErrType) || !errors.Is(err, dtls.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pc, err := NewPeerConnection(Config{DTLS: DTLSOptions{MaxVersion: dtls.VersionDTLS12, Groups: []dtls.Group{dtls.GroupP256}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.Close(); err != nil {
		t.Error(err)
	}
}
