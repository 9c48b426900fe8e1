package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// How long a component may take to end when asked, before it is killed. Nothing is lost then: the data isn't kept.
const stopGrace = 5 * time.Second

// supervisor runs the components of one cluster.
type supervisor struct {
	layout layout
	// fail ends the supervisor's context with the reason.
	fail context.CancelCauseFunc

	mu      sync.Mutex
	running []*process
	stopped bool // nothing is started any more
}

// start runs a component. Should it end by itself, it takes the supervisor's context with it.
func (s *supervisor) start(c component) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%s is not started: the cluster is being stopped", c.name)
	}
	p, err := s.layout.start(c)
	if err != nil {
		return err
	}
	s.running = append(s.running, p)
	go func() {
		<-p.done
		if !p.killed.Load() {
			// Without effect where the context has ended before, as it has when components are stopped on purpose.
			s.fail(p.died())
		}
	}()
	return nil
}

// kill ends a component at once, as a crash does, and returns what it takes to start it again.
func (s *supervisor) kill(name string) (component, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.running, func(p *process) bool { return p.name == name })
	if i < 0 {
		s.mu.Unlock()
		return component{}, fmt.Errorf("%s is not running in this cluster", name)
	}
	p := s.running[i]
	s.running = slices.Delete(s.running, i, i+1)
	p.killed.Store(true)
	s.mu.Unlock()
	// An error means that it is gone already.
	_ = p.handle.Kill()
	<-p.done
	return p.component, nil
}

// restart kills a component and, some time later, starts it anew with the same arguments. It returns when it is running and the conditions are met.
func (s *supervisor) restart(ctx context.Context, name string, downFor time.Duration, conditions ...condition) error {
	c, err := s.kill(name)
	if err != nil {
		return err
	}
	select {
	case <-time.After(downFor):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := s.start(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("not ready after %s, see the logs in %s", bootTimeout, s.layout.dir))
	defer cancel()
	return awaitAll(ctx, conditions)
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
	return awaitAll(ctx, conditions)
}

// stop ends what was started, the other way round: first the clients of the API server, all at once, then the API server,
// which would wait a minute for an etcd that is gone, then etcd.
func (s *supervisor) stop() {
	s.mu.Lock()
	s.stopped = true
	running := s.running
	s.mu.Unlock()
	var clients sync.WaitGroup
	for _, p := range running {
		if p.name != apiServer && p.name != etcd {
			clients.Go(func() { p.stop(stopGrace) })
		}
	}
	clients.Wait()
	for _, name := range []string{apiServer, etcd} {
		for _, p := range running {
			if p.name == name {
				p.stop(stopGrace)
			}
		}
	}
}
