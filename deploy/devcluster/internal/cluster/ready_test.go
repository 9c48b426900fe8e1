package cluster

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering is an API server that gives one answer to every request.
func answering(t *testing.T, code int, body string) *api {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return &api{base: server.URL, client: server.Client()}
}

func TestAWaitThatEndsSaysWhatWasMissingAndWhy(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("not ready after 10ms"))
	defer cancel()
	err := await(ctx, condition{"the Node to be Ready", func(context.Context) error { return errors.New("connection refused") }})
	const want = "while waiting for the Node to be Ready (connection refused): not ready after 10ms"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestAWaitGoesOnUntilTheConditionIsMet(t *testing.T) {
	asked := 0
	err := await(t.Context(), condition{"the third time", func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times, error %v", asked, err)
	}
}

func TestANodeThatIsThereAlreadyIsAsGoodAsANewOne(t *testing.T) {
	for code, want := range map[int]bool{http.StatusCreated: true, http.StatusConflict: true, http.StatusForbidden: false} {
		if err := nodeExists(answering(t, code, "{}")).met(t.Context()); (err == nil) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestANodeIsReadyByItsConditionAlone(t *testing.T) {
	for manifest, want := range map[string]bool{
		`{"status":{"conditions":[{"type":"DiskPressure","status":"False"},{"type":"Ready","status":"True"}]}}`: true,
		`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`:                                         false,
		`{"status":{"conditions":[{"type":"DiskPressure","status":"True"}]}}`:                                   false,
		`{}`:     false,
		`<html>`: false,
	} {
		if err := nodeIsReady(answering(t, http.StatusOK, manifest)).met(t.Context()); (err == nil) != want {
			t.Errorf("%s: %v", manifest, err)
		}
	}
}

func TestARefusalIsToldInTheAPIServersWords(t *testing.T) {
	err := apiServerReady(answering(t, http.StatusInternalServerError, "[-]etcd failed")).met(t.Context())
	if err == nil || !strings.Contains(err.Error(), "500") || !strings.Contains(err.Error(), "[-]etcd failed") {
		t.Errorf("got %v", err)
	}
}
