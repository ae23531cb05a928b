"""What the node's programs read at start: containerd, the kubelet, the network plugins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cluster.onenode.place import DEBIAN_CNI, DNS_SERVICE, NODE, NODE_PODS, Place
from support.binaries import binary

PAUSE = "localhost/pause:1"

_CONTAINERD = """\
version = 2
root = "{root}/containerd"
state = "{root}/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Where the machine itself is confined, it may not lower its out-of-memory scores.
  restrict_oom_score_adj = true
  disable_apparmor = true
  # Mounts of pods' network namespaces go with the state folder.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}/bin"
    conf_dir = "{cni}/net.d"
"""
_WRITES = ["create", "update", "patch", "delete", "deletecollection"]
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": _WRITES, "userGroups": [group]}
        for group in ("system:serviceaccounts", "system:nodes", "system:masters")
    ],
}


def write(place: Place) -> None:
    """Writes all of them."""
    for folder in (place.logs, place.pids, place.root / "run", place.root / "opt"):
        folder.mkdir(parents=True, exist_ok=True)
    _network_plugins(place)
    (place.root / "containerd.toml").write_text(
        _CONTAINERD.format(
            root=place.root,
            socket=place.containerd_socket,
            pause=PAUSE,
            cni=place.cni,
        )
    )
    # No upstream name server: nothing outside can be reached.
    (place.root / "resolv.conf").write_text(f"nameserver {DNS_SERVICE}\n")
    (place.root / "kubelet.json").write_text(json.dumps(_kubelet(place)))
    (place.root / "audit.json").write_text(json.dumps(_AUDIT))


def _kubelet(place: Place) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{place.containerd_socket}",
        "authentication": {
            "anonymous": {"enabled": True},
            "webhook": {"enabled": False},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(place.root / "resolv.conf"),
        "podLogsDir": str(place.root / "pod-logs"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        # Images cannot be pulled again: none is ever thrown away.
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "enforceNodeAllocatable": [],
        # A confined machine may not raise limits or lower out-of-memory scores.
        "featureGates": {"KubeletInUserNamespace": True},
    }


def _network_plugins(place: Place) -> None:
    programs = place.cni / "bin"
    programs.mkdir(parents=True)
    for name in ("host-local", "portmap", "loopback"):
        (programs / name).symlink_to(DEBIAN_CNI / name)
    # A copy: plugins are looked for by name, and this one lies in the cache under a digest.
    shutil.copy2(binary("calico"), programs / "calico")
    calico = {
        "type": "calico",
        "datastore_type": "kubernetes",
        "nodename": NODE,
        # Only calico/node writes that file, and there is none here.
        "nodename_file_optional": True,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": str(place.cni / "leases"),
            "ranges": [[{"subnet": NODE_PODS}]],
        },
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": str(place.kubeconfig("calico"))},
        "log_file_path": str(place.logs / "calico-cni.log"),
    }
    portmap = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
    _write(
        place.cni / "net.d" / "10-calico.conflist",
        {"name": "pods", "cniVersion": "0.3.1", "plugins": [calico, portmap]},
    )


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
