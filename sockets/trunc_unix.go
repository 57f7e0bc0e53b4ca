//go:build !windows

package sockets

import "syscall"

const msgTrunc = syscall.MSG_TRUNC
