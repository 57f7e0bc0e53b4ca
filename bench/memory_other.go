//go:build !linux

package main

import "errors"

func measureMemory(*run, []string, []peer) error { return errors.New(fanoutMissing()) }
