//go:build !linux

package sockets

func listen(cfg Config) (Conn, error) { return listenPortable(cfg) }
