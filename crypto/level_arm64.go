//go:build !purego

package crypto

import "github.com/klauspost/cpuid/v2"

// levels lists what this processor can do, the best last.
func levels() []level {
	all := []level{levelGeneric}
	cpu := &cpuid.CPU
	if !cpu.Supports(cpuid.AESARM, cpuid.PMULL) {
		return all
	}
	all = append(all, levelPMULL)
	if cpu.Supports(cpuid.SHA3) {
		all = append(all, levelEOR3)
	}
	return all
}
