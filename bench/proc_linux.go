package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
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

// spentBy is the same of any process. Its clock counts in nanoseconds what
// /proc counts in ticks of 10 ms.
func spentBy(pid int) time.Duration {
	// The clock of a process, MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of
	// the kernel's include/linux/posix-timers.h.
	clock := ^int32(pid)<<3 | 2
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// wakeupsOf counts how often the threads of a process went to sleep of their
// own accord, which is how often they were woken.
func wakeupsOf(pid int) (n int64) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, task := range tasks {
		b, err := os.ReadFile(dir + "/" + task.Name() + "/status")
		if err == nil { // else it has ended
			n += voluntary(b)
		}
	}
	return n
}

// voluntary reads voluntary_ctxt_switches of proc_pid_status(5).
func voluntary(status []byte) int64 {
	_, rest, _ := bytes.Cut(status, []byte("\nvoluntary_ctxt_switches:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// entries counts those of a directory of a process: task or fd.
func entries(pid int, dir string) int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
	if err != nil {
		return 0
	}
	return len(list)
}

// resident is this process's resident memory in bytes.
func resident() int64 { return residentOf(os.Getpid()) }

func residentOf(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
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
