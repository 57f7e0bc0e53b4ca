//go:build !linux

package main

import "errors"

func measureSockets(*run, []string, []peer) error { return errors.New(fanoutMissing()) }
