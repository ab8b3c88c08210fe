package main

import "syscall"

// dieWithUs asks the kernel to kill the child when this process dies, a stopped one too.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
