package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// Ports are taken from below the range that the kernel gives to outgoing connections (from 32768 up by default), and below
// Kubernetes' node ports. Otherwise a client that retries against a component that is down can be given the component's
// own port as its source, and the component then can't listen any more.
const (
	lowestPort  = 20000
	highestPort = 29999
)

// ports are where the components listen. They stay the same as long as the cluster lives.
type ports struct {
	etcd      int
	etcdPeer  int
	apiServer int
}

// freePorts picks ports that nobody listens on now. Somebody else may take one before the component does: the
// supervisor then starts again with others.
func freePorts() (ports, error) {
	// All are held until the last is found, so that no two are the same.
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close()
		}
	}()
	next := func() (int, error) {
		listener, err := listenAnywhere()
		if err != nil {
			return 0, err
		}
		held = append(held, listener)
		return listener.Addr().(*net.TCPAddr).Port, nil
	}
	var p ports
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiServer} {
		var err error
		if *port, err = next(); err != nil {
			return ports{}, err
		}
	}
	return p, nil
}

func listenAnywhere() (net.Listener, error) {
	const attempts = 100
	var last error
	for range attempts {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		listener, err := net.Listen("tcp", hostPort(port))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port between %d and %d on %s: %w", lowestPort, highestPort, loopback, last)
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
