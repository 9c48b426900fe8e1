package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// echoing is a supervisor that runs one component, which says its process id and its argument and then waits.
func echoing(t *testing.T) (context.Context, *supervisor) {
	t.Helper()
	ctx, fail := context.WithCancelCause(t.Context())
	s := &supervisor{layout: newTestLayout(t), fail: fail}
	t.Cleanup(s.stop)
	c := shell(etcd, "echo $$ $1; exec sleep 60")
	c.args = append(c.args, "sh", "argument")
	if err := s.start(c); err != nil {
		t.Fatal(err)
	}
	awaitLines(t, s.layout, 1)
	return ctx, s
}

// awaitLines returns the lines of etcd's log as soon as there are this many.
func awaitLines(t *testing.T, l layout, count int) []string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		lines := strings.Fields(strings.ReplaceAll(tail(l.path(logFile(etcd)), 100), " ", "_"))
		if len(lines) == count {
			return lines
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %d lines", lines, count)
		}
	}
}

func TestAComponentThatIsRestartedIsANewProcessWithTheSameArgumentsAndNoAccident(t *testing.T) {
	ctx, s := echoing(t)
	if err := s.restart(ctx, etcd, 0); err != nil {
		t.Fatal(err)
	}
	lines := awaitLines(t, s.layout, 2)
	if lines[0] == lines[1] || !strings.HasSuffix(lines[1], "_argument") {
		t.Errorf("got %q", lines)
	}
	if ctx.Err() != nil {
		t.Errorf("the cluster ended: %v", context.Cause(ctx))
	}
}

func TestARestartedComponentThatDiesByItselfIsAnAccidentAgain(t *testing.T) {
	ctx, s := echoing(t)
	if err := s.restart(ctx, etcd, 0); err != nil {
		t.Fatal(err)
	}
	_ = s.running[0].handle.Kill()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
	}
	if died := (*diedError)(nil); !errors.As(context.Cause(ctx), &died) || died.component != etcd {
		t.Errorf("got %v", context.Cause(ctx))
	}
}

func TestAComponentStaysDownForAsLongAsIsAsked(t *testing.T) {
	ctx, s := echoing(t)
	const downFor = 50 * time.Millisecond
	began := time.Now()
	if err := s.restart(ctx, etcd, downFor); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < downFor {
		t.Errorf("it was back after %s", took)
	}
}

func TestARestartReturnsWhenItsConditionsAreMet(t *testing.T) {
	ctx, s := echoing(t)
	asked := 0
	err := s.restart(ctx, etcd, 0, condition{"the third time", func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times, error %v", asked, err)
	}
}

func TestWhatIsStoppedWhileAComponentIsDownStaysStopped(t *testing.T) {
	ctx, s := echoing(t)
	component, err := s.kill(etcd)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := s.start(component); err == nil || !strings.Contains(err.Error(), "being stopped") {
		t.Errorf("got %v", err)
	}
	if ctx.Err() != nil {
		t.Errorf("an accident: %v", context.Cause(ctx))
	}
}

func TestARestartEndsWithTheCluster(t *testing.T) {
	_, s := echoing(t)
	ctx, end := context.WithCancelCause(t.Context())
	end(errors.New("down"))
	if err := s.restart(ctx, etcd, time.Hour); err == nil || err.Error() != "down" {
		t.Errorf("got %v", err)
	}
}

func TestAComponentThatIsNotRunningIsNamed(t *testing.T) {
	ctx, s := echoing(t)
	if err := s.restart(ctx, kwok, 0); err == nil || err.Error() != "kwok is not running in this cluster" {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderReachesTheSupervisorHoweverLongTheFoldersPath(t *testing.T) {
	l := layout{dir: t.TempDir() + "/" + strings.Repeat("a", 200)}
	if err := os.Mkdir(l.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var got order
	end, err := l.takeOrders(t.Context(), func(_ context.Context, o order) error {
		got = o
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := Restart(t.Context(), l.dir, etcd, time.Second, &said); err != nil {
		t.Fatal(err)
	}
	if got != (order{etcd, time.Second}) || !strings.HasPrefix(said.String(), "etcd is back after ") {
		t.Errorf("order %v, said %q", got, said.String())
	}
	end()
	if exists(l.path(controlSocket)) {
		t.Error("the socket is still there")
	}
	if err := Restart(t.Context(), l.dir, etcd, 0, io.Discard); err == nil || !strings.Contains(err.Error(), "no cluster is running in "+l.dir) {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderThatFailsIsAnsweredWithTheReason(t *testing.T) {
	l := newTestLayout(t)
	end, err := l.takeOrders(t.Context(), func(context.Context, order) error { return errors.New("disk on fire") })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := Restart(t.Context(), l.dir, etcd, 0, io.Discard); err == nil || err.Error() != "disk on fire" {
		t.Errorf("got %v", err)
	}
}

func TestARestartThatIsInterruptedIsNoSuccess(t *testing.T) {
	l := newTestLayout(t)
	ctx, interrupt := context.WithCancel(t.Context())
	end, err := l.takeOrders(t.Context(), func(cluster context.Context, _ order) error {
		interrupt()
		<-cluster.Done()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := Restart(ctx, l.dir, etcd, 0, io.Discard); err == nil {
		t.Error("a success")
	}
}
