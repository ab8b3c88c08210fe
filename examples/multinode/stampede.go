package main

import (
	"context"
	"sync"
	"time"
)

// stampede reads one key with all readers at the same time.
func stampede(ctx context.Context, read readFunc, plan HerdPlan) HerdLog {
	took := make([]time.Duration, plan.Readers)
	errs := make([]error, plan.Readers)
	var herd sync.WaitGroup
	for i := range plan.Readers {
		herd.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			if errs[i] = pause(ctx, time.Until(time.Unix(0, plan.At))); errs[i] != nil {
				return
			}
			start := time.Now()
			_, errs[i] = read(ctx, plan.Key)
			took[i] = time.Since(start)
		})
	}
	herd.Wait()
	log := HerdLog{Took: took}
	for _, err := range errs {
		if err != nil {
			log.Errors++
			log.Err = err.Error()
		}
	}
	return log
}
