"""The network namespace of the cluster: made, entered, removed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster.onenode.place import NAMESPACE, NODE_ADDRESS

_HANDLE = Path("/run/netns") / NAMESPACE
# The kernel may have no dummy device; a bridge without ports is as good an address holder.
_DEVICE = "node0"


def inside(command: Sequence[str]) -> list[str]:
    """The command, to be run inside; not by `ip netns exec`, which would hide cgroups from the kubelet."""
    return ["nsenter", f"--net={_HANDLE}", *command]


def make() -> None:
    """Makes the namespace with the node's address in it."""
    _run(["ip", "netns", "add", NAMESPACE])
    for command in (
        "ip link set lo up",
        f"ip link add {_DEVICE} type bridge",
        f"ip addr add {NODE_ADDRESS}/24 dev {_DEVICE}",
        f"ip link set {_DEVICE} up",
        # To nowhere: servers look for a default route to find the node's address.
        f"ip route replace default via 10.99.0.254 dev {_DEVICE}",
        "sysctl -qw net.ipv4.ip_forward=1",
    ):
        _run(inside(command.split()))


def remove() -> None:
    """Removes it with its devices, routes and packet filters; none there is no error."""
    if _HANDLE.exists():
        _run(["ip", "netns", "delete", NAMESPACE])


def exists() -> bool:
    """Whether it is there."""
    return _HANDLE.exists()


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
