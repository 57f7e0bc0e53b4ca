// Command perf2pprof turns what `perf script` prints into a pprof profile, so
// that kernel and program are seen in one flame graph:
//
//	perf script -i perf.data -F comm,tid,ip,sym,dso | go run ./bench/perf2pprof > perf.pprof
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

func main() {
	p, err := convert(os.Stdin)
	if err == nil {
		err = p.Write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "perf2pprof:", err)
		os.Exit(1)
	}
}

// converter gathers samples. Equal stacks become one sample.
type converter struct {
	p         *profile.Profile
	locations map[string]*profile.Location
	samples   map[string]*profile.Sample
}

// convert reads blocks of lines: who was interrupted, then the stack from its
// innermost frame outwards, each frame behind a tab or spaces, then an empty
// line.
func convert(r io.Reader) (*profile.Profile, error) {
	c := &converter{
		p:         &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}},
		locations: map[string]*profile.Location{}, samples: map[string]*profile.Sample{},
	}
	var comm string
	var stack []*profile.Location
	flush := func() {
		if len(stack) > 0 {
			c.add(comm, stack)
		}
		stack = nil
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			l, err := c.location(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			stack = append(stack, l)
		default:
			flush()
			comm = strings.Fields(line)[0]
		}
	}
	flush()
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(c.p.Sample) == 0 {
		return nil, fmt.Errorf("no samples: was perf record run with -g?")
	}
	return c.p, c.p.CheckValid()
}

// location reads "ffffffff8104d1a0 __ip_append_data (...)": address, symbol, and
// in brackets the file it is from. A symbol that perf does not know stands as
// the file's name.
func (c *converter) location(line string) (*profile.Location, error) {
	address, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if _, err := strconv.ParseUint(address, 16, 64); err != nil {
		return nil, fmt.Errorf("%q does not begin with an address", line)
	}
	name, file := rest, ""
	if at := strings.LastIndex(rest, " ("); at >= 0 && strings.HasSuffix(rest, ")") {
		name, file = rest[:at], rest[at+2:len(rest)-1]
	}
	if at := strings.LastIndex(name, "+0x"); at > 0 {
		name = name[:at]
	}
	if name = strings.TrimSpace(name); name == "" || name == "[unknown]" {
		name = "[" + strings.Trim(file, "[]") + "]"
	}
	if l := c.locations[name]; l != nil {
		return l, nil
	}
	f := &profile.Function{ID: uint64(len(c.p.Function) + 1), Name: name, SystemName: name, Filename: file}
	l := &profile.Location{ID: uint64(len(c.p.Location) + 1), Line: []profile.Line{{Function: f}}}
	c.p.Function, c.p.Location = append(c.p.Function, f), append(c.p.Location, l)
	c.locations[name] = l
	return l, nil
}

func (c *converter) add(comm string, stack []*profile.Location) {
	var key strings.Builder
	key.WriteString(comm)
	for _, l := range stack {
		fmt.Fprintf(&key, " %d", l.ID)
	}
	s := c.samples[key.String()]
	if s == nil {
		s = &profile.Sample{Location: stack, Value: []int64{0}, Label: map[string][]string{"comm": {comm}}}
		c.samples[key.String()] = s
		c.p.Sample = append(c.p.Sample, s)
	}
	s.Value[0]++
}
