package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheAPIServerEndsAfterItsClientsAndBeforeEtcd(t *testing.T) {
	l := newTestLayout(t)
	order := l.path("order")
	_, fail := context.WithCancelCause(t.Context())
	s := &supervisor{layout: l, fail: fail}
	for _, name := range []string{etcd, apiServer, scheduler} {
		// The clients take their time, so that an order that isn't kept shows.
		script := "trap 'sleep 0.1; echo " + name + " >> " + order + "; exit' TERM; echo ready; while :; do sleep 0.01; done"
		if err := s.start(shell(name, script)); err != nil {
			t.Fatal(err)
		}
		for tail(l.path(logFile(name)), 1) != "ready" {
			time.Sleep(time.Millisecond)
		}
	}
	s.stop()
	got, err := os.ReadFile(order)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{scheduler, apiServer, etcd, ""}, "\n")
	if string(got) != want {
		t.Errorf("ended in this order:\n%s", got)
	}
}

func TestAComponentThatDiesEndsTheWaitForTheOthers(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	s := &supervisor{layout: newTestLayout(t), fail: fail}
	defer s.stop()
	if err := s.start(shell(etcd, "echo disk on fire; exit 1")); err != nil {
		t.Fatal(err)
	}
	err := await(ctx, condition{"the world", func(context.Context) error { return errors.New("not yet") }})
	died := (*diedError)(nil)
	if !errors.As(err, &died) || died.component != etcd || died.tail != "disk on fire" {
		t.Errorf("got %v", err)
	}
}
