//go:build tools

// Package tools pins what enforces NetworkPolicies in the test cluster.
package tools

import (
	_ "github.com/projectcalico/calico/cni-plugin/cmd/calico"
	_ "github.com/projectcalico/calico/felix/cmd/calico-felix"
)
