package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A foreign is a server that is no child of the harness's kind: a child of
// ours starts it and translates.
type foreign struct {
	cmd  *exec.Cmd
	errs tail
	gone chan struct{} // closed when it has ended
}

// startForeign runs a program on the processors of list, which it gets from
// the parent by its own arguments, until this process ends.
func startForeign(list string, cmd *exec.Cmd) (*foreign, error) {
	cpus, err := parseCPUs(list)
	if err != nil {
		return nil, err
	}
	f := &foreign{cmd: cmd, gone: make(chan struct{})}
	if n := cpus.Count(); n > 0 {
		cmd.Env = append(append(os.Environ(), cmd.Env...), fmt.Sprintf("GOMAXPROCS=%d", n))
	}
	cmd.Stdout, cmd.Stderr = &f.errs, &f.errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs := make(chan error)
	go func() {
		// Pdeathsig is about this thread, which therefore lives as long as the
		// process does.
		runtime.LockOSThread()
		if cpus.Count() > 0 {
			if err := unix.SchedSetaffinity(0, &cpus); err != nil {
				errs <- fmt.Errorf("sched_setaffinity: %w", err)
				return
			}
		}
		err := cmd.Start()
		errs <- err
		if err == nil {
			_ = cmd.Wait() // what it says is in errs
			close(f.gone)
		}
		select {}
	}()
	return f, <-errs
}

// pin moves all threads of the program to the processors of list; those that
// they start later go there too.
func (f *foreign) pin(list string) error {
	cpus, err := parseCPUs(list)
	if err != nil || cpus.Count() == 0 {
		return err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", f.pid()))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &cpus); err != nil {
			return fmt.Errorf("sched_setaffinity: %w", err)
		}
	}
	return nil
}

// end kills the program and waits for that.
func (f *foreign) end() {
	_ = f.cmd.Process.Kill() // it may be gone
	<-f.gone
}

// ended tells what the program said if it has ended.
func (f *foreign) ended() error {
	select {
	case <-f.gone:
		return fmt.Errorf("%s ended: %s", f.cmd.Args[0], f.errs.String())
	default:
		return nil
	}
}

func (f *foreign) pid() int { return f.cmd.Process.Pid }

func (f *foreign) counters() map[string]float64 { return nil }

// listCPUs writes a set as parseCPUs reads it: "0,2"; empty: any.
func listCPUs(set unix.CPUSet) string {
	var list []string
	for cpu, left := 0, set.Count(); left > 0; cpu++ {
		if set.IsSet(cpu) {
			list = append(list, fmt.Sprint(cpu))
			left--
		}
	}
	return strings.Join(list, ",")
}

func parseCPUs(list string) (set unix.CPUSet, err error) {
	if list == "" {
		return set, nil
	}
	for text := range strings.SplitSeq(list, ",") {
		var cpu int
		if _, err := fmt.Sscan(text, &cpu); err != nil {
			return set, fmt.Errorf("processors %q: %w", list, err)
		}
		set.Set(cpu)
	}
	return set, nil
}

// freePort finds a TCP port of the loopback network that nobody has now.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
