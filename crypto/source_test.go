package crypto

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is a line of generated assembly.
type instruction struct {
	line  int
	label string // of this line, then nothing else is set
	op    string
	args  []string
}

// assembly is the functions of a file of x86 assembly by name.
func assembly(t *testing.T, source string) map[string][]instruction {
	t.Helper()
	functions := map[string][]instruction{}
	name := ""
	for i, line := range strings.Split(source, "\n") {
		line, _, _ = strings.Cut(line, "//")
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, "TEXT "):
			name = strings.TrimPrefix(text, "TEXT ·")
			name = name[:strings.IndexByte(name, '(')]
		case strings.HasPrefix(text, "DATA ") || strings.HasPrefix(text, "GLOBL "):
		case strings.HasSuffix(text, ":"):
			functions[name] = append(functions[name], instruction{line: i + 1, label: strings.TrimSuffix(text, ":")})
		default:
			op, rest, _ := strings.Cut(text, " ")
			var args []string
			for arg := range strings.SplitSeq(rest, ",") {
				args = append(args, strings.TrimSpace(arg))
			}
			functions[name] = append(functions[name], instruction{line: i + 1, op: op, args: args})
		}
	}
	if len(functions) == 0 {
		t.Fatal("no function found")
	}
	return functions
}

func generated(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) < 3 {
		t.Fatalf("generated files: %v, %v", files, err)
	}
	return files
}

var (
	vector    = regexp.MustCompile(`^[XYZ][0-9]+$`)
	wide      = regexp.MustCompile(`^[YZ][0-9]+$`)
	condition = regexp.MustCompile(`^J[A-Z]+$`)
)

// Whether the upper halves of the vector registers may be dirty.
const (
	upperClean   = iota + 1
	upperForeign // by who called
	upperDirty   // by this function
)

// legacySSE returns what is wrong with the use of legacy SSE in a function: an
// instruction where upper halves may be dirty, which costs hundreds of cycles,
// or a return to Go that leaves them so. It follows every branch.
func legacySSE(code []instruction) (faults []string) {
	at := map[string]int{}
	for i, in := range code {
		if in.label != "" {
			at[in.label] = i
		}
	}
	worst := make([]int, len(code)+1)
	type visit struct{ i, state int }
	work := []visit{{0, upperForeign}}
	for len(work) > 0 {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		for v.i < len(code) && worst[v.i] < v.state {
			worst[v.i] = v.state
			in := code[v.i]
			if in.op == "VZEROUPPER" {
				v.state = upperClean
			} else if slices.ContainsFunc(in.args, wide.MatchString) {
				v.state = upperDirty
			}
			v.i++
			if condition.MatchString(in.op) {
				work = append(work, visit{at[in.args[0]], v.state})
				if in.op == "JMP" {
					break
				}
			}
			if in.op == "RET" {
				break
			}
		}
	}
	for i, in := range code {
		legacy := in.op != "" && in.op[0] != 'V' && in.op[0] != 'K' && slices.ContainsFunc(in.args, vector.MatchString)
		if legacy && worst[i] > upperClean {
			faults = append(faults, fmt.Sprintf("line %d: %s beside upper halves that may be dirty", in.line, in.op))
		}
		if in.op == "RET" && worst[i] == upperDirty {
			faults = append(faults, fmt.Sprintf("line %d: returns without VZEROUPPER", in.line))
		}
	}
	return faults
}

func TestNoLegacySSEBesideDirtyUpperHalves(t *testing.T) {
	legacy := false
	for _, file := range generated(t) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		legacy = legacy || strings.Contains(string(raw), "SHA1RNDS4")
		for name, code := range assembly(t, string(raw)) {
			for _, fault := range legacySSE(code) {
				t.Errorf("%s: %s: %s", file, name, fault)
			}
		}
	}
	if !legacy {
		t.Error("the only legacy instructions, those of SHA-1, are not found")
	}
}

