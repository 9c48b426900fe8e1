package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// Starting takes about 5 s. What takes this much longer will not come.
const bootTimeout = 2 * time.Minute

// How often other ports are tried where somebody took one between its choice and its use.
const attempts = 5

// Up starts a cluster, writes one line to announcement and closes it when the cluster is ready, and runs it until the
// context ends or a component dies. Nothing that it started is running when it returns, and nothing stays when the
// process is killed instead. It returns nil where a cluster that was ready ends with the context.
func Up(ctx context.Context, options Options, announcement io.WriteCloser) error {
	began := time.Now()
	l, err := newLayout(options.Dir)
	if err != nil {
		return err
	}
	if err := l.claim(); err != nil {
		return err
	}
	lock, err := l.acquire()
	if err != nil {
		return err
	}
	defer lock.release()

	announced := false
	ready := func() error {
		defer announcement.Close()
		announced = true
		_, err := fmt.Fprintf(announcement, "devcluster ready in %.1f s: --kubeconfig %s\n", time.Since(began).Seconds(), l.path(kubeconfigFile))
		return err
	}
	for attempt := 1; ; attempt++ {
		err := run(ctx, l, options, ready)
		if died := (*diedError)(nil); errors.As(err, &died) && died.portTaken() && !announced && attempt < attempts {
			continue
		}
		return err
	}
}

// run is one cluster from its first file to the end of its last component.
func run(parent context.Context, l layout, options Options, ready func() error) error {
	if err := l.clean(); err != nil {
		return err
	}
	p, err := freePorts()
	if err != nil {
		return err
	}
	c, err := newComponents(options, p)
	if err != nil {
		return err
	}
	keys, err := newPKI()
	if err != nil {
		return err
	}
	address, users := hostPort(p.apiServer), newUsers()
	if err := writeConfig(l, address, keys, users); err != nil {
		return err
	}

	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	s := &supervisor{layout: l, fail: fail}
	defer s.stop()
	// Both are there only as long as they are true.
	defer os.Remove(l.path(pidFile))
	defer os.Remove(l.path(kubeconfigFile))

	boot, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("not ready after %s, see the logs in %s", bootTimeout, l.dir))
	defer cancel()
	a := newAPI(address, keys.caCert, users.admin)
	if err := s.boot(boot, c, a, options); err != nil {
		return err
	}
	end, err := l.takeOrders(ctx, func(ctx context.Context, o order) error {
		return s.restart(ctx, o.Restart, o.DownFor, etcdServes(hostPort(p.etcd)), apiServerReady(a))
	})
	if err != nil {
		return err
	}
	defer end()
	if err := l.write(kubeconfigFile, kubeconfig(address, keys.caCert, users.admin)); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	<-ctx.Done()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// writeConfig writes all that the components read when they start.
func writeConfig(l layout, address string, keys *pki, u users) error {
	files := map[string][]byte{
		pidFile:                           []byte(strconv.Itoa(os.Getpid()) + "\n"),
		caCert:                            keys.caCert,
		servingCert:                       keys.servingCert,
		servingKey:                        keys.servingKey,
		serviceAccountKey:                 keys.serviceAccountKey,
		tokenFile:                         u.tokenCSV(),
		userKubeconfig(controllerManager): kubeconfig(address, keys.caCert, u.controllerManager),
		userKubeconfig(scheduler):         kubeconfig(address, keys.caCert, u.scheduler),
		userKubeconfig(kwok):              kubeconfig(address, keys.caCert, u.kwok),
		auditPolicy:                       []byte(auditPolicyYAML),
		schedulerConfig:                   []byte(schedulerYAML),
		kwokConfig:                        []byte(kwokYAML()),
	}
	for name, content := range files {
		if err := l.write(name, content); err != nil {
			return err
		}
	}
	return nil
}
