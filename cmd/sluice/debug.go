package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/webrtc"
)

// maxDescribed bounds the sessions of which one answer tells details.
const maxDescribed = 500

// sessionState is what the debug pages show of a session. Its name is the
// connection's, as in the log: the session's id gives power over it.
type sessionState struct {
	ID         string             `json:"id"`
	Role       string             `json:"role"`
	Stream     string             `json:"stream,omitempty"`
	RID        string             `json:"rid,omitempty"`
	Age        float64            `json:"age"` // s
	State      string             `json:"state"`
	ICE        string             `json:"ice"`
	Signaling  string             `json:"signaling"`
	Generation int                `json:"generation"`
	Stats      webrtc.StatsReport `json:"stats,omitempty"`
}

func describe(x *sfu.Session, stats bool) (sessionState, bool) {
	pc := x.PeerConnection()
	if pc == nil {
		return sessionState{}, false
	}
	s := sessionState{
		ID: pc.ID(), Role: x.Role().String(), Stream: x.Stream(), RID: x.RID(), Age: time.Since(x.Created()).Seconds(),
		State: pc.ConnectionState().String(), ICE: pc.ICEConnectionState().String(),
		Signaling: pc.SignalingState().String(), Generation: x.Generation(),
	}
	if stats {
		// A connection that closes meanwhile has none.
		s.Stats, _ = pc.GetStats()
	}
	return s, true
}

func (in *instance) describeAll(stats bool) []sessionState {
	list := []sessionState{}
	for _, x := range in.sfu.Sessions() {
		if s, ok := describe(x, stats); ok && len(list) < maxDescribed {
			list = append(list, s)
		}
	}
	return list
}

// debugSessions counts the sessions, and with ?verbose lists them.
func (in *instance) debugSessions(w http.ResponseWriter, r *http.Request) {
	roles := map[string]int{}
	for _, x := range in.sfu.Sessions() {
		roles[x.Role().String()]++
	}
	v := map[string]any{"sessions": in.sfu.Len(), "roles": roles, "streams": len(in.sfu.Streams())}
	if r.URL.Query().Has("verbose") {
		v["list"] = in.describeAll(false)
	}
	writeJSON(w, http.StatusOK, v)
}

// debugWebRTC is a live page, or what it shows as JSON.
func (in *instance) debugWebRTC(w http.ResponseWriter, r *http.Request) {
	format := r.URL.Query().Get("format")
	if format != "json" && (format != "" || !strings.Contains(r.Header.Get("Accept"), "application/json")) {
		w.Header().Set("Vary", "Accept")
		http.ServeFileFS(w, r, webFiles, "web/debug.html")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Version  string           `json:"version"`
		Uptime   float64          `json:"uptime"` // s
		UDP      string           `json:"udp"`
		Count    int              `json:"count"`
		Streams  []sfu.StreamInfo `json:"streams"`
		Sessions []sessionState   `json:"sessions"`
		Engine   dataplane.Stats  `json:"engine"`
	}{
		version(), time.Since(in.started).Seconds(), in.engine.LocalAddr().String(), in.sfu.Len(),
		in.sfu.Streams(), in.describeAll(true), in.engine.Stats(),
	})
}
