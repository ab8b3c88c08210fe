//go:build !unix

package tiercache_test

import "time"

// processTime is not known here: client-cpu-ns/op reads 0.
func processTime() time.Duration { return 0 }
