//go:build !linux

package main

import "errors"

func measureConnect(*run, []string, []peer) error { return errors.New(fanoutMissing()) }
