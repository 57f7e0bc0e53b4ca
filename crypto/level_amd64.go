//go:build !purego

package crypto

import "github.com/klauspost/cpuid/v2"

// levels lists what this processor can do, the best last.
func levels() []level {
	all := []level{levelGeneric}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.VAES, cpuid.VPCLMULQDQ, cpuid.AESNI, cpuid.BMI2) {
		all = append(all, levelVAES)
		if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ) {
			all = append(all, levelAVX512)
		}
	}
	return all
}
