//go:build !purego

package crypto

import "github.com/klauspost/cpuid/v2"

// levels lists what this processor can do, the best last.
func levels() []level {
	all := []level{levelGeneric}
	cpu := &cpuid.CPU
	if !cpu.Supports(cpuid.AVX, cpuid.AESNI, cpuid.CLMUL) {
		return all
	}
	all = append(all, levelAESNI)
	if !cpu.Supports(cpuid.AVX2, cpuid.VAES, cpuid.VPCLMULQDQ) {
		return all
	}
	all = append(all, levelVAES)
	if cpu.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.BMI2) {
		all = append(all, levelAVX512)
	}
	return all
}
