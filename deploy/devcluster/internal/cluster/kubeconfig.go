package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// user is somebody that the API server knows by a token.
type user struct {
	name   string
	groups string
	token  string
}

// users are who talks to the API server. Each component has a name of its own, and the rights that Kubernetes gives it by
// that name, so that an audit log tells a person's writes from theirs.
type users struct {
	admin             user
	controllerManager user
	scheduler         user
	kwok              user
}

func newUsers() users {
	return users{
		admin:             user{"admin", "system:masters", rand.Text()},
		controllerManager: user{"system:kube-controller-manager", "", rand.Text()},
		scheduler:         user{"system:kube-scheduler", "", rand.Text()},
		// Kubernetes has no role for it: it acts as the kubelet of every Node, and deletes Pods besides.
		kwok: user{"kwok", "system:masters", rand.Text()},
	}
}

// tokenCSV is the API server's --token-auth-file. The second name is the user's id.
func (u users) tokenCSV() []byte {
	var csv bytes.Buffer
	for _, user := range []user{u.admin, u.controllerManager, u.scheduler, u.kwok} {
		fmt.Fprintf(&csv, "%s,%s,%s,%s\n", user.token, user.name, user.name, user.groups)
	}
	return csv.Bytes()
}

// kubeconfig lets the user log in to the API server at the address.
func kubeconfig(address string, caCert []byte, u user) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: devcluster
contexts:
- name: devcluster
  context: {cluster: devcluster, user: %[1]q}
clusters:
- name: devcluster
  cluster:
    server: https://%[2]s
    certificate-authority-data: %[3]s
users:
- name: %[1]q
  user:
    token: %[4]s
`, u.name, address, base64.StdEncoding.EncodeToString(caCert), u.token)
}
