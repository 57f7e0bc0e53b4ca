package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// children are the hidden names under which the binary runs again.
var children = map[string]func() (http.Handler, error){
	"serve-sluice":       func() (http.Handler, error) { return newServer(newSluiceSFU()) },
	"serve-pion":         func() (http.Handler, error) { return newServer(newPionSFU(true)) },
	"serve-pion-mux":     func() (http.Handler, error) { return newServer(newPionMux()) },
	"serve-pion-bare":    func() (http.Handler, error) { return newServer(newPionSFU(false)) },
	"serve-floor-gso":    func() (http.Handler, error) { return newServer(newFloorGSO()) },
	"serve-floor-sendto": func() (http.Handler, error) { return newServer(newFloorSendto()) },
	"load":               newLoadHandler,
	"memory-sluice":      func() (http.Handler, error) { return newMemoryHandler(newSluiceStack()) },
	"memory-pion":        func() (http.Handler, error) { return newMemoryHandler(newPionStack()) },
	"connect-sluice":     func() (http.Handler, error) { return newConnector(newSluiceEnds()) },
	"connect-sped":       func() (http.Handler, error) { return newConnector(newSpedEnds()) },
	"connect-pion":       func() (http.Handler, error) { return newConnector(newPionEnds()) },
	"pairs-sluice":       func() (http.Handler, error) { return newPairs(newSluiceStack()) },
	"pairs-pion":         func() (http.Handler, error) { return newPairs(newPionStack()) },
}

// adapters are children that put a program which is not ours behind the face
// of newServer. They take arguments, the processors of that program first.
var adapters = map[string]func(args []string) (http.Handler, error){
	"serve-livekit": func(args []string) (http.Handler, error) { return newServer(newLivekitSFU(args)) },
	"serve-janus":   func(args []string) (http.Handler, error) { return newServer(newJanusSFU(args)) },
}

// runChild runs a child of that name until its standard input ends, as it does
// when the parent is gone.
func runChild(name string, args []string) bool {
	make, ok := children[name]
	if adapter := adapters[name]; adapter != nil {
		make, ok = func() (http.Handler, error) { return adapter(args) }, true
	}
	if !ok {
		return false
	}
	h, err := make()
	var l net.Listener
	if err == nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
		os.Exit(1)
	}
	go http.Serve(l, h)
	fmt.Printf("http://%s\n", l.Addr())
	io.Copy(io.Discard, os.Stdin)
	return true
}

// A child is a process that answers HTTP.
type child struct {
	name  string
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
	errs  tail
}

func spawn(name string, cpus unix.CPUSet, args ...string) (*child, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: name}
	if name == "serve-"+basePeer {
		binary, name = os.Getenv(baseBinary), "serve-sluice"
	}
	c.cmd = exec.Command(binary, append([]string{name}, args...)...)
	if n := cpus.Count(); n > 0 {
		c.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", n))
	}
	return c, c.start(cpus)
}

// start runs the command and waits for its first line, the URL.
func (c *child) start(cpus unix.CPUSet) error {
	c.cmd.Stderr = &c.errs
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := pinned(cpus, c.cmd.Start); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.stdin = in
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.stop()
		return fmt.Errorf("%s did not start: %s", c.name, c.errs.String())
	}
	c.url = strings.TrimSpace(line)
	return nil
}

// stop ends the process, by force if it does not go.
func (c *child) stop() {
	c.stdin.Close()
	kill := time.AfterFunc(5*time.Second, func() { c.cmd.Process.Kill() })
	_ = c.cmd.Wait() // its status is of no interest any more
	kill.Stop()
}

// call posts to a path of the child's and decodes its JSON into v, if any.
func (c *child) call(ctx context.Context, path string, query url.Values, v any) error {
	fail := func(err error) error {
		if said := c.errs.String(); said != "" {
			return fmt.Errorf("%s: %w; it said: %s", c.name, err, said)
		}
		return fmt.Errorf("%s: %w", c.name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fail(err)
	}
	if res.StatusCode/100 != 2 {
		return fail(errors.New(string(bytes.TrimSpace(b))))
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(b, v)
}

// handle makes a handler of a function whose result goes out as JSON.
func handle[T any](f func(r *http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}
