package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names in the folder of a cluster. The components run in that folder and are given these names as they are, since not
// every flag of theirs can carry a path with a comma or a space in it.
const (
	lockFile       = "devcluster.lock" // also marks the folder as ours
	pidFile        = "pid"             // of the supervisor, for people; lock.go doesn't rely on it
	kubeconfigFile = "kubeconfig"
	auditLog       = "audit.log"
	detachedLog    = "devcluster.log" // what a detached supervisor prints
	controlSocket  = "control"        // where a supervisor takes orders

	etcdData  = "etcd"
	configDir = "config" // is also the components' home, so that they find no settings of the user's

	caCert            = configDir + "/ca.crt"
	servingCert       = configDir + "/apiserver.crt"
	servingKey        = configDir + "/apiserver.key"
	serviceAccountKey = configDir + "/service-account.key"
	tokenFile         = configDir + "/tokens.csv"
	auditPolicy       = configDir + "/audit-policy.yaml"
	schedulerConfig   = configDir + "/kube-scheduler.yaml"
	kwokConfig        = configDir + "/kwok.yaml"
)

func logFile(component string) string { return component + ".log" }

// userKubeconfig is the kubeconfig of a component. The one of a person is kubeconfigFile.
func userKubeconfig(component string) string { return configDir + "/" + component + ".kubeconfig" }

// layout is the folder that a cluster lives in.
type layout struct {
	dir string // absolute
}

func newLayout(dir string) (layout, error) {
	dir, err := filepath.Abs(dir)
	return layout{dir: dir}, err
}

func (l layout) path(name string) string { return filepath.Join(l.dir, name) }

// volatile are the names that a new start in the same folder begins by removing.
func volatile() []string {
	names := []string{pidFile, kubeconfigFile, auditLog, controlSocket, etcdData, configDir}
	for _, c := range ComponentNames {
		names = append(names, logFile(c))
	}
	return names
}

// claim makes the folder ours. It refuses one that has files of somebody else's under our names, since clean removes them.
func (l layout) claim() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(l.path(lockFile)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range volatile() {
		if _, err := os.Lstat(l.path(name)); err == nil {
			return fmt.Errorf("%s was not made by devcluster, and would be removed: name another folder", l.path(name))
		}
	}
	return nil
}

// clean removes what an earlier cluster left, and makes the folders that the components expect.
func (l layout) clean() error {
	for _, name := range volatile() {
		if err := os.RemoveAll(l.path(name)); err != nil {
			return err
		}
	}
	return os.Mkdir(l.path(configDir), 0o700)
}

// write makes a file that only the user may read: most of them hold a key or a token. It appears with all its content, since
// its appearance may be what somebody waits for.
func (l layout) write(name string, content []byte) error {
	partial := l.path(name + ".partial")
	if err := os.WriteFile(partial, content, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, l.path(name))
}
