package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// pki is the cluster's own certificate authority and keys, in PEM. The authority's key is not kept: it signs once.
type pki struct {
	caCert            []byte
	servingCert       []byte
	servingKey        []byte
	serviceAccountKey []byte
}

// newPKI makes a certificate authority, a certificate of the API server that it signed (two, since some TLS clients
// refuse a server that shows an authority's own certificate), and the key that signs service account tokens.
func newPKI() (*pki, error) {
	caKey, _, err := newKey()
	if err != nil {
		return nil, err
	}
	ca := template("devcluster-ca", 1)
	ca.IsCA = true
	ca.BasicConstraintsValid = true
	ca.KeyUsage = x509.KeyUsageCertSign
	caCert, err := sign(ca, ca, caKey, caKey)
	if err != nil {
		return nil, err
	}

	key, servingKey, err := newKey()
	if err != nil {
		return nil, err
	}
	serving := template("kube-apiserver", 2)
	serving.KeyUsage = x509.KeyUsageDigitalSignature
	serving.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serving.IPAddresses = []net.IP{net.ParseIP(loopback)}
	serving.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	servingCert, err := sign(serving, ca, key, caKey)
	if err != nil {
		return nil, err
	}

	_, serviceAccountKey, err := newKey()
	if err != nil {
		return nil, err
	}
	return &pki{caCert, servingCert, servingKey, serviceAccountKey}, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func template(name string, serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // clocks are set back at times
		NotAfter:     now.AddDate(1, 0, 0),
	}
}

func sign(certificate, authority *x509.Certificate, key, authorityKey *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, certificate, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
