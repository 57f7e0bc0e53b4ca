//go:build race

package dtls

const underRace = true
