//go:build !linux

package main

import "syscall"

// dieWithUs has no means on this system: a node ends when its input does, unless it is stopped.
func dieWithUs() *syscall.SysProcAttr { return nil }
