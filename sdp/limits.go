package sdp

import "errors"

// Limits of what Parse takes. An offer of a browser with audio, video and data
// has some 7 KB, 200 lines and 3 sections.
const (
	MaxBytes      = 256 << 10 // of a description: ErrTooLarge beyond
	MaxLine       = 8 << 10   // bytes of a line: ErrTooLarge beyond
	MaxLines      = 16 << 10  // ErrTooLarge beyond
	MaxMedia      = 256       // sections: ErrTooLarge beyond
	MaxCodecs     = 128       // of a section, as payload types are 7 bits: ErrTooLarge beyond
	MaxFeedback   = 32        // rtcp-fb lines of a codec, of which a line can mean all: more are ignored
	MaxCandidates = 128       // of a section: more are ignored, as ICE ignores them
)

// ErrTooLarge says that a description exceeds a limit.
var ErrTooLarge = errors.New("sdp: description exceeds a limit")
