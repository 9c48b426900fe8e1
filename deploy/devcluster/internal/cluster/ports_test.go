package cluster

import (
	"net"
	"testing"
)

func TestPortsDifferAndAreFree(t *testing.T) {
	p, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	if p.etcd == p.etcdPeer || p.etcd == p.apiServer || p.etcdPeer == p.apiServer {
		t.Errorf("a port twice: %+v", p)
	}
	for _, port := range []int{p.etcd, p.etcdPeer, p.apiServer} {
		if port < lowestPort || port > highestPort {
			t.Errorf("port %d is out of range", port)
		}
		listener, err := net.Listen("tcp", hostPort(port))
		if err != nil {
			t.Errorf("port %d is not free: %v", port, err)
			continue
		}
		_ = listener.Close()
	}
}
