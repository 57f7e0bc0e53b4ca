package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/sfu/whip"
	sluice "github.com/sluicertc/sluice/webrtc"
)

// host is the echo in this process, where DTLS can be configured.
type host struct {
	url string
	sfu *sfu.Server
}

func startHost(t *testing.T, cfg sluice.Config) *host {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	e, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	cfg.IncludeLoopback = true
	h := &host{sfu: sfu.New(sfu.Config{Engine: e, WebRTC: cfg, Logger: quiet})}
	handler, err := whip.New(whip.Config{Server: h.sfu, Access: whip.Access{Origins: []string{"*"}}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	h.url = s.URL
	t.Cleanup(func() {
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.sfu.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// handshook is what was negotiated, as both sides' statistics say it.
type handshook struct{ Version, Cipher, Group, Role string }

// transport waits for the handshake of the only session.
func (h *host) transport(t testing.TB) (got handshook) {
	t.Helper()
	eventually(t, "transport at the server", func() error {
		for _, x := range h.sfu.Sessions() {
			pc := x.PeerConnection()
			if pc == nil {
				continue
			}
			report, err := pc.GetStats()
			if err != nil {
				return err
			}
			for _, v := range report {
				if s, ok := v.(*sluice.TransportStats); ok && s.DTLSState == "connected" {
					got = handshook{s.TLSVersion, s.DTLSCipher, s.TLSGroup, s.DTLSRole}
					return nil
				}
			}
		}
		return errNotYet
	})
	return got
}

const (
	v12 = "FEFD"
	v13 = "FEFC"

	aes128In13 = "TLS_AES_128_GCM_SHA256"
	aes128In12 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
)

// What a browser and we negotiate, in both of our roles: by default DTLS 1.3 with
// X25519MLKEM768; where one side has only one version or group, that one. The
// browsers' names of groups and ciphers are held against ours where they tell.
func TestDTLSWithBrowsers(t *testing.T) {
	only := func(version uint16, groups ...dtls.Group) sluice.DTLSOptions {
		return sluice.DTLSOptions{MinVersion: version, MaxVersion: version, Groups: groups}
	}
	for _, c := range []struct {
		name    string
		browser browser
		ours    sluice.DTLSOptions
		version string
		group   string // empty: X25519 or P-256, as the server prefers
	}{
		{"as it is", chromium, sluice.DTLSOptions{}, v13, "X25519MLKEM768"},
		{"we have 1.2 only", chromium, only(dtls.VersionDTLS12), v12, ""},
		{"we have 1.3 only", chromium, only(dtls.VersionDTLS13), v13, "X25519MLKEM768"},
		{"we have X25519 only", chromium, only(dtls.VersionDTLS13, dtls.GroupX25519), v13, "X25519"},
		{"we have P-256 only", chromium, only(dtls.VersionDTLS13, dtls.GroupP256), v13, "P-256"},
		{"it has no post-quantum group", chromiumX25519, sluice.DTLSOptions{}, v13, "X25519"},
		{"as it is", firefox, sluice.DTLSOptions{}, v13, "X25519MLKEM768"},
		{"we have 1.2 only", firefox, only(dtls.VersionDTLS12), v12, ""},
		{"we have 1.3 only", firefox, only(dtls.VersionDTLS13), v13, "X25519MLKEM768"},
		{"we have X25519 only", firefox, only(dtls.VersionDTLS13, dtls.GroupX25519), v13, "X25519"},
		{"we have P-256 only", firefox, only(dtls.VersionDTLS13, dtls.GroupP256), v13, "P-256"},
		{"it has 1.3 only", firefox13, sluice.DTLSOptions{}, v13, "X25519MLKEM768"},
		{"it has 1.2 only", firefox12, sluice.DTLSOptions{}, v12, ""},
	} {
		for _, role := range []sluice.DTLSRole{sluice.DTLSServer, sluice.DTLSClient} {
			ours, theirs := "server", "client"
			if role == sluice.DTLSClient {
				ours, theirs = theirs, ours
			}
			t.Run(fmt.Sprintf("%s, %s, we as %s", c.browser.name, c.name, ours), func(t *testing.T) {
				h := startHost(t, sluice.Config{DTLS: c.ours, DTLSRole: role})
				s := c.browser.open(t).start("echo", h.url+"/echo", options{"channels": []options{{"label": "x", "init": options{}}}})
				var e echoed
				s.call("messages", options{"label": "x", "kinds": messageKinds[:2]}, &e)
				e.check(t, "x")
				got := h.transport(t)
				t.Logf("%+v", got)
				want := handshook{c.version, aes128In13, c.group, ours}
				if c.version == v12 {
					want.Cipher = aes128In12
				}
				if c.group == "" && (got.Group == "X25519" || got.Group == "P-256") {
					want.Group = got.Group
				}
				if got != want {
					t.Errorf("we negotiated %+v, not %+v", got, want)
				}
				// Firefox tells nothing of this but the version, if at all.
				d := s.now().DTLS
				t.Logf("%s says %+v", c.browser.name, d)
				for what, v := range map[string][2]string{
					"version": {d.Version, want.Version}, "cipher": {d.Cipher, want.Cipher}, "group": {d.Group, want.Group}, "role": {d.Role, theirs},
				} {
					if v[0] != v[1] && v[0] != "" {
						t.Errorf("%s: the %s is %s, not %s", c.browser.name, what, v[0], v[1])
					}
				}
			})
		}
	}
}
