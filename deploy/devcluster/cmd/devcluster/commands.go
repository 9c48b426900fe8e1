package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"operon.dev/devcluster/internal/cluster"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func usage(w io.Writer) {
	fmt.Fprint(w, `devcluster runs a Kubernetes control plane on this machine: etcd, kube-apiserver, kube-controller-manager,
kube-scheduler, and KWOK with one simulated Node. It listens on 127.0.0.1 only; its data is not meant to last.

Usage:
  devcluster up --dir D [--detach] [--audit] [--without scheduler,kwok] [--until-stdin-closes]
      Start a control plane that lives in the folder D, and stop it when this command ends, however it ends.
      D/kubeconfig appears when it is ready; each component logs to D/<component>.log.
      --detach              return when it is ready, and leave it running until "devcluster down"
      --audit               log every request to D/audit.log (level Metadata)
      --without LIST        leave out components: scheduler, kwok
      --until-stdin-closes  end when standard input ends, that is with the process that holds the other end
  devcluster down --dir D
      Stop the control plane that lives in D, and return when it is gone. Nothing running is a success.
  devcluster restart COMPONENT --dir D [--down-for 3s]
      Kill a component of the control plane that lives in D, as a crash does, and start it again with the same arguments and
      ports. Return when the API server is ready again; what it had stored is still there.
      COMPONENT             one of `+strings.Join(cluster.ComponentNames, ", ")+`
      --down-for DURATION   wait this long before starting it again (default: not at all)
  devcluster etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl ...
      Be that program.
`)
}

func up(args []string) int {
	var options cluster.Options
	flags := newFlagSet("up")
	flags.StringVar(&options.Dir, "dir", "", "")
	flags.BoolVar(&options.Audit, "audit", false, "")
	flags.Func("without", "", func(list string) error {
		options.Without = strings.Split(list, ",")
		return nil
	})
	detach := flags.Bool("detach", false, "")
	untilStdinCloses := flags.Bool("until-stdin-closes", false, "")
	readyFD := flags.Uint(cluster.ReadyFDFlag, 0, "")
	if code, ok := parse(flags, args, &options.Dir); !ok {
		return code
	}
	if *detach && *untilStdinCloses {
		return misuse("up: --detach and --until-stdin-closes exclude each other")
	}
	if err := options.Check(); err != nil {
		return misuse("up: " + err.Error())
	}

	ctx, cancel := contextUntilSignal()
	defer cancel()
	if *detach {
		return report(cluster.UpDetached(ctx, options, args, os.Stdout))
	}
	if *untilStdinCloses {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	announcement := io.WriteCloser(os.Stdout)
	if *readyFD != 0 {
		// The components must not hold it open as well: its end is what is waited for.
		syscall.CloseOnExec(int(*readyFD))
		announcement = os.NewFile(uintptr(*readyFD), "ready")
	}
	return report(cluster.Up(ctx, options, announcement))
}

func down(args []string) int {
	flags := newFlagSet("down")
	dir := flags.String("dir", "", "")
	if code, ok := parse(flags, args, dir); !ok {
		return code
	}
	return report(cluster.Down(*dir, os.Stdout))
}

func restart(args []string) int {
	var component string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		component, args = args[0], args[1:]
	}
	flags := newFlagSet("restart")
	dir := flags.String("dir", "", "")
	downFor := flags.Duration("down-for", 0, "")
	if code, ok := parse(flags, args, dir); !ok {
		return code
	}
	if !slices.Contains(cluster.ComponentNames, component) {
		return misuse(fmt.Sprintf("restart: %q is not one of %s", component, strings.Join(cluster.ComponentNames, ", ")))
	}
	ctx, cancel := contextUntilSignal()
	defer cancel()
	return report(cluster.Restart(ctx, *dir, component, *downFor, os.Stdout))
}

// contextUntilSignal ends with the first signal that asks this process to end. A second one then ends it the hard way,
// and the components with it.
func contextUntilSignal() (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	// nohup ignores SIGHUP, and means it.
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func newFlagSet(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse returns the exit code, and false, where the command is not to go on.
func parse(flags *flag.FlagSet, args []string, dir *string) (int, bool) {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(os.Stdout)
		return 0, false
	case err != nil:
		return misuse(flags.Name() + ": " + err.Error()), false
	case flags.NArg() > 0:
		return misuse(fmt.Sprintf("%s: unexpected argument %q", flags.Name(), flags.Arg(0))), false
	case *dir == "":
		return misuse(flags.Name() + ": --dir is missing"), false
	}
	return 0, true
}

func misuse(message string) int {
	fmt.Fprintf(os.Stderr, "devcluster %s\n\n", message)
	usage(os.Stderr)
	return exitUsage
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		return exitFailure
	}
	return 0
}
