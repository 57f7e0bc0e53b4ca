package webrtc

import "errors"

// Errors that a caller can tell apart with errors.Is. They stand for the
// DOMExceptions of the W3C recommendation.
var (
	// ErrInvalidState: the connection, channel or track is closed, or not in
	// a state that allows the call.
	ErrInvalidState = errors.New("webrtc: invalid state")
	// ErrInvalidAccess: an argument does not belong to this connection, or
	// contradicts another.
	ErrInvalidAccess = errors.New("webrtc: invalid access")
	// ErrInvalidModification: a local description is not the one that was
	// created last.
	ErrInvalidModification = errors.New("webrtc: invalid modification")
	// ErrSyntax: a description or candidate cannot be read.
	ErrSyntax = errors.New("webrtc: syntax error")
	// ErrUnsupported: a description is well-formed, and asks for something
	// that is not supported.
	ErrUnsupported = errors.New("webrtc: not supported")
	// ErrOperation: the operation failed for a reason of the moment, such as a
	// full buffer.
	ErrOperation = errors.New("webrtc: operation failed")
	// ErrType: an argument is out of range.
	ErrType = errors.New("webrtc: argument out of range")
)
