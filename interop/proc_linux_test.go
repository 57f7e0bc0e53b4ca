package interop

import (
	"os/exec"
	"syscall"
)

// endWithParent ends a child when the test binary dies without cleaning up.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}

// killGroup ends a browser whose driver could not.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
