package main

import (
	"encoding/json"
	"io"
)

// better says in which direction a value improves.
type better string

const (
	lower  better = "lower"
	higher better = "higher"
)

// A Row is one result: Sluice and one peer in one case. Its JSON is read by
// scripts; fields are added, never changed.
type Row struct {
	Scenario    string  `json:"scenario"`
	Case        string  `json:"case"`
	Unit        string  `json:"unit,omitempty"`
	Better      better  `json:"better,omitempty"`
	Value       float64 `json:"value,omitempty"` // p10 of the rounds where better is lower, p90 where higher
	Version     string  `json:"version"`
	Peer        string  `json:"peer"`
	PeerVersion string  `json:"peer_version,omitempty"`
	PeerValue   float64 `json:"peer_value,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"` // how many times better than the peer
	Rounds      int     `json:"rounds,omitempty"`
	Quick       bool    `json:"quick,omitempty"`  // of a run with -quick: fewer and shorter rounds
	Allocs      *int    `json:"allocs,omitempty"` // per packet or operation, Sluice's
	// Also and PeerAlso are further figures of the same rounds, by name and
	// unit, such as "loss_pct".
	Also     map[string]float64 `json:"also,omitempty"`
	PeerAlso map[string]float64 `json:"peer_also,omitempty"`
	Skipped  string             `json:"skipped,omitempty"` // why there is no value
	terse    bool               // the table leaves Also out
}

// compare fills in value, peer value and ratio from the rounds of both.
func (r *Row) compare(ours, peer []float64) {
	if len(ours) == 0 || len(ours) != len(peer) {
		r.Skipped = "no rounds"
		return
	}
	each := ratios(ours, peer, r.Better)
	if len(each) == 0 {
		r.Skipped = "no round gave a figure above zero"
		return
	}
	p := 10.0
	if r.Better == higher {
		p = 90
	}
	r.Value, r.PeerValue = percentile(ours, p), percentile(peer, p)
	r.Ratio = median(each)
	r.Rounds = len(ours)
}

// writeLines writes one object a line.
func writeLines(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
