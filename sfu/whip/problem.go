package whip

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/webrtc"
)

// Problem is the body of an error (RFC 9457).
type Problem struct {
	Type   string `json:"type"` // urn:sluice:problem:..., or about:blank
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// WriteProblem answers with a problem. name is the last part of its type, and
// empty for those that say no more than the status.
func WriteProblem(w http.ResponseWriter, status int, name, title, detail string) {
	p := Problem{Type: "about:blank", Title: title, Status: status, Detail: detail}
	if name != "" {
		p.Type = "urn:sluice:problem:" + name
	}
	if p.Title == "" {
		p.Title = http.StatusText(status)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Nobody is left to tell when the connection breaks here.
	_ = json.NewEncoder(w).Encode(p)
}

// problems says how errors appear, the first match counts.
var problems = []struct {
	err         error
	status      int
	name, title string
}{
	{sfu.ErrClosed, http.StatusServiceUnavailable, "closing", "The server is shutting down"},
	{sfu.ErrLimit, http.StatusServiceUnavailable, "limit", "The server is full"},
	{sfu.ErrEnded, http.StatusNotFound, "unknown-session", "The session has ended"},
	{sfu.ErrNoStream, http.StatusNotFound, "unknown-stream", "There is no such stream"},
	{sfu.ErrNoLayer, http.StatusNotFound, "unknown-layer", "The stream has no such layer"},
	{sfu.ErrPublished, http.StatusConflict, "already-published", "The stream has a publisher already"},
	{sfu.ErrName, http.StatusBadRequest, "stream-name", "The stream's name cannot be used"},
	{sfu.ErrStale, http.StatusPreconditionFailed, "ice-generation", "The fragment belongs to another ICE generation"},
	{sdp.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The description is too large"},
	{ErrFragment, http.StatusBadRequest, "syntax", "The SDP fragment cannot be read"},
	{webrtc.ErrSyntax, http.StatusBadRequest, "syntax", "The description cannot be read"},
	{webrtc.ErrUnsupported, http.StatusUnprocessableEntity, "unsupported", "The description asks for what is not supported"},
	{webrtc.ErrInvalidAccess, http.StatusUnprocessableEntity, "mismatch", "The description does not fit the session"},
	{webrtc.ErrOperation, http.StatusUnprocessableEntity, "mismatch", "The candidate does not fit the session"},
	{webrtc.ErrInvalidState, http.StatusConflict, "state", "The session's state does not allow this"},
}

// fail answers with the problem that an error stands for.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	for _, p := range problems {
		if errors.Is(err, p.err) {
			if p.status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "5") // RFC 9725 §4.5
			}
			WriteProblem(w, p.status, p.name, p.title, detail(err))
			return
		}
	}
	h.log.Error("request failed", "err", err)
	WriteProblem(w, http.StatusInternalServerError, "", "", "")
}

// detail is an error's text without the names of packages.
func detail(err error) string {
	s := err.Error()
	for _, p := range []string{"webrtc: ", "sfu: ", "whip: ", "sdp: "} {
		s = strings.ReplaceAll(s, p, "")
	}
	return s
}
