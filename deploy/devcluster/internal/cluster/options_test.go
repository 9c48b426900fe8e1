package cluster

import (
	"strings"
	"testing"
)

func TestAComponentThatCannotBeLeftOutIsRefusedNamingThoseThatCan(t *testing.T) {
	err := Options{Without: []string{"kwok", "etcd"}}.Check()
	if err == nil || !strings.Contains(err.Error(), `"etcd"`) || !strings.Contains(err.Error(), "scheduler, kwok") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsLeftOutIsNotStarted(t *testing.T) {
	c, err := newComponents(Options{Without: []string{"scheduler", "kwok"}}, ports{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.clients) != 1 || c.clients[0].name != controllerManager {
		t.Errorf("started as well: %v", c.clients)
	}
}

func TestRequestsAreAuditedOnlyWhenAsked(t *testing.T) {
	for _, audit := range []bool{true, false} {
		args := strings.Join(apiServerArgs(ports{}, audit), " ")
		if strings.Contains(args, "--audit-log-path=") != audit {
			t.Errorf("audit %t: %s", audit, args)
		}
	}
}
