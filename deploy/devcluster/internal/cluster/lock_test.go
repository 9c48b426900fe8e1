package cluster

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestASecondSupervisorIsToldThePidOfTheFirst(t *testing.T) {
	l := newTestLayout(t)
	other, _ := inAnotherProcess(t, holdLock, l)

	_, err := l.acquire()
	running := (*runningError)(nil)
	if !errors.As(err, &running) || running.pid != other.Pid {
		t.Errorf("got %v, want the pid %d", err, other.Pid)
	}
}

func TestTheLockEndsWithAKilledSupervisor(t *testing.T) {
	l := newTestLayout(t)
	other, _ := inAnotherProcess(t, holdLock, l)
	_ = other.Kill()
	_, _ = other.Wait()

	if pid, err := l.supervisor(); pid != 0 || err != nil {
		t.Errorf("supervisor %d, error %v", pid, err)
	}
	lock, err := l.acquire()
	if err != nil {
		t.Fatal(err)
	}
	lock.release()
}

func TestAPidFileAloneStopsNobody(t *testing.T) {
	l := newTestLayout(t)
	bystander, _ := inAnotherProcess(t, holdLock, newTestLayout(t))
	touch(t, l.path(lockFile))
	if err := l.write(pidFile, fmt.Append(nil, bystander.Pid)); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := Down(l.dir, &said); err != nil || !strings.Contains(said.String(), "no cluster is running") {
		t.Errorf("said %q, error %v", said.String(), err)
	}
	if err := bystander.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the bystander: %v", err)
	}
}

func TestASignalDoesNotReachAProcessThatIsNoSupervisor(t *testing.T) {
	l := newTestLayout(t)
	bystander, _ := inAnotherProcess(t, holdLock, newTestLayout(t))
	if err := l.signal(bystander.Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := bystander.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the bystander: %v", err)
	}
}

func TestDownEndsTheSupervisor(t *testing.T) {
	l := newTestLayout(t)
	inAnotherProcess(t, holdLock, l)
	if err := Down(l.dir, io.Discard); err != nil {
		t.Error(err)
	}
	if pid, err := l.supervisor(); pid != 0 || err != nil {
		t.Errorf("supervisor %d, error %v", pid, err)
	}
}

func TestDownOfAFolderThatIsMissingIsASuccess(t *testing.T) {
	if err := Down(t.TempDir()+"/missing", io.Discard); err != nil {
		t.Error(err)
	}
}
