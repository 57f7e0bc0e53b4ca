package main

import (
	"runtime"
	"runtime/debug"
)

// module returns the version of a module that this binary was built with.
func module(path string) func() string {
	return func() string {
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, m := range info.Deps {
				if m.Path == path {
					if m.Replace != nil {
						m = m.Replace
					}
					return m.Version
				}
			}
		}
		return "unknown"
	}
}

var goStdlib = peer{name: "go-stdlib", version: runtime.Version}
