//go:build !linux

package main

import "errors"

func fanoutMissing() string {
	return "needs Linux: getrusage, sched_setaffinity, recvmmsg, kernel time stamps"
}

func measureFanout(*run, []string, []peer) error { return errors.New(fanoutMissing()) }

func runChild(string, []string) bool { return false }
