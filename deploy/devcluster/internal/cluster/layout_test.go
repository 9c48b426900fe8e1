package cluster

import (
	"os"
	"testing"
)

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestAFolderWithSomebodyElsesFileUnderOurNameIsRefused(t *testing.T) {
	for _, name := range []string{kubeconfigFile, etcdData, logFile(kwok)} {
		l := layout{dir: t.TempDir()}
		touch(t, l.path(name))
		if err := l.claim(); err == nil {
			t.Errorf("a folder with %s is taken", name)
		}
	}
}

func TestAFolderWithOtherFilesIsTakenAndTheyStay(t *testing.T) {
	l := layout{dir: t.TempDir()}
	touch(t, l.path("notes.txt"))
	if err := l.claim(); err != nil {
		t.Fatal(err)
	}
	if err := l.clean(); err != nil {
		t.Fatal(err)
	}
	if !exists(l.path("notes.txt")) {
		t.Error("clean removed what is not the cluster's")
	}
}

func TestLeftoversOfAnEarlierClusterAreRemoved(t *testing.T) {
	l := layout{dir: t.TempDir()}
	touch(t, l.path(lockFile))
	leftovers := []string{kubeconfigFile, pidFile, auditLog, etcdData, logFile(apiServer)}
	for _, name := range leftovers {
		touch(t, l.path(name))
	}
	if err := l.claim(); err != nil {
		t.Fatal(err)
	}
	if err := l.clean(); err != nil {
		t.Fatal(err)
	}
	for _, name := range leftovers {
		if exists(l.path(name)) {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestFilesAreReadableByTheUserOnly(t *testing.T) {
	l := newTestLayout(t)
	if err := l.write(kubeconfigFile, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(l.path(kubeconfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
}
