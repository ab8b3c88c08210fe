//go:build !linux

package redistest

import "syscall"

// dieWithParent has no means on this system: a panic of the test leaves its servers behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
