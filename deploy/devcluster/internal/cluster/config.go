package cluster

import (
	"strings"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// nodeName is the one simulated Node.
const nodeName = "devcluster"

// nodeManifest needs no capacity: KWOK gives a Node 1000 CPUs, 1 TiB of memory and room for a million Pods.
const nodeManifest = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + nodeName + `"}}`

const auditPolicyYAML = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// The scheduler's default of 50 requests a second would be the slowest part of any larger rollout.
const schedulerYAML = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: ` + configDir + `/kube-scheduler.kubeconfig
  qps: 500
  burst: 1000
`

// kwokYAML makes Nodes Ready, Pods run, those of Jobs complete, and deleted Pods go, each at once.
func kwokYAML() string {
	return strings.Join([]string{
		nodefast.DefaultNodeInit,
		heartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodComplete,
		podfast.DefaultPodDelete,
	}, "\n---\n")
}
