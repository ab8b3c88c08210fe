package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A Redis that is not ours loses the keys of this run and no others.
func TestExternalTouchesOnlyItsOwnKeys(t *testing.T) {
	server := redistest.RunEmbedded(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	link, err := newRelay(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer link.close()
	b, err := openBackend(options{redis: server.Addr()}, "demo-1", func() []*relay { return []*relay{link} })
	if err != nil {
		t.Fatal(err)
	}
	fill := func() {
		for _, key := range []string{"demo-1:product:x", "{demo-1}:bus", "demo-1-textbook:x", "demo-12:product:x", "demo:x", "users"} {
			server.Set(key, "v")
		}
	}
	others := []string{"demo-12:product:x", "demo:x", "users"}

	fill()
	if err := errors.Join(b.Crash(), b.Revive(ctx)); err != nil {
		t.Fatal(err)
	}
	if got := server.Keys(); !slices.Equal(got, others) {
		t.Errorf("keys after Revive = %v, want %v", got, others)
	}
	if err := b.Save(); !errors.Is(err, errNoSnapshot) {
		t.Errorf("Save = %v, want errNoSnapshot", err)
	}
	fill()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := server.Keys(); !slices.Equal(got, others) {
		t.Errorf("keys after Close = %v, want %v", got, others)
	}
}

func TestBackendThatIsNotThere(t *testing.T) {
	server, err := redistest.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if b, err := openBackend(options{redis: server.Addr()}, "demo", nil); err == nil || b != nil {
		t.Errorf("openBackend = %v, %v, want an error and no backend", b, err)
	}
}

// An embedded Redis comes back empty, or with what it held at Save.
func TestEmbeddedSnapshot(t *testing.T) {
	b, err := openBackend(options{}, "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	server := b.(*embeddedBackend)
	server.Set("k", "old")
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	server.Set("k", "new")
	if err := errors.Join(b.Crash(), b.ReviveOld()); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Get("k"); err != nil || got != "old" {
		t.Errorf("after ReviveOld k = %q, %v, want old", got, err)
	}
	if err := errors.Join(b.Crash(), b.Revive(context.Background())); err != nil {
		t.Fatal(err)
	}
	if server.Exists("k") {
		t.Error("after Revive there is data")
	}
}
