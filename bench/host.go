package main

import (
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/sluicertc/sluice/crypto"
)

// A Host is what ratios depend on besides the two contenders.
type Host struct {
	CPU    string `json:"cpu"` // brand, as the processor names itself
	Cores  int    `json:"cores"`
	OS     string `json:"os"`     // such as linux/amd64
	Kernel string `json:"kernel"` // release; empty where the system does not tell it in a file
	Go     string `json:"go"`
	Crypto string `json:"crypto"` // crypto.Level
}

func thisHost() Host {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return Host{
		CPU:    strings.TrimSpace(cpuid.CPU.BrandName),
		Cores:  runtime.NumCPU(),
		OS:     runtime.GOOS + "/" + runtime.GOARCH,
		Kernel: strings.TrimSpace(string(release)),
		Go:     runtime.Version(),
		Crypto: crypto.Level(),
	}
}

// comparable reports whether ratios of h and o may be held against each other:
// another processor favours another contender, another core count too.
func (h Host) comparable(o Host) bool {
	return h.CPU == o.CPU && h.Cores == o.Cores && h.OS == o.OS && h.Crypto == o.Crypto
}

func (h Host) String() string {
	kernel := "kernel " + h.Kernel
	if h.Kernel == "" {
		kernel = "kernel unknown"
	}
	return strings.Join([]string{h.CPU, plural(h.Cores, "core"), h.OS, kernel, h.Go, "crypto " + h.Crypto}, ", ")
}
