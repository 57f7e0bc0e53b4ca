module github.com/sluicertc/sluice

go 1.26.0

require golang.org/x/sys v0.49.0

require github.com/klauspost/cpuid/v2 v2.3.0

require github.com/minio/sha256-simd v1.0.1

require golang.org/x/crypto v0.48.0

require github.com/cilium/ebpf v0.22.0
