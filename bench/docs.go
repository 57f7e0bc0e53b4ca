package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Documents quote figures in two ways, both checked by a test:
//
//	<!-- bench VERSION: SCENARIO/CASE SCENARIO/CASE ... -->
//	(a table that `bench report` writes)
//	<!-- bench end -->
//
// and, within a sentence, 4.2x<!-- VERSION SCENARIO/CASE PEER -->. The version
// "latest" is the newest saved result.
var (
	tableMark = regexp.MustCompile(`(?s)<!-- bench (\S+): ([^>]*?) -->\n.*?<!-- bench end -->`)
	quoteMark = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)x(?:<!-- (\S+) (\S+) (\S+) -->)?`)
)

// renewDocuments rewrites the tables of all documents below root and returns
// the names of those that changed.
func renewDocuments(root string, all []Result) (changed []string, err error) {
	names, err := documents(root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		old, err := os.ReadFile(name)
		if err != nil {
			return changed, err
		}
		fresh, err := renewTables(old, all)
		if err != nil {
			return changed, fmt.Errorf("%s: %w", name, err)
		}
		if bytes.Equal(old, fresh) {
			continue
		}
		if err := os.WriteFile(name, fresh, 0o644); err != nil {
			return changed, err
		}
		changed = append(changed, name)
	}
	return changed, nil
}

// documents are the Markdown files below root, without those of installed
// packages.
func documents(root string) (names []string, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && name != root)):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".md"):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

func renewTables(doc []byte, all []Result) ([]byte, error) {
	var failed error
	fresh := tableMark.ReplaceAllFunc(doc, func(block []byte) []byte {
		m := tableMark.FindSubmatch(block)
		head, _, _ := strings.Cut(string(block), "\n")
		text, err := figuresTable(all, string(m[1]), strings.Fields(string(m[2])))
		if err != nil {
			failed = err
			return block
		}
		return []byte(head + "\n" + text + "<!-- bench end -->")
	})
	return fresh, failed
}

// figuresTable is Markdown: a line a case, a column a peer.
func figuresTable(all []Result, version string, paths []string) (string, error) {
	res, err := resultOf(all, version)
	if err != nil {
		return "", err
	}
	var peers []string
	rows := map[string][]Row{}
	for _, path := range paths {
		for _, r := range res.Rows {
			if r.Scenario+"/"+r.Case != path || r.Skipped != "" {
				continue
			}
			rows[path] = append(rows[path], r)
			if name := r.Peer + " " + r.PeerVersion; !slices.Contains(peers, name) {
				peers = append(peers, name)
			}
		}
		if rows[path] == nil {
			return "", fmt.Errorf("result %s has no figures of %s", res.Version, path)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| | Sluice %s | %s |\n|---|---%s|\n", res.Version, strings.Join(peers, " | "), strings.Repeat("|---", len(peers)))
	for _, path := range paths {
		first := rows[path][0]
		fmt.Fprintf(&b, "| `%s` | %s %s |", path, figure(first.Value), first.Unit)
		for _, peer := range peers {
			cell := " "
			for _, r := range rows[path] {
				if r.Peer+" "+r.PeerVersion == peer {
					cell = fmt.Sprintf(" %.2gx ", r.Ratio)
					if r.Ratio >= 10 {
						cell = fmt.Sprintf(" %.0fx ", r.Ratio)
					}
				}
			}
			b.WriteString(cell + "|")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%s.\n", res.Host)
	return b.String(), nil
}

func resultOf(all []Result, version string) (Result, error) {
	if version == "latest" && len(all) > 0 {
		return all[len(all)-1], nil
	}
	for _, res := range all {
		if res.Version == version {
			return res, nil
		}
	}
	return Result{}, fmt.Errorf("no saved result %s", version)
}

// unbacked lists the ratios of a document that stand in no table and that no
// row of a saved result backs: the rounded ratio must be the row's.
func unbacked(doc string, all []Result) (list []string) {
	prose := tableMark.ReplaceAllString(doc, "")
	for _, m := range quoteMark.FindAllStringSubmatchIndex(prose, -1) {
		if end := m[1]; end < len(prose) && isWord(prose[end]) || m[0] > 0 && isWord(prose[m[0]-1]) {
			continue // 1x50, 0x1f
		}
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return prose[m[2*i]:m[2*i+1]]
		}
		if !backed(group(1), group(2), group(3), group(4), all) {
			list = append(list, prose[m[0]:m[1]])
		}
	}
	return list
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func backed(text, version, path, peer string, all []Result) bool {
	res, err := resultOf(all, version)
	if err != nil {
		return false
	}
	_, decimals, _ := strings.Cut(text, ".")
	for _, r := range res.Rows {
		if r.Scenario+"/"+r.Case == path && r.Peer == peer && r.Skipped == "" {
			return strconv.FormatFloat(r.Ratio, 'f', len(decimals), 64) == text
		}
	}
	return false
}
