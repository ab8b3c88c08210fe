package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/tiercache/tiercache/coherence"
)

// handOut returns what the caller gets for a stored value.
func (c *Cache[V]) handOut(v V) (V, error) {
	if c.cfg.Clone != nil {
		return c.clone(v)
	}
	return v, nil
}

// takeIn returns what the tiers keep of what a loader or writer has returned: its owner
// may go on using it.
func (c *Cache[V]) takeIn(v V, err error) (V, error) {
	if c.cfg.Clone != nil && err == nil {
		return c.clone(v)
	}
	return v, err
}

// takeAll is takeIn for the values of keys.
func (c *Cache[V]) takeAll(keys []string, values map[string]V, err error) (map[string]V, error) {
	if c.cfg.Clone == nil || err != nil {
		return values, err
	}
	taken := make(map[string]V, len(keys))
	for _, key := range keys {
		if v, ok := values[key]; ok {
			if taken[key], err = c.clone(v); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}

func (c *Cache[V]) clone(v V) (V, error) {
	return hooked(c, "Config.Clone", func(context.Context) (V, error) { return c.cfg.Clone(v), nil })
}

// hooked calls a function of the application. Its panic is counted, told once, and an
// error: it takes neither the process nor anybody else's read along.
func hooked[V, T any](c *Cache[V], name string, fn func(context.Context) (T, error)) (T, error) {
	v, err := guarded(context.Background(), fn)
	var p *PanicError
	if !errors.As(err, &p) {
		return v, err
	}
	c.counts.panics.Add(1)
	if _, told := c.accused.LoadOrStore(name, nil); !told {
		c.node.Report(coherence.Event{Kind: coherence.EventPanic, Space: c.cfg.Name, Note: name + " panicked", Err: withoutValues(p.Value)})
	}
	return v, err
}

// withoutValues says what a panic was about: events hold no values.
func withoutValues(p any) error {
	if err, ok := p.(runtime.Error); ok {
		return err
	}
	return fmt.Errorf("panic of type %T", p)
}
