package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Longer than the supervisor takes in the worst case: three rounds of stopGrace.
const downGrace = 4 * stopGrace

// Down stops the cluster of a folder, and returns when its supervisor is gone. It says on out what it did. That nothing is
// running is a success.
func Down(dir string, out io.Writer) error {
	l, err := newLayout(dir)
	if err != nil {
		return err
	}
	pid, err := l.supervisor()
	if err != nil {
		return err
	}
	if pid == 0 {
		_, err := fmt.Fprintf(out, "no cluster is running in %s\n", l.dir)
		return err
	}
	for _, attempt := range []struct {
		signal syscall.Signal
		grace  time.Duration
	}{
		{syscall.SIGTERM, downGrace},
		{syscall.SIGKILL, downGrace}, // takes the components with it, too
	} {
		if err := l.signal(pid, attempt.signal); err != nil {
			return err
		}
		if gone, err := l.awaitEnd(pid, attempt.grace); err != nil {
			return err
		} else if gone {
			_, err := fmt.Fprintf(out, "the cluster in %s is stopped\n", l.dir)
			return err
		}
	}
	return fmt.Errorf("process %d, which runs the cluster in %s, does not end", pid, l.dir)
}

// signal sends the signal to the supervisor, and to nobody else.
func (l layout) signal(pid int, signal syscall.Signal) error {
	// From here on the handle means that one process, even if its number is given to another.
	handle, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer handle.Release()
	if now, err := l.supervisor(); err != nil || now != pid {
		return err
	}
	if err := handle.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}

// awaitEnd tells whether the supervisor ended in time.
func (l layout) awaitEnd(pid int, grace time.Duration) (bool, error) {
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(pollInterval) {
		if now, err := l.supervisor(); err != nil || now != pid {
			return err == nil, err
		}
	}
	return false, nil
}
