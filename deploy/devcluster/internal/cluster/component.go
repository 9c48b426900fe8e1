package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

// ComponentNames are all components that a cluster may have.
var ComponentNames = []string{etcd, apiServer, controllerManager, scheduler, kwok}

// component is one program of the control plane: what it takes to start it, and to start it again.
type component struct {
	name string // by which it is called, and which its log bears
	path string // the executable
	args []string
}

// components are the programs of one cluster, by the order in which they start.
type components struct {
	etcd      component
	apiServer component
	// clients of the API server
	clients []component
}

func newComponents(options Options, p ports) (components, error) {
	self, err := os.Executable()
	if err != nil {
		return components{}, err
	}
	kwokBinary := filepath.Join(filepath.Dir(self), "devcluster-kwok")
	if _, err := os.Stat(kwokBinary); options.with("kwok") && err != nil {
		return components{}, fmt.Errorf("the binary of KWOK belongs beside %s: %w", self, err)
	}

	c := components{
		etcd:      component{etcd, self, etcdArgs(p)},
		apiServer: component{apiServer, self, apiServerArgs(p, options.Audit)},
		clients:   []component{{controllerManager, self, controllerManagerArgs()}},
	}
	if options.with("scheduler") {
		c.clients = append(c.clients, component{scheduler, self, schedulerArgs()})
	}
	if options.with("kwok") {
		c.clients = append(c.clients, component{kwok, kwokBinary, kwokArgs()})
	}
	return c, nil
}

func etcdArgs(p ports) []string {
	client, peer := "http://"+hostPort(p.etcd), "http://"+hostPort(p.etcdPeer)
	return []string{
		"--name=devcluster",
		"--data-dir=" + etcdData,
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=devcluster=" + peer,
		// The data needn't outlive the machine.
		"--unsafe-no-fsync",
		// The default of 2 GiB ends benchmarks that write a lot, with an alarm that only a person can clear.
		"--quota-backend-bytes=8589934592",
	}
}

func apiServerArgs(p ports, audit bool) []string {
	args := []string{
		"--etcd-servers=http://" + hostPort(p.etcd),
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", p.apiServer),
		// Nobody reaches it through the Service "kubernetes", whose endpoints can't be loopback addresses. Without both
		// flags it wants a network interface beside loopback, which a sandbox may lack.
		"--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + servingCert,
		"--tls-private-key-file=" + servingKey,
		"--token-auth-file=" + tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + serviceAccountKey,
		"--service-account-signing-key-file=" + serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		// Off by default, on in stricter distributions: what has the rights here has them everywhere.
		"--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
	}
	if audit {
		args = append(args,
			"--audit-policy-file="+auditPolicy,
			"--audit-log-path="+auditLog,
			// MiB before the file is rotated, so late that a benchmark finds all in one file.
			"--audit-log-maxsize=8192",
		)
	}
	return args
}

func controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + userKubeconfig(controllerManager),
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + serviceAccountKey,
		"--root-ca-file=" + caCert,
		"--leader-elect=false",
		"--secure-port=0",
		// The default of 20 requests a second makes garbage collection the slowest part of any test.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}
}

func schedulerArgs() []string {
	return []string{
		"--config=" + schedulerConfig,
		"--secure-port=0",
	}
}

func kwokArgs() []string {
	return []string{
		"--kubeconfig=" + userKubeconfig(kwok),
		"--config=" + kwokConfig,
		"--manage-all-nodes=true",
	}
}
