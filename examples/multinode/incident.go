package main

import (
	"context"
	"fmt"
	"time"
)

// The incident: a price is changed while the shop takes orders, and the link
// between the writer and Redis breaks after the database has committed and
// before the cache could be told.
const (
	orderEvery   = 8 * time.Millisecond   // per node
	linkDown     = 500 * time.Millisecond // how long the writer is cut off
	afterChange  = 2 * time.Second        // how long orders are counted
	beforeChange = 400 * time.Millisecond // all nodes hold the old price by then
)

func playIncident(ctx context.Context, d *director, r *Result) error {
	key := keys(0, 1)[0]
	book, err := d.incident(ctx, r, UpdateArgs{Shelf: shelfTextbook, Key: key, Cents: 2900})
	if err != nil {
		return err
	}
	r.step("textbook: %d of %d orders in %v charged the old price, off by %d.%02d in sum; its TTL of %v would go on so",
		book.wrong, book.orders, afterChange, book.cents/100, book.cents%100, textbookTTL)
	ours, err := d.incident(ctx, r, UpdateArgs{Shelf: shelfPrice, Key: key, Cents: 3900})
	if err != nil {
		return err
	}
	r.step("tiercache: %d of %d orders charged the old price", ours.wrong, ours.orders)
	r.Figures["textbook_orders"], r.Figures["textbook_wrong"] = book.orders, book.wrong
	r.Figures["textbook_wrong_after_bound"], r.Figures["textbook_off_cents"] = book.late, book.cents
	r.Figures["tiercache_orders"], r.Figures["tiercache_wrong"] = ours.orders, ours.wrong
	r.Figures["tiercache_wrong_after_bound"] = ours.late
	r.check(book.wrong > 0, "the fault is real: the textbook charges wrong",
		"%d of %d orders wrong", book.wrong, book.orders)
	r.check(ours.late == 0, fmt.Sprintf("tiercache: no wrong order later than %v", bound),
		"%d of %d orders, and %d within it", ours.late, ours.orders, ours.wrong-ours.late)
	r.Figures["tiercache_orders_failed"] = ours.failed
	r.check(ours.failed == 0, "tiercache: every order is taken", "%d failed%s", ours.failed, ours.err)
	return r.checkAgreed(ctx, d, d.nodes, []string{key})
}

// incident plays the fault on one kind of cache and counts the orders.
func (d *director) incident(ctx context.Context, r *Result, args UpdateArgs) (tally, error) {
	if _, err := all[None](ctx, d.nodes, "StartOrders", OrderPlan{args.Shelf, args.Key, orderEvery}); err != nil {
		return tally{}, err
	}
	if err := d.screen.wait(ctx, beforeChange, nil); err != nil {
		return tally{}, err
	}
	r.step("%s: all nodes take orders; the price becomes %d.%02d, and the writer's link breaks after COMMIT", args.Shelf, args.Cents/100, args.Cents%100)
	change, err := d.cutWriter(ctx, args)
	if err != nil {
		return tally{}, err
	}
	r.step("%s: the link is back; the update came to: %s", args.Shelf, change.Outcome)
	r.Figures[args.Shelf+"_update"] = string(change.Outcome)
	rest := afterChange - time.Duration(now()-change.Committed)
	if err := d.screen.wait(ctx, rest, nil); err != nil {
		return tally{}, err
	}
	logs, err := all[OrderLog](ctx, d.nodes, "StopOrders", None(false))
	if err != nil {
		return tally{}, err
	}
	sum, err := d.shop.wrongOrders(ctx, args.Shelf, change, int64(bound))
	for _, l := range logs {
		sum.failed += l.Failed
		if l.Err != "" {
			sum.err = " (" + l.Err + ")"
		}
	}
	return sum, err
}

// cutWriter runs the update on the first node and cuts its link between the
// commit and the next word to Redis.
func (d *director) cutWriter(ctx context.Context, args UpdateArgs) (Change, error) {
	writer, link := d.nodes[0], d.links[0]
	defer link.mend()
	_, ended, err := holdWriter(ctx, writer, args)
	if err != nil {
		return Change{}, err
	}
	link.sever()
	if _, err := call[None](ctx, writer, "Release", None(false)); err != nil {
		return Change{}, err
	}
	if err := d.screen.wait(ctx, linkDown, nil); err != nil {
		return Change{}, err
	}
	link.mend()
	a := <-ended
	return a.change, a.err
}
