package webrtc

import (
	"fmt"

	"github.com/sluicertc/sluice/dtls"
)

// DTLSOptions bounds what the DTLS handshake negotiates. Zero fields are the
// defaults of dtls.Config, which says what each of them means.
type DTLSOptions struct {
	MinVersion, MaxVersion uint16 // dtls.VersionDTLS12 or dtls.VersionDTLS13
	Groups                 []dtls.Group
	SRTPProfiles           []dtls.SRTPProfile
	// Unprepared makes keys and certificates when they are needed, and not before.
	// It is for processes that are copied while they run, as by a snapshot of a
	// virtual machine: each copy would have the same ones at hand.
	Unprepared bool
	// KeyLog is told secrets in the terms of the NSS key log format, on the ctl
	// lane: it must not wait.
	KeyLog func(label string, clientRandom, secret []byte)
}

// dtlsConfig is the configuration of a handshake.
func (c *Config) dtlsConfig(role dtls.Role, cert *dtls.Certificate, remote []dtls.Fingerprint) dtls.Config {
	o := &c.DTLS
	d := dtls.Config{
		Role: role, Certificate: cert, RemoteFingerprints: remote,
		HandshakeTimeout: c.DTLSTimers.Handshake, FlightInterval: c.DTLSTimers.Retransmission,
		MinVersion: o.MinVersion, MaxVersion: o.MaxVersion, Groups: o.Groups, SRTPProfiles: o.SRTPProfiles,
		KeyLog: o.KeyLog,
	}
	if !o.Unprepared {
		d.EphemeralKey = preparedKey
	}
	return d
}

// validateDTLS reports options out of range while nothing depends on them yet.
func (c *Config) validateDTLS() error {
	d := c.dtlsConfig(dtls.Client, c.Certificate, nil)
	d.AwaitFingerprints = true
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: DTLS: %w", ErrType, err)
	}
	return nil
}
