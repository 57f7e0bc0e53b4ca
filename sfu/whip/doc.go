// Package whip serves an sfu.Server over HTTP: WHIP (RFC 9725) to publish,
// WHEP (draft-ietf-wish-whep) to play, and an echo.
//
//	h, err := whip.New(whip.Config{Server: server})
//	mux.Handle("/live/", http.StripPrefix("/live", h)) // with Config.Prefix "/live"
//
//	POST    /whip/{stream}         offer -> 201, answer, Location, ETag, Link
//	POST    /whep/{stream}[?rid=]  the same to play, and to pick a layer
//	POST    /echo                  the same to get everything back
//	PATCH   /session/{id}          application/trickle-ice-sdpfrag: candidates -> 204,
//	                               or, with If-Match: *, an ICE restart -> 200
//	PATCH   /session/{id}          application/sdp: another offer -> 200, answer
//	DELETE  /session/{id}          -> 200
//	OPTIONS everywhere             CORS and Accept-Post
//
// Errors are application/problem+json (RFC 9457).
//
// It offers no extension of WHIP (server-sent events, layers by PATCH), and
// makes no WHEP counter-offer: a viewer offers.
package whip
