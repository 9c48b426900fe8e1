package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// condition is something that has to become true before the cluster is ready.
type condition struct {
	// name completes the sentence "while waiting for ...".
	name string
	// met returns nil when it is true, otherwise why it isn't yet.
	met func(context.Context) error
}

const pollInterval = 25 * time.Millisecond

// await returns when the condition is met, or when the context ends: then with what was missing, and with its cause.
func await(ctx context.Context, c condition) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	missing := errors.New("not asked yet")
	for {
		err := c.met(ctx)
		if err == nil {
			return nil
		}
		// After the end of the context, the request fails for no other reason.
		if ctx.Err() == nil {
			missing = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("while waiting for %s (%w): %w", c.name, missing, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// awaitAll awaits one after the other.
func awaitAll(ctx context.Context, conditions []condition) error {
	for _, condition := range conditions {
		if err := await(ctx, condition); err != nil {
			return err
		}
	}
	return nil
}

// etcdServes is met when etcd says so itself. The API server's word may be older than etcd's end.
func etcdServes(address string) condition {
	client := &http.Client{Timeout: 5 * time.Second}
	return condition{"etcd to serve", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("etcd answers %d", response.StatusCode)
		}
		return nil
	}}
}

// apiServerReady is met when the API server says so: its storage answers, and the built-in roles are in place.
func apiServerReady(a *api) condition {
	return condition{"the API server to be ready", func(ctx context.Context) error {
		_, err := a.get(ctx, "/readyz")
		return err
	}}
}

// nodeExists makes the simulated Node, and is met when it is there.
func nodeExists(a *api) condition {
	return condition{"the Node to be created", func(ctx context.Context) error {
		_, err := a.send(ctx, http.MethodPost, "/api/v1/nodes", nodeManifest)
		if status := (*statusError)(nil); errors.As(err, &status) && status.code == http.StatusConflict {
			return nil
		}
		return err
	}}
}

// defaultServiceAccountExists is met when Pods can be made in the default namespace.
func defaultServiceAccountExists(a *api) condition {
	return condition{"the ServiceAccount default/default", func(ctx context.Context) error {
		_, err := a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err
	}}
}

func nodeIsReady(a *api) condition {
	return condition{"the Node to be Ready", func(ctx context.Context) error {
		node, err := a.get(ctx, "/api/v1/nodes/"+nodeName)
		if err != nil {
			return err
		}
		if ready, err := nodeReady(node); err != nil || !ready {
			return errors.Join(errors.New("its condition Ready is not True"), err)
		}
		return nil
	}}
}
