package coherence

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// clients are the connections of a node. data carries reads, writes and
// announcements: the user's client, or a copy of it that obeys contexts.
// control carries the probe on connections of its own: a pool under load must
// not cost the lease.
type clients struct {
	data    redis.UniversalClient
	control redis.UniversalClient
	copied  bool // data is a copy, ours to close

	// lease is how long a probe proves the node in step: MaxStale, but half of
	// it behind Sentinels. See followSentinels.
	lease time.Duration
}

// watcher puts a monitor on connections that are made anew.
type watcher func(onConnect, dialer) (onConnect, dialer)

// open checks the user's client and derives the node's connections from it.
func open(rdb redis.UniversalClient, cfg Config, watch watcher) (clients, error) {
	switch c := rdb.(type) {
	case *redis.Client:
		if c != nil {
			return openClient(c, cfg, watch)
		}
	case *redis.ClusterClient:
		if c != nil {
			return openCluster(c, cfg, watch)
		}
	case *redis.Ring:
		return clients{}, errors.New("coherence.Join: *redis.Ring is refused: its shards share no history; use a Cluster client")
	case nil:
	default:
		return clients{}, fmt.Errorf("coherence.Join: %T is not a *redis.Client or *redis.ClusterClient", rdb)
	}
	return clients{}, errors.New("coherence.Join: the Redis client is nil")
}

var errClientCache = errors.New("coherence.Join: the client caches replies itself (ClientSideCache), which this node could not invalidate; switch it off")

func openClient(c *redis.Client, cfg Config, watch watcher) (clients, error) {
	if c.Options().ClientSideCache != nil || c.Options().ClientSideCacheConfig != nil {
		return clients{}, errClientCache
	}
	o := *c.Options()
	o.MaintNotificationsConfig = copied(o.MaintNotificationsConfig)
	o.ContextTimeoutEnabled = true
	cs := clients{data: c, lease: cfg.MaxStale}
	if !c.Options().ContextTimeoutEnabled {
		d := o
		d.PushNotificationProcessor = nil
		keepZero(&d.MaxRetries, &d.ReadTimeout, &d.WriteTimeout, &d.MinRetryBackoff, &d.MaxRetryBackoff)
		if c.Options().Addr == sentinelAddr {
			followSentinels(&d, cfg.MaxStale)
		}
		cs.data, cs.copied = redis.NewClient(&d), true
	}
	o.OnConnect, o.Dialer = watch(o.OnConnect, o.Dialer)
	o.Limiter, o.AutoPipelineOptions, o.PushNotificationProcessor = nil, nil, nil
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize = controlPool, 0, 1, 0, -1
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
	if o.Addr == sentinelAddr {
		followSentinels(&o, cfg.MaxStale)
		o.DialTimeout = min(o.DialTimeout, cfg.MaxStale/4)
		cs.lease = cfg.MaxStale / 2
	}
	cs.control = redis.NewClient(&o)
	return cs, nil
}

func openCluster(c *redis.ClusterClient, cfg Config, watch watcher) (clients, error) {
	u := c.Options()
	if cfg.Warm > 0 {
		return clients{}, errors.New("coherence.Config.Warm: the shards of a Cluster fail over apart from the bus, so that nothing can be kept for certain")
	}
	if u.ReadOnly || u.RouteByLatency || u.RouteRandomly {
		return clients{}, errors.New("coherence.Join: reads from replicas are refused (ReadOnly, RouteByLatency, RouteRandomly): a replica lags behind")
	}
	o := *u
	o.MaintNotificationsConfig = copied(o.MaintNotificationsConfig)
	o.ContextTimeoutEnabled = true
	cs := clients{data: c, lease: cfg.MaxStale}
	if !u.ContextTimeoutEnabled {
		d := o
		keepZero(&d.MaxRetries, &d.ReadTimeout, &d.WriteTimeout, &d.MinRetryBackoff, &d.MaxRetryBackoff)
		cs.data, cs.copied = redis.NewClusterClient(&d), true
	}
	o.OnConnect, o.Dialer = watch(o.OnConnect, o.Dialer)
	o.AutoPipelineOptions = nil
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize = controlPool, 0, 1, 0, -1
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
	o.ClusterStateReloadInterval = min(o.ClusterStateReloadInterval, clusterReload)
	cs.control = redis.NewClusterClient(&o)
	return cs, nil
}

// clusterReload is how often both clients of a Cluster look for masters that have
// moved. By itself the user's would stay on a dead one for a minute.
const clusterReload = time.Second

// sentinelAddr is what go-redis calls the server of a client that asks Sentinels.
const sentinelAddr = "FailoverClient"

// followSentinels makes a copy of a Sentinel client ask for the master often.
// After a failover go-redis closes the connections of the user's client, but not
// those of a copy, and the old master may live on, unaware, for ten seconds:
// probes would go on finding it in step with itself.
//
// The probe's connections live for a quarter of MaxStale, dialling takes at most
// another, and the lease is half of it, so that a hit is at most MaxStale later
// than the moment at which a Sentinel named that master.
func followSentinels(o *redis.Options, maxStale time.Duration) {
	o.ConnMaxLifetime, o.ConnMaxLifetimeJitter = maxStale/4, 0
}

// controlPool is far more than the prober's one connection: after as many
// failed dials a pool of go-redis pauses for a second, and the node would be
// back in step that much later than Redis.
const controlPool = 1024

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// keepZero undoes what go-redis makes of options once it has read them: there 0
// is "none", in options to be read 0 is "the default" and -1 is "none".
func keepZero(retries *int, durations ...*time.Duration) {
	if *retries == 0 {
		*retries = -1
	}
	for _, d := range durations {
		if *d == 0 {
			*d = -1
		}
	}
}

func (c clients) close() error {
	err := c.control.Close()
	if c.copied {
		err = errors.Join(err, c.data.Close())
	}
	return err
}
