// Package interop tests the server against real peers: Chromium and Firefox
// (by puppeteer-core, see browsers.mjs and page), aiortc, GStreamer's webrtcbin,
// werift, libdatachannel (node-datachannel) and Pion. It has only tests.
//
//	interop/setup.sh                  # Debian's packages and npm ci, once
//	SLUICE_INTEROP=1 go test -count=1 ./interop
//
// Without SLUICE_INTEROP=1 a test whose peer is not installed skips, with a
// line that says what to install; with it, it fails. SLUICE_SERVER names a
// server to test instead of the one that is built from cmd/sluice,
// SLUICE_CHROMIUM, SLUICE_FIREFOX and SLUICE_PYTHON other programs than those
// on the PATH.
//
// DTLS alone is tested against OpenSSL, GnuTLS, mbedTLS, wolfSSL (dtls_peers_test.go)
// and Pion's connection IDs (dtls_cid_test.go), in both roles; what browsers and
// other stacks negotiate with us, in both roles too, with the echo in this process
// (dtls_browsers_test.go, dtls_stacks_test.go).
//
// Everything stays on this machine: the server listens on loopback, where each
// test starts one of its own, and the peers reach nothing else. The clock is
// the real one, since the peers' is: every wait has a bound and ends as soon as
// what it waits for is there.
package interop
