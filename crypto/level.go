package crypto

import (
	"errors"
	"reflect"
)

const (
	blockSize = 16
	gcmTag    = 16
)

// ErrKeySize reports a key whose length the algorithm does not have.
var ErrKeySize = errors.New("crypto: key size not supported")

// Level names the implementation in use: "generic" is the standard library's.
func Level() string { return "generic" }

// Wipe zeroes what p, a pointer, points to, whatever its type: the standard
// library keeps expanded keys in types that offer no way to forget them. Other
// values it leaves alone.
func Wipe(p any) {
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().SetZero()
	}
}
