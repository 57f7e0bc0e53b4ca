package layers

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SECURITY.md names the tests of each failure class; it must name the ones
// that exist, all of them.
func TestSecurityNamesTheTestsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`TestClass\d\w*`).FindAllString(string(text), -1) {
		named[name] = true
	}
	declared := regexp.MustCompile(`(?m)^func (TestClass\d\w*)\(`)
	exist := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
			exist[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		if !exist[name] {
			t.Errorf("SECURITY.md names %s, which does not exist", name)
		}
	}
	for name := range exist {
		if !named[name] {
			t.Errorf("SECURITY.md does not name %s", name)
		}
	}
}
