//go:build !linux

package main

import "errors"

func measureHandshake(*run, []string, []peer) error { return errors.New(fanoutMissing()) }
