package main

import "context"

// orderLoad is a stream of customers who order one product.
type orderLoad struct {
	end  context.CancelFunc
	done chan struct{}
	log  OrderLog // read after done
}

func startOrders(n *node, plan OrderPlan) *orderLoad {
	ctx, cancel := context.WithCancel(n.ctx)
	l := &orderLoad{end: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for pause(ctx, plan.Every) == nil {
			if err := order(n, plan); err != nil {
				l.log.Failed++
				l.log.Err = err.Error()
			}
		}
	}()
	return l
}

// order charges what the cache says; the database is not asked for the price.
func order(n *node, plan OrderPlan) error {
	ctx, cancel := context.WithTimeout(n.ctx, callLimit)
	defer cancel()
	asked := now()
	look, err := n.read(plan.Shelf)(ctx, plan.Key)
	if err != nil {
		return err
	}
	return n.shop.placeOrder(ctx, plan.Shelf, Product{ID: plan.Key, Cents: look.Cents, Version: look.Version}, asked)
}

// stop waits for the last order.
func (l *orderLoad) stop() OrderLog {
	l.end()
	<-l.done
	return l.log
}
