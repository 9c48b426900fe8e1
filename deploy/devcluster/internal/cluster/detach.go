package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// ReadyFDFlag names the flag of up that carries the file descriptor on which a detached supervisor announces that it is
// ready. It is no business of the user's.
const ReadyFDFlag = "ready-fd"

// firstExtraFD is what the first of exec.Cmd.ExtraFiles becomes: it follows the three standard streams.
const firstExtraFD = 3

// UpDetached runs up again, with the same arguments, in a session of its own, and returns when that cluster is ready. It
// passes the announcement on to out. Where the cluster doesn't become ready, or the context ends before, nothing is left.
func UpDetached(ctx context.Context, options Options, args []string, out io.Writer) error {
	l, err := newLayout(options.Dir)
	if err != nil {
		return err
	}
	if err := l.claim(); err != nil {
		return err
	}
	// The supervisor finds this out by itself, but has no terminal to say it on.
	if pid, err := l.supervisor(); err != nil || pid != 0 {
		if err == nil {
			err = &runningError{dir: l.dir, pid: pid}
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	output, err := os.OpenFile(l.path(detachedLog), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	announcement, theirEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer announcement.Close()

	// The last flag wins, so that --detach=false here undoes the user's.
	supervise := append([]string{"up"}, args...)
	supervise = append(supervise, "--detach=false", fmt.Sprintf("--%s=%d", ReadyFDFlag, firstExtraFD))
	cmd := exec.Command(self, supervise...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{theirEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = theirEnd.Close()
	// Only while it starts: once it is ready, the end of the context is no business of the cluster's.
	keep := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })

	// Ends when the supervisor closes its end: after the line, or by its exit.
	line, err := io.ReadAll(announcement)
	if err != nil {
		return err
	}
	if len(line) > 0 && keep() {
		_, err := out.Write(line)
		return err
	}
	_ = cmd.Wait()
	return fmt.Errorf("the cluster did not become ready:\n%s", indent(tail(l.path(detachedLog), 40)))
}
