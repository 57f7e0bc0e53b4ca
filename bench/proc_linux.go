package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// spent is the processor time, user and system, of this process so far.
func spent() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is this process's resident memory in bytes.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// halves splits the processors this process may use between a server and its
// load. With one alone, both get it.
func halves() (server, load unix.CPUSet) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return all, all
	}
	n := all.Count()
	if n < 2 {
		return all, all
	}
	for cpu, seen := 0, 0; seen < n; cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if seen++; seen <= n/2 {
			server.Set(cpu)
		} else {
			load.Set(cpu)
		}
	}
	return server, load
}

// pinned runs f, which starts a process, on a thread that may use cpus alone:
// the process inherits that.
func pinned(cpus unix.CPUSet, f func() error) error {
	if cpus.Count() == 0 {
		return f()
	}
	errs := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, its affinity too.
		runtime.LockOSThread()
		err := unix.SchedSetaffinity(0, &cpus)
		if err != nil {
			err = fmt.Errorf("sched_setaffinity: %w", err)
		} else {
			err = f()
		}
		errs <- err
	}()
	return <-errs
}
