//go:build (amd64 || arm64) && !purego

package crypto

import "os"

func (l hashLevel) String() string { return hashNames[l] }

// activeHash is decided once. Tests force each in turn.
var activeHash = chooseHash(os.Getenv(HashVariable))

// chooseHash is the hash level called name, or the best one.
func chooseHash(name string) hashLevel {
	all := hashLevels()
	for _, l := range all {
		if l.String() == name {
			return l
		}
	}
	return all[len(all)-1]
}

// hashLevelName is what HashLevel says.
func hashLevelName() string {
	if active == levelGeneric {
		return hashStdlib.String()
	}
	return activeHash.String()
}
