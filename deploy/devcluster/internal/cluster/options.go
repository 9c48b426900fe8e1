// Package cluster runs a Kubernetes control plane as the child processes of one supervisor.
//
// The way of a cluster, and where to find it:
//
//	options.go      what a user may ask for
//	up.go, down.go, restart.go
//	                the commands; detach.go is up in the background
//	layout.go       the folder that a cluster lives in; lock.go says whose it is
//	ports.go, pki.go, kubeconfig.go, config.go
//	                what is decided or written before the first component starts
//	component.go    the components and their flags
//	process.go      one running component
//	supervisor.go   starts them, waits until the cluster is ready, stops them
//	ready.go        what ready means; api.go is the client that asks
package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// Options are what a user may ask of a cluster.
type Options struct {
	// Dir is the folder that the cluster lives in. It is made if it is missing.
	Dir string
	// Audit makes the API server log every request to audit.log in Dir.
	Audit bool
	// Without names components that are not started, out of "scheduler" and "kwok". Without KWOK there is no Node.
	Without []string
}

// optional are the components that Options.Without may name.
var optional = []string{"scheduler", "kwok"}

// Check says what is wrong with the options.
func (o Options) Check() error {
	for _, name := range o.Without {
		if !slices.Contains(optional, name) {
			return fmt.Errorf("--without: %q is not one of %s", name, strings.Join(optional, ", "))
		}
	}
	return nil
}

func (o Options) with(name string) bool {
	return !slices.Contains(o.Without, name)
}
