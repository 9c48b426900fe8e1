package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func TestTheAPIServersCertificateIsTrustedUnderEachOfItsNames(t *testing.T) {
	keys, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(keys.servingCert, keys.servingKey)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keys.caCert)
	for _, name := range []string{loopback, "localhost", "kubernetes.default.svc"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if pair.Leaf.IsCA {
		t.Error("the API server shows an authority's certificate, which some clients refuse")
	}
}
