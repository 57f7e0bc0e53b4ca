package sockets

// msgTrunc: Windows reports a truncated datagram as an error of the read.
const msgTrunc = 0
