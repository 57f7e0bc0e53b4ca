package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A worker is a program that works on request, one case at a time: a line asks,
// a line of JSON answers.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err tail
}

type workerAnswer struct {
	Missing bool    `json:"missing"` // the program does not know the case
	Result  string  `json:"result"`
	NS      float64 `json:"ns"`
	Error   string  `json:"error"`
}

func startWorker(cmd *exec.Cmd) (w *worker, err error) {
	w = &worker{cmd: cmd}
	cmd.Stderr = &w.err
	if w.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	return w, cmd.Start()
}

func (w *worker) ask(line []byte) (a workerAnswer, err error) {
	err = w.call(line, &a)
	if err == nil && a.Error != "" {
		err = errors.New(w.cmd.Args[0] + ": " + a.Error)
	}
	return a, err
}

// call asks and decodes the answer into v.
func (w *worker) call(line []byte, v any) error {
	_, err := w.in.Write(append(line, '\n'))
	var b []byte
	if err == nil {
		b, err = w.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", w.cmd.Args[0], err, w.err.String())
	}
	return nil
}

func (w *worker) stop() {
	w.in.Close()
	kill := time.AfterFunc(5*time.Second, func() { w.cmd.Process.Kill() })
	_ = w.cmd.Wait() // its status is of no interest any more
	kill.Stop()
}

// A rival is a worker that takes turns with contenders of this process.
type rival interface {
	load(kase string, input map[string]string) (workerAnswer, error)
	run(d time.Duration) (ns float64, err error)
	stop()
}

// remote makes a contender of a rival that has loaded its case.
func remote(r rival) contender { return contender{turn: r.run} }

// nativeWorker is one that reads words: a program in C.
type nativeWorker struct{ *worker }

func (w nativeWorker) load(kase string, _ map[string]string) (workerAnswer, error) {
	return w.ask([]byte("load " + strings.ReplaceAll(kase, "/", " ")))
}

func (w nativeWorker) run(d time.Duration) (float64, error) {
	a, err := w.ask(fmt.Appendf(nil, "run %d", d.Nanoseconds()))
	return a.NS, err
}
