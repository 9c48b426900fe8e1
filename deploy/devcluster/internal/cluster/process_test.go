package cluster

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func startShell(t *testing.T, l layout, script string) *process {
	t.Helper()
	p, err := l.start(shell("script", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(0) })
	return p
}

func TestAComponentThatDiesIsNamedWithTheEndOfItsLog(t *testing.T) {
	p := startShell(t, newTestLayout(t), "for i in $(seq 100); do echo line $i; done; exit 3")
	<-p.done
	message := p.died().Error()
	for _, part := range []string{"script ended", "exit status 3", p.log, "line 81\n", "line 100"} {
		if !strings.Contains(message, part) {
			t.Errorf("%q is missing in: %s", part, message)
		}
	}
	if strings.Contains(message, "line 80\n") {
		t.Errorf("too much of the log: %s", message)
	}
}

func TestOnlyAPortThatIsTakenCallsForOthers(t *testing.T) {
	for script, want := range map[string]bool{
		"echo 'listen tcp 127.0.0.1:2379: bind: address already in use'; exit 1": true,
		"echo 'permission denied'; exit 1":                                       false,
	} {
		p := startShell(t, newTestLayout(t), script)
		<-p.done
		if got := p.died().portTaken(); got != want {
			t.Errorf("%s: %t", script, got)
		}
	}
}

func TestAComponentThatIgnoresTheRequestToEndIsKilled(t *testing.T) {
	l := newTestLayout(t)
	p := startShell(t, l, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	for !strings.Contains(tail(p.log, 1), "ready") {
		time.Sleep(time.Millisecond)
	}
	p.stop(20 * time.Millisecond)
	if p.state != "signal: killed" {
		t.Errorf("state %q", p.state)
	}
}

func TestAComponentSeesNothingOfTheUsersEnvironment(t *testing.T) {
	t.Setenv("ETCD_LISTEN_CLIENT_URLS", "http://0.0.0.0:2379")
	t.Setenv("KUBECONFIG", "/home/somebody/.kube/config")
	l := newTestLayout(t)
	p := startShell(t, l, "env")
	<-p.done
	seen := tail(p.log, 100)
	if strings.Contains(seen, "ETCD_") || strings.Contains(seen, "KUBECONFIG") || !strings.Contains(seen, "HOME="+l.path(configDir)) {
		t.Errorf("environment: %s", seen)
	}
}

func TestAComponentDiesWithItsKilledSupervisor(t *testing.T) {
	supervisor, line := inAnotherProcess(t, startComponent, newTestLayout(t))
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the component is not running")
	}
	_ = supervisor.Kill()
	for deadline := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still running", pid)
		}
	}
}

// alive is false for a process that is dead and only not yet reaped.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestALogThatIsMissingIsNoReasonToFail(t *testing.T) {
	if got := tail(t.TempDir()+"/missing", 5); !strings.Contains(got, syscall.ENOENT.Error()) {
		t.Errorf("got %q", got)
	}
}

func TestABinaryThatIsMissingIsNamed(t *testing.T) {
	_, err := newTestLayout(t).start(component{name: "kwok", path: "/missing/devcluster-kwok"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "start kwok") {
		t.Errorf("got %v", err)
	}
}
