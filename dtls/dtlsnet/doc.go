// Package dtlsnet is DTLS 1.3 and 1.2 as the standard library's net.Conn and
// net.Listener: for those who want DTLS alone, over sockets of their own. Package
// dtls is what it drives, and says what is spoken and what is verified.
//
//	l, err := dtlsnet.Listen(pc, dtlsnet.Config{DTLS: dtls.Config{Certificate: cert, VerifyPeer: verify}})
//	conn, err := l.Accept() // has shaken hands
//
//	conn, err := dtlsnet.Dial(ctx, "udp", "server:4433", dtlsnet.Config{DTLS: ...})
//
// A Read returns one message and a Write sends one: they arrive whole, once, or not
// at all, in any order. A Read into a buffer that is too short gives the beginning
// and io.ErrShortBuffer. All methods may be called from any goroutine.
//
// # What a listener does
//
// One goroutine reads the socket and serves the connections that are established; a
// few more shake hands, so that a storm of ClientHellos delays nobody. An address
// that is not known gets a cookie and must return it (RFC 6347 §4.2.1, RFC 9147
// §5.1) before a byte is kept for it, but for hellos in fragments, which a bounded
// table keeps for a short time. What is kept for handshakes under way is
// bounded in bytes, too: Config.MaxHalfOpen. ListenerStats counts what is dropped.
//
// With Config.ConnectionIDLen clients may change their address (RFC 9146, RFC 9147
// §9): what comes from a new one is accepted at once, and answers go there when the
// client has been asked and has replied from there (RFC 9853).
//
// # What it does not do
//
// No keep-alive: a peer that vanishes is noticed by who sets a deadline. No path MTU discovery and no fragmentation of messages: what is longer than the
// path carries is lost. No congestion control. No certificate chains, names and
// dates: dtls.Config.VerifyPeer may. For media and data channels use package webrtc,
// whose dataplane does the same without a lock.
package dtlsnet