// The twin: each fault is seen.
func TestLegacySSEBesideDirtyUpperHalvesIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		faults int
		body   string
	}{
		"clean":            {0, "VZEROUPPER\nSHA1MSG1 X0, X1\nVPXOR X0, X0, X0\nRET"},
		"from the caller":  {1, "SHA1MSG1 X0, X1\nRET"},
		"after a ymm":      {1, "VZEROUPPER\nVPXOR Y0, Y0, Y0\nSHA1MSG1 X0, X1\nVZEROUPPER\nRET"},
		"around a loop":    {1, "VZEROUPPER\nloop:\nSHA1MSG1 X0, X1\nVPXOR Z0, Z0, Z0\nJNE loop\nVZEROUPPER\nRET"},
		"behind a jump":    {1, "VZEROUPPER\nVPXOR Y0, Y0, Y0\nJE there\nVZEROUPPER\nthere:\nMOVOU X0, X1\nVZEROUPPER\nRET"},
		"no jump leads on": {0, "VZEROUPPER\nJMP there\nVPXOR Y0, Y0, Y0\nthere:\nMOVOU X0, X1\nRET"},
		"return":           {1, "VPXOR Y0, Y0, Y0\nRET"},
		"one of two ways":  {1, "TESTQ AX, AX\nJE end\nVPXOR Y0, Y0, Y0\nend:\nRET"},
		"scalar":           {0, "MOVQ AX, BX\nKMOVQ AX, K1\nRET"},
	} {
		code := assembly(t, "TEXT ·f(SB), NOSPLIT, $0-8\n"+c.body)["f"]
		if faults := legacySSE(code); len(faults) != c.faults {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

// Class 49: the kernels compare all of a tag at once. Between the comparison
// and the byte it sets nothing branches, and no branch reads the flags after.
func TestClass49_KernelsCompareTagsInConstantTime(t *testing.T) {
	raw, err := os.ReadFile("aesgcm_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	opens := 0
	for name, code := range assembly(t, string(raw)) {
		if strings.HasPrefix(name, "gcmOpen") {
			opens++
			if fault := tagFault(code); fault != "" {
				t.Errorf("%s: %s", name, fault)
			}
		}
	}
	if opens != 3 {
		t.Errorf("%d kernels open", opens)
	}
}

// tagFault says why a kernel may tell where a tag was wrong.
func tagFault(code []instruction) string {
	compares := 0
	for i, in := range code {
		if in.op != "VPTEST" && !strings.HasPrefix(in.op, "VPCMP") && !strings.HasPrefix(in.op, "VPMOVMSK") {
			continue
		}
		compares++
		switch {
		case in.op != "VPTEST" || in.args[0] != in.args[1]:
			return fmt.Sprintf("line %d: %s does not look at a whole vector", in.line, in.op)
		case i+1 == len(code) || code[i+1].op != "SETEQ":
			return fmt.Sprintf("line %d: what follows is not SETEQ", in.line)
		}
		for _, next := range code[i+2:] {
			if condition.MatchString(next.op) && next.op != "JMP" {
				return fmt.Sprintf("line %d: a branch on the outcome", next.line)
			}
			if strings.HasPrefix(next.op, "ADD") || strings.HasPrefix(next.op, "DEC") || next.op == "RET" {
				break // other flags
			}
		}
	}
	if compares != 1 {
		return fmt.Sprintf("%d comparisons of vectors", compares)
	}
	return ""
}

// The twin.
func TestClass49_ABranchOnATagIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		right bool
		body  string
	}{
		"whole":      {true, "VPTEST X1, X1\nSETEQ 96(R8)\nADDQ $104, R8\nJNE loop\nRET"},
		"branch":     {false, "VPTEST X1, X1\nJNE loop\nRET"},
		"then":       {false, "VPTEST X1, X1\nSETEQ 96(R8)\nJNE loop\nRET"},
		"byte masks": {false, "VPCMPEQB X1, X2, X3\nVPMOVMSKB X3, AX\nRET"},
		"parts":      {false, "VPTEST X1, X1\nSETEQ AX\nVPTEST X2, X2\nSETEQ BX\nADDQ AX, BX\nRET"},
		"none":       {false, "RET"},
	} {
		fault := tagFault(assembly(t, "TEXT ·f(SB), NOSPLIT, $0-8\n"+c.body)["f"])
		if (fault == "") != c.right {
			t.Errorf("%s: %q", name, fault)
		}
	}
}

// Class 49, in Go: whatever sets the OK of an opened job is crypto/subtle, the
// standard library's Open or a constant, and nothing else compares bytes.
func TestClass49_GoComparesTagsInConstantTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range compareFaults(t, string(raw)) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

func compareFaults(t *testing.T, source string) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "f.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range file.Imports {
		if path := strings.Trim(imp.Path.Value, `"`); path == "bytes" || path == "slices" {
			faults = append(faults, "imports "+path+", which compares as fast as it can")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for i, left := range a.Lhs {
			if s, ok := left.(*ast.SelectorExpr); !ok || s.Sel.Name != "OK" {
				continue
			}
			right := source[a.Rhs[i].Pos()-1 : a.Rhs[i].End()-1]
			if right != "true" && right != "false" && right != "err == nil" &&
				!strings.HasPrefix(right, "subtle.ConstantTimeCompare(") && !strings.HasPrefix(right, "subtle.ConstantTimeEq(") {
				faults = append(faults, "OK is set to "+right)
			}
		}
		return true
	})
	return faults
}

// The twin.
func TestClass49_AFastComparisonIsSeen(t *testing.T) {
	for body, faults := range map[string]int{
		"import \"crypto/subtle\"\nfunc f(j *J) { j.OK = subtle.ConstantTimeCompare(a, b) == 1 }": 0,
		"import \"crypto/subtle\"\nfunc f(j *J) { j.OK = subtle.ConstantTimeEq(a, 0) == 1 }":      0,
		"func f(j *J) { j.OK = a^b == 0 }":                            1,
		"import \"bytes\"\nfunc f(j *J) { j.OK = bytes.Equal(a, b) }": 2,
		"func f(j *J) { j.OK = [10]byte(a) == [10]byte(b) }":          1,
	} {
		if got := compareFaults(t, "package p\n"+body); len(got) != faults {
			t.Errorf("%s: %v", body, got)
		}
	}
}
