package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// order is what a supervisor is asked to do, and all that it can be asked: one JSON text on a connection.
type order struct {
	Restart string        // name of a component
	DownFor time.Duration // between its end and its new start
}

// answer is what it says when that is done: an error, or nothing.
type answer struct {
	Error string
}

// Restart kills a component of the cluster in the folder, starts it again after downFor, and returns when the API server is
// ready again. It says on out what it did.
func Restart(ctx context.Context, dir, component string, downFor time.Duration, out io.Writer) error {
	l, err := newLayout(dir)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := l.send(ctx, order{component, downFor}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is back after %.1f s\n", component, time.Since(began).Seconds())
	return err
}

// send returns when the supervisor of the folder has done as it was told.
func (l layout) send(ctx context.Context, o order) error {
	path, done, err := l.controlPath()
	if err != nil {
		return err
	}
	defer done()
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // without the way to the socket, which says nothing to a person
	}
	if err != nil {
		return fmt.Errorf("no cluster is running in %s, or it is not ready yet (%w)", l.dir, err)
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	if err := json.NewEncoder(connection).Encode(o); err != nil {
		return err
	}
	var a answer
	if err := json.NewDecoder(connection).Decode(&a); err != nil {
		return fmt.Errorf("the cluster in %s has ended meanwhile (%w)", l.dir, err)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// takeOrders does what it is told over the folder's socket, until end is called.
func (l layout) takeOrders(ctx context.Context, do func(context.Context, order) error) (end func(), err error) {
	path, done, err := l.controlPath()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		done()
		return nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				var o order
				err := json.NewDecoder(connection).Decode(&o)
				if err == nil {
					err = do(ctx, o)
				}
				a := answer{}
				if err != nil {
					a.Error = err.Error()
				}
				// Who asked may have gone.
				_ = json.NewEncoder(connection).Encode(a)
			}()
		}
	}()
	return func() {
		_ = listener.Close() // removes the socket
		done()
	}, nil
}

// controlPath names the socket by way of an open folder, since a socket's path may have 107 bytes only. It is good until done
// is called.
func (l layout) controlPath() (path string, done func(), err error) {
	folder, err := os.Open(l.dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlSocket), func() { _ = folder.Close() }, nil
}
