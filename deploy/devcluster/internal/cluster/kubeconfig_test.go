package cluster

import (
	"bytes"
	"encoding/csv"
	"testing"
)

func TestEachUserHasATokenOfItsOwn(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(newUsers().tokenCSV())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, line := range lines {
		token, name := line[0], line[1]
		if other, taken := names[token]; taken {
			t.Errorf("%s and %s share a token", name, other)
		}
		names[token] = name
	}
	if len(names) != 4 {
		t.Errorf("users: %v", names)
	}
}

func TestOnlyTheAdminAndKWOKAreMasters(t *testing.T) {
	u := newUsers()
	for _, user := range []user{u.controllerManager, u.scheduler} {
		if user.groups != "" {
			t.Errorf("%s is in %s", user.name, user.groups)
		}
	}
}
