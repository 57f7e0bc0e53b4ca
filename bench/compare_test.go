package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRegressionsAreOfRatiosAgainstTheSamePeer(t *testing.T) {
	row := func(kase, version string, value, ratio float64) Row {
		return Row{Scenario: "srtp", Case: kase, Peer: "p", PeerVersion: version, Value: value, Ratio: ratio}
	}
	old := []Row{row("same", "1", 10, 2), row("slower", "1", 10, 2), row("noise", "1", 10, 2), row("peer", "1", 10, 2), {Scenario: "srtp", Case: "was", Peer: "p", Skipped: "why"}}
	fresh := []Row{
		row("same", "1", 40, 2), // another machine
		row("slower", "1", 10, 1.5),
		row("noise", "1", 10, 1.7),
		row("peer", "2", 10, 1), // the peer got better
		{Scenario: "srtp", Case: "was", Peer: "p", Ratio: 1},
		row("new", "1", 1, 0.1),
	}
	list, compared := regressions(old, fresh)
	if compared != 3 || len(list) != 1 || list[0].fresh.Case != "slower" || list[0].change != -0.25 {
		t.Fatalf("%d compared, %+v", compared, list)
	}
}

func TestCompareCommand(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"good.json": `[{"scenario":"srtp","case":"a","version":"1","peer":"p","ratio":2}]`,
		"bad.json":  `[{"scenario":"srtp","case":"a","version":"2","peer":"p","ratio":1}]`,
		"not.json":  `{`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"good.json good.json", 0, "1 rows compared, 0 worse"},
		{"good.json bad.json", 1, "srtp/a against p: 1.00x was 2.00x (-50 %)"},
		{"bad.json good.json", 0, "0 worse"},
		{"good.json not.json", 2, "not.json"},
		{"good.json none.json", 2, "none.json"},
		{"good.json", 2, "OLD and NEW"},
	} {
		args := []string{"compare"}
		for _, name := range strings.Fields(c.args) {
			args = append(args, filepath.Join(dir, name))
		}
		var out, errs bytes.Buffer
		if status := bench(args, &out, &errs); status != c.status || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%s: status %d, %s%s", c.args, status, &out, &errs)
		}
	}
}
