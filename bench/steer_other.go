//go:build !linux

package main

import "errors"

func measureSteer(*run, []string, []peer) error { return errors.New(fanoutMissing()) }
