package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// runningError says that another supervisor has the folder.
type runningError struct {
	dir string
	pid int
}

func (e *runningError) Error() string {
	return fmt.Sprintf("a cluster is already running in %s (pid %d): stop it with devcluster down --dir %[1]s", e.dir, e.pid)
}

// lock is held by the supervisor of a folder as long as it lives.
//
// It is a POSIX record lock, not flock, because the kernel then tells who holds it: a process id that can't be stale,
// whatever a file says. The components don't inherit it. It ends with the process, or when the file is closed.
type lock struct {
	file *os.File
}

// acquire takes the lock of the folder, or fails with a runningError.
func (l layout) acquire() (*lock, error) {
	file, err := os.OpenFile(l.path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, wholeFile())
	if err == nil {
		return &lock{file: file}, nil
	}
	defer file.Close()
	if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	pid, err := holder(file)
	if err != nil {
		return nil, err
	}
	return nil, &runningError{dir: l.dir, pid: pid}
}

func (l *lock) release() { _ = l.file.Close() }

// supervisor returns the process id of the folder's supervisor, 0 if none is running. The caller must not be the supervisor:
// closing a file of that name would end its own lock.
func (l layout) supervisor() (int, error) {
	file, err := os.OpenFile(l.path(lockFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return holder(file)
}

func holder(file *os.File) (int, error) {
	asked := wholeFile()
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, asked); err != nil {
		return 0, fmt.Errorf("ask who holds the lock %s: %w", file.Name(), err)
	}
	if asked.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(asked.Pid), nil
}

func wholeFile() *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}
