package tiered_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tiercache/tiercache/tiered"
)

// A shelf is a database that refuses writers who were overtaken.
type shelf struct{ *sql.DB }

func newShelf(t *testing.T) shelf {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "shelf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE TABLE product (id TEXT PRIMARY KEY, name TEXT, fence INTEGER)",
		"INSERT INTO product VALUES ('k', 'old', 0)",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return shelf{db}
}

var errOvertaken = errors.New("another write has overtaken this one")

// rename writes under a fence.
func (s shelf) rename(id, name string, f tiered.Fence) error {
	r, err := s.Exec("UPDATE product SET name = ?, fence = ? WHERE id = ? AND fence < ?", name, f.Token, id, f.Token)
	if err != nil {
		return err
	}
	if changed, err := r.RowsAffected(); err != nil || changed > 0 {
		return err
	}
	return tiered.RolledBack(errOvertaken)
}

func (s shelf) name(id string) (name string, err error) {
	err = s.QueryRow("SELECT name FROM product WHERE id = ?", id).Scan(&name)
	return name, err
}

// A writer is suspended for longer than its fence lives. Another one writes. When the
// first goes on it does not heed its context, and the database refuses it: the fence of
// the second is younger, though Redis has lost everything in between.
func TestFenceRefusesWhoWasOvertaken(t *testing.T) {
	db := newShelf(t)
	defer db.Close()
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		write := func(s *site, name string, suspended time.Duration) error {
			_, err := s.Update(t.Context(), "k", func(ctx context.Context, id string) (string, error) {
				fence, ok := tiered.FenceFrom(ctx)
				if deadline, _ := ctx.Deadline(); !ok || fence.Deadline != deadline {
					t.Errorf("fence %+v, %t; the context ends at %v", fence, ok, deadline)
				}
				time.Sleep(suspended)
				return name, db.rename(id, name, fence)
			})
			return err
		}
		late := make(chan error, 1)
		go func() { late <- write(f.sites[0], "late", 2*tiered.DefaultFenceTTL) }()
		time.Sleep(tiered.DefaultFenceTTL + time.Second)
		f.FlushAll()
		time.Sleep(bound)
		if err := write(f.sites[1], "new", 0); err != nil {
			t.Error(err)
		}
		wantError(t, "the late writer", <-late, errOvertaken)
		if name, err := db.name("k"); name != "new" || err != nil {
			t.Errorf("the database has %q, %v, want new", name, err)
		}
	})
}

// Loaders that load for the fleet have a number that grows; others have none.
func TestFenceOfLoaders(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		var last uint64
		var fenced bool
		load := func(ctx context.Context, _ string) (string, error) {
			var fence tiered.Fence
			if fence, fenced = tiered.FenceFrom(ctx); fenced {
				if fence.Token <= last || time.Until(fence.Deadline) != tiered.DefaultLoadTimeout {
					t.Errorf("fence %+v after %d", fence, last)
				}
				last = fence.Token
			}
			return "v", nil
		}
		get := func(want bool, opts ...tiered.Option) {
			t.Helper()
			if _, err := f.sites[0].Get(t.Context(), "k", load, opts...); err != nil {
				t.Fatal(err)
			}
			if fenced != want {
				t.Errorf("fenced: %t, want %t", fenced, want)
			}
		}
		for range 3 {
			get(true)
			if err := f.sites[0].Invalidate(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		get(false, tiered.Bypass())
	})
}
