//go:build !linux

package sockets

// XDPWorks reports whether Config.XDP can be that interface, which it cannot on
// this system: ErrNoXDP.
func XDPWorks(string) error { return ErrNoXDP }

func listen(cfg Config) (Conn, error) { return listenPortable(cfg) }
