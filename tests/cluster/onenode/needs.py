"""What this machine lacks for a cluster, in words that say how to get it."""

from __future__ import annotations

import os
import shutil
import sys

from cluster.onenode.place import DEBIAN_CNI
from support.binaries import ALL, folder

TOOLS = ("etcd", "kubernetes", "coredns", "helm", "calico", "pause", "minio")
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "umount": "mount",
}


def missing() -> list[str]:
    """One line for each thing; empty: a cluster can be started."""
    lacks = []
    if not sys.platform.startswith("linux"):
        return ["Linux: containers and network namespaces are its own"]
    if os.geteuid() != 0:
        lacks.append("root: it makes network namespaces and mounts")
    packages = {p for name, p in _PROGRAMS.items() if shutil.which(name) is None}
    if not (DEBIAN_CNI / "host-local").is_file():
        packages.add("containernetworking-plugins")
    if packages:
        lacks.append(f"programs: apt-get install {' '.join(sorted(packages))}")
    unbuilt = [name for name in TOOLS if not folder(name).is_dir()]
    if unbuilt and shutil.which("go") is None:
        lacks.append(f"Go, to build {', '.join(unbuilt)}")
    assert set(TOOLS) <= set(ALL)
    return lacks
