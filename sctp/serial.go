package sctp

// Serial number arithmetic, RFC 1982, as RFC 9260 §1.6 uses it.

func tsnLess(a, b uint32) bool   { return int32(a-b) < 0 }
func tsnLessEq(a, b uint32) bool { return int32(a-b) <= 0 }
func ssnLess(a, b uint16) bool   { return int16(a-b) < 0 }
