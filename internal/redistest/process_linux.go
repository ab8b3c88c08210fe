package redistest

import "syscall"

// dieWithParent asks the kernel to kill the child when its parent dies, of a panic or of kill -9 too.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
