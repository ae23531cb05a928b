"""A real Kubernetes node on this machine, in a network namespace without a way out.

`make cluster-up` and `make cluster-down` call it, and `make test-cluster` runs the tests inside it. All
servers are the real ones: etcd, kube-apiserver, controller-manager, scheduler, kubelet, kube-proxy,
containerd with runc, CoreDNS, and Calico, which enforces NetworkPolicies.
"""
