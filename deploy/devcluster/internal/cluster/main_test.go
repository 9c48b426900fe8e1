package cluster

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Some tests need a second process. It is the test binary again, with its role in the environment.
const (
	roleVariable = "DEVCLUSTER_TEST_ROLE"
	dirVariable  = "DEVCLUSTER_TEST_DIR"

	holdLock       = "hold the lock"
	startComponent = "start a component"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	line, err := play(role, layout{dir: os.Getenv(dirVariable)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(line)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// play does what the role is about, and returns a line that tells the test of it. The process then lives until its standard
// input ends, or until it is killed.
func play(role string, l layout) (string, error) {
	switch role {
	case holdLock:
		_, err := l.acquire()
		return "locked", err
	case startComponent:
		p, err := l.start(shell("sleeper", "exec sleep 60"))
		if err != nil {
			return "", err
		}
		return fmt.Sprint(p.handle.Pid), nil
	}
	return "", fmt.Errorf("no such role: %q", role)
}

// inAnotherProcess plays a role in another process, and returns that process and its line.
func inAnotherProcess(t *testing.T, role string, l layout) (*os.Process, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+l.dir)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the other process says nothing: %v", err)
	}
	return cmd.Process, line[:len(line)-1]
}

// shell is a component that is a shell script.
func shell(name, script string) component {
	return component{name: name, path: "/bin/sh", args: []string{"-c", script}}
}

func newTestLayout(t *testing.T) layout {
	t.Helper()
	l := layout{dir: t.TempDir()}
	if err := l.clean(); err != nil {
		t.Fatal(err)
	}
	return l
}
