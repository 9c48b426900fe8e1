package cluster

import (
	"context"
	"sync"
	"time"
)

// How long a component may take to end when asked, before it is killed. Nothing is lost then: the data isn't kept.
const stopGrace = 5 * time.Second

// supervisor runs the components of one cluster.
type supervisor struct {
	layout layout
	// fail ends the supervisor's context with the reason.
	fail    context.CancelCauseFunc
	running []*process // by the order of their start
}

// start runs a component. Should it end by itself, it takes the supervisor's context with it.
func (s *supervisor) start(c component) error {
	p, err := s.layout.start(c)
	if err != nil {
		return err
	}
	s.running = append(s.running, p)
	go func() {
		<-p.done
		// Without effect where the context has ended before, as it has when components are stopped on purpose.
		s.fail(p.died())
	}()
	return nil
}

// boot starts the components one after the other, and returns when the cluster is ready.
func (s *supervisor) boot(ctx context.Context, c components, a *api, options Options) error {
	for _, first := range []component{c.etcd, c.apiServer} {
		if err := s.start(first); err != nil {
			return err
		}
	}
	if err := await(ctx, apiServerReady(a)); err != nil {
		return err
	}
	for _, client := range c.clients {
		if err := s.start(client); err != nil {
			return err
		}
	}
	conditions := []condition{defaultServiceAccountExists(a)}
	if options.with("kwok") {
		conditions = []condition{nodeExists(a), defaultServiceAccountExists(a), nodeIsReady(a)}
	}
	for _, condition := range conditions {
		if err := await(ctx, condition); err != nil {
			return err
		}
	}
	return nil
}

// stop ends what was started, the other way round: first the clients of the API server, all at once, then the API server,
// which would wait a minute for an etcd that is gone, then etcd.
func (s *supervisor) stop() {
	var clients sync.WaitGroup
	for _, p := range s.running {
		if p.name != apiServer && p.name != etcd {
			clients.Go(func() { p.stop(stopGrace) })
		}
	}
	clients.Wait()
	for _, name := range []string{apiServer, etcd} {
		for _, p := range s.running {
			if p.name == name {
				p.stop(stopGrace)
			}
		}
	}
}
