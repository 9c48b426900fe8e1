package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// api asks the API server the few things that readiness takes, as the admin.
type api struct {
	base   string
	token  string
	client *http.Client
}

func newAPI(address string, caCert []byte, u user) *api {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caCert)
	return &api{
		base:  "https://" + address,
		token: u.token,
		client: &http.Client{
			Timeout:   5 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		},
	}
}

// statusError is an answer that is no success.
type statusError struct {
	code int
	body string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", e.code, strings.TrimSpace(e.body))
}

func (a *api) get(ctx context.Context, path string) ([]byte, error) {
	return a.send(ctx, http.MethodGet, path, "")
}

func (a *api) send(ctx context.Context, method, path, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, &statusError{response.StatusCode, string(answer)}
	}
	return answer, nil
}

// nodeReady tells from a Node in JSON whether its condition Ready is true.
func nodeReady(manifest []byte) (bool, error) {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal(manifest, &node); err != nil {
		return false, err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True", nil
		}
	}
	return false, nil
}
