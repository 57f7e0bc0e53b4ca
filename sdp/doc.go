// Package sdp parses and prints the session descriptions of WebRTC (RFC 8866,
// RFC 8829): the attributes that a media stack acts on as typed fields, the
// rest kept as they were read.
//
// Attributes which may stand at session level and apply to every media section
// (ICE credentials, fingerprints, setup, direction) are copied into the
// sections that lack them, so that a reader looks in one place.
//
// A Session is plain values: strings that are parts of the text, and lists that
// share a few arrays. A Parser reads one description after the other into the
// same memory and allocates nothing once it has seen the largest; Append prints
// into the caller's buffer.
//
// It negotiates nothing: offers, answers and states are package webrtc's.
// Candidates and fingerprints stay text for the packages that own them.
package sdp
