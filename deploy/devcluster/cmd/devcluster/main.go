// Command devcluster is a Kubernetes control plane in one file.
//
// It is etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl when it is called by one of these names,
// or with one of them as its first argument. Otherwise it is the supervisor that starts them: devcluster up, down and
// restart.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if program, ok := programs[filepath.Base(os.Args[0])]; ok {
		os.Exit(program())
	}
	if len(os.Args) < 2 {
		usage(os.Stderr)
		os.Exit(exitUsage)
	}
	if program, ok := programs[os.Args[1]]; ok {
		// The programs read os.Args themselves, and kubectl looks for its plugins by it.
		os.Args = os.Args[1:]
		os.Exit(program())
	}
	switch name, args := os.Args[1], os.Args[2:]; name {
	case "up":
		os.Exit(up(args))
	case "down":
		os.Exit(down(args))
	case "restart":
		os.Exit(restart(args))
	case "help", "-h", "--help":
		usage(os.Stdout)
	default:
		fmt.Fprintf(os.Stderr, "devcluster: unknown command %q\n\n", name)
		usage(os.Stderr)
		os.Exit(exitUsage)
	}
}
