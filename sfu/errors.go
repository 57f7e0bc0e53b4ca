package sfu

import "errors"

// Errors that a caller can tell apart with errors.Is, beside webrtc.ErrSyntax
// and webrtc.ErrUnsupported for descriptions.
var (
	// ErrClosed: the server is closing and takes no more sessions.
	ErrClosed = errors.New("sfu: server is closing")
	// ErrEnded: the session has ended.
	ErrEnded = errors.New("sfu: session has ended")
	// ErrNoStream: nobody publishes under this name.
	ErrNoStream = errors.New("sfu: no such stream")
	// ErrNoLayer: the stream has no layer with this rid.
	ErrNoLayer = errors.New("sfu: no such layer")
	// ErrPublished: the stream has a publisher.
	ErrPublished = errors.New("sfu: stream has a publisher already")
	// ErrName: a stream's name has 1 to 64 letters, digits and any of "-._~".
	ErrName = errors.New("sfu: invalid stream name")
	// ErrLimit: as many sessions, streams or viewers as are allowed.
	ErrLimit = errors.New("sfu: limit reached")
	// ErrStale: candidates of another ICE generation than the session's.
	ErrStale = errors.New("sfu: another ICE generation")
)
