package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one run of a component.
type process struct {
	component
	log    string // path of its log
	handle *os.Process
	done   chan struct{} // closed when it has exited and state is set
	state  string        // how it exited
	killed atomic.Bool   // on purpose, to be started again: its end is no accident
}

// start runs the component in the folder, with its output appended to its log there.
func (l layout) start(c component) (*process, error) {
	log := l.path(logFile(c.name))
	output, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path:   c.path,
		Args:   append([]string{c.name}, c.args...),
		Dir:    l.dir,
		Stdout: output,
		Stderr: output,
		// Nothing of the user's: etcd takes flags from the environment, KWOK reads a file in the home folder.
		Env: []string{"HOME=" + l.path(configDir), "PATH=" + os.Getenv("PATH")},
		SysProcAttr: &syscall.SysProcAttr{
			// A terminal sends its interrupt to the whole process group, and the order of the end is ours to keep.
			Setpgid:   true,
			Pdeathsig: syscall.SIGKILL,
		},
	}
	p := &process{component: c, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread that forked ends, so that thread has to stay until the component is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = output.Close()
		p.handle = cmd.Process
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		p.state = cmd.ProcessState.String()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

// stop asks the process to end, kills it after the grace period, and returns when it is gone.
func (p *process) stop(grace time.Duration) {
	// An error means that it is gone already.
	_ = p.handle.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.handle.Kill()
		<-p.done
	}
}

// diedError says that a component ended although nobody asked it to.
type diedError struct {
	component string
	state     string
	log       string
	tail      string
}

func (p *process) died() *diedError {
	return &diedError{component: p.name, state: p.state, log: p.log, tail: tail(p.log, 20)}
}

func (e *diedError) Error() string {
	return fmt.Sprintf("%s ended unexpectedly (%s); the last lines of %s:\n%s", e.component, e.state, e.log, indent(e.tail))
}

// portTaken says that the component could not listen.
func (e *diedError) portTaken() bool {
	return strings.Contains(e.tail, syscall.EADDRINUSE.Error())
}

// tail returns the last lines of a file, as far as the last 64 KiB hold them.
func tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	const most = 64 << 10
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-most), io.SeekStart)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}
