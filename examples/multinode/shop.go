package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tiercache/tiercache/tiered"
)

// Product is what the shop sells. Version counts the price changes.
type Product struct {
	ID, Name       string
	Cents, Version int64
}

// Ranking is the answer of a slow query; Build counts how often it was asked.
type Ranking struct {
	ID    string
	Build int64
}

// shop is the database: one SQLite file that every process opens for itself.
type shop struct{ db *sql.DB }

const schema = `
CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE rankings (id TEXT PRIMARY KEY, build INTEGER NOT NULL);
CREATE TABLE permissions (id TEXT PRIMARY KEY, allowed INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE orders (shelf TEXT NOT NULL, product TEXT NOT NULL, cents INTEGER NOT NULL, version INTEGER NOT NULL, asked INTEGER NOT NULL);`

// openShop opens the file. The write-ahead log lets readers of all processes go
// on beside a writer; a crash of the machine would not matter here.
func openShop(path string) (*shop, error) {
	pragmas := url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)"},
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return &shop{db}, nil
}

func (s *shop) close() error { return s.db.Close() }

// stock creates the tables and fills the catalogue.
func (s *shop) stock(ctx context.Context, products []Product) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	for _, p := range products {
		if _, err := tx.ExecContext(ctx, "INSERT INTO products VALUES (?, ?, ?, ?)", p.ID, p.Name, p.Cents, p.Version); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *shop) product(ctx context.Context, id string) (Product, error) {
	p := Product{ID: id}
	err := s.db.QueryRowContext(ctx, "SELECT name, cents, version FROM products WHERE id = ?", id).Scan(&p.Name, &p.Cents, &p.Version)
	if errors.Is(err, sql.ErrNoRows) {
		err = tiered.ErrNotFound
	}
	return p, err
}

func (s *shop) products(ctx context.Context, ids []string) ([]Product, error) {
	var list []Product
	for _, id := range ids {
		p, err := s.product(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// setPrice commits a new price and returns the product as stored.
func (s *shop) setPrice(ctx context.Context, id string, cents int64) (Product, error) {
	p := Product{ID: id}
	err := s.db.QueryRowContext(ctx,
		"UPDATE products SET cents = ?, version = version + 1 WHERE id = ? RETURNING name, cents, version", cents, id).
		Scan(&p.Name, &p.Cents, &p.Version)
	return p, err
}

// ranking counts the query; every answer is a new build.
func (s *shop) ranking(ctx context.Context, id string) (Ranking, error) {
	r := Ranking{ID: id}
	err := s.db.QueryRowContext(ctx,
		"INSERT INTO rankings VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET build = build + 1 RETURNING build", id).Scan(&r.Build)
	return r, err
}

// builds is how often the ranking was asked for.
func (s *shop) builds(ctx context.Context, id string) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT build FROM rankings WHERE id = ?", id).Scan(&n)
	return n, err
}

// placeOrder stores an order; asked is when the customer asked for the price.
func (s *shop) placeOrder(ctx context.Context, shelf string, p Product, asked int64) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", shelf, p.ID, p.Cents, p.Version, asked)
	return err
}

// tally of the orders of one product placed after a price change.
type tally struct {
	orders, wrong int64
	late          int64 // wrong, and asked later than the bound after the change
	cents         int64 // charged too little or too much, in sum

	failed int64  // could not be taken at all
	err    string // why one of them, in parentheses
}

// wrongOrders counts the orders that charged an older version than that of the
// change although they were asked after it was committed.
func (s *shop) wrongOrders(ctx context.Context, shelf string, c Change, bound int64) (tally, error) {
	var t tally
	err := s.db.QueryRowContext(ctx, `
		SELECT count(*), coalesce(sum(version < ?), 0), coalesce(sum(version < ? AND asked > ?), 0),
		       coalesce(sum(CASE WHEN version < ? THEN abs(? - cents) ELSE 0 END), 0)
		FROM orders WHERE shelf = ? AND product = ? AND asked > ?`,
		c.Version, c.Version, c.Committed+bound, c.Version, c.Cents, shelf, c.Key, c.Committed).
		Scan(&t.orders, &t.wrong, &t.late, &t.cents)
	return t, err
}

// catalogue is what the shop begins with.
func catalogue() []Product {
	var list []Product
	for _, id := range keys(0, 100) {
		list = append(list, Product{ID: id, Name: "product " + id, Cents: 1900, Version: 1})
	}
	return list
}

// keys are n product ids from the given one on. Every act has its own.
func keys(from, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("p%03d", from+i)
	}
	return list
}
