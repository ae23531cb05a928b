"""How each server of the cluster is started. Every flag that is not plain has its reason beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.onenode.place import (
    NODE,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Place,
)
from support.binaries import binary

_ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True)
class Server:
    """A command and what it finds in its environment beside PATH."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def etcd(place: Place) -> Server:
    """The database; it may forget at a power cut, for speed."""
    return Server(
        [
            str(binary("etcd")),
            f"--data-dir={place.root}/etcd",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
        ]
    )


def apiserver(place: Place) -> Server:
    """The API server, with fixed tokens for the cluster's own parts."""
    pki = place.pki
    return Server(
        [
            str(binary("kube-apiserver")),
            f"--etcd-servers={_ETCD}",
            "--secure-port=6443",
            f"--advertise-address={NODE_ADDRESS}",
            f"--tls-cert-file={pki}/api.crt",
            f"--tls-private-key-file={pki}/api.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--token-auth-file={pki}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--allow-privileged=true",
            # Else logs and exec look the node's name up.
            "--kubelet-preferred-address-types=InternalIP",
            # Who wrote what: tests count it.
            f"--audit-policy-file={place.root}/audit.json",
            f"--audit-log-path={place.audit}",
        ]
    )


def controller_manager(place: Place) -> Server:
    """The controllers, each with its own service account."""
    return Server(
        [
            str(binary("kube-controller-manager")),
            f"--kubeconfig={place.kubeconfig('controller-manager')}",
            f"--service-account-private-key-file={place.pki}/sa.key",
            f"--root-ca-file={place.pki}/ca.crt",
            "--use-service-account-credentials",
            "--allocate-node-cidrs",
            f"--cluster-cidr={POD_NETWORK}",
            "--leader-elect=false",
        ]
    )


def scheduler(place: Place) -> Server:
    """The scheduler."""
    return Server(
        [
            str(binary("kube-scheduler")),
            f"--kubeconfig={place.kubeconfig('scheduler')}",
            "--leader-elect=false",
        ]
    )


def containerd(place: Place) -> Server:
    """What runs containers."""
    return Server(["containerd", "--config", str(place.root / "containerd.toml")])


def kubelet(place: Place) -> Server:
    """The node's agent."""
    return Server(
        [
            str(binary("kubelet")),
            f"--config={place.root}/kubelet.json",
            f"--kubeconfig={place.kubeconfig('kubelet')}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
            f"--root-dir={place.root}/kubelet",
            f"--cert-dir={place.root}/kubelet/pki",
        ]
    )


def proxy(place: Place) -> Server:
    """What makes Services reachable."""
    return Server(
        [
            str(binary("kube-proxy")),
            f"--kubeconfig={place.kubeconfig('proxy')}",
            "--proxy-mode=iptables",
            f"--hostname-override={NODE}",
            f"--cluster-cidr={POD_NETWORK}",
            # It may not be changed on a confined machine.
            "--conntrack-max-per-core=0",
        ]
    )


def felix(place: Place) -> Server:
    """What enforces NetworkPolicies."""
    return Server(
        [str(binary("calico-felix"))],
        {
            "KUBECONFIG": str(place.kubeconfig("calico")),
            "DATASTORE_TYPE": "kubernetes",
            "FELIX_DATASTORETYPE": "kubernetes",
            "FELIX_FELIXHOSTNAME": NODE,
            # Else pods never reach the API server, whatever a policy says: it is a process of the node.
            "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
            "FELIX_IPTABLESBACKEND": "NFT",
            "FELIX_IPV6SUPPORT": "false",
            "FELIX_BPFENABLED": "false",
            "FELIX_XDPENABLED": "false",
            "FELIX_USAGEREPORTINGENABLED": "false",
            "FELIX_LOGFILEPATH": "none",
            "FELIX_LOGSEVERITYFILE": "none",
            "FELIX_LOGSEVERITYSYS": "none",
            "FELIX_LOGSEVERITYSCREEN": "Info",
        },
    )
