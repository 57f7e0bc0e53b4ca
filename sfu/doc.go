// Package sfu forwards media from publishers to viewers: a selective
// forwarding unit to embed.
//
//	s := sfu.New(sfu.Config{})
//	session, answer, err := s.Publish(ctx, "lobby", offer)
//	session, answer, err = s.Play(ctx, "lobby", offer, "")
//
// A stream is a name with one publisher and any number of viewers. A Session
// is one peer's PeerConnection; it ends when it is closed, when its connection
// fails (consent is lost, RFC 7675), or when it does not connect in time.
// There is no goroutine per session.
//
// Descriptions are text, so that any signalling can carry them; package whip
// does it over HTTP. All candidates are inside an answer.
//
// When a publisher leaves, its viewers stay for Config.PublisherGrace: the
// publisher who comes back under the name in this time, with the same formats,
// continues on their screens. Afterwards the viewers end.
//
// It mixes nothing, transcodes nothing, and does not renegotiate with a viewer
// on its own: one who wants the tracks a publisher added later offers again.
package sfu
