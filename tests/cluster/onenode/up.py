"""Starts the cluster, or finds it running: etcd first, then what needs it, each awaited."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.onenode import (
    credentials,
    dns,
    images,
    network,
    processes,
    servers,
    settings,
)
from cluster.onenode.down import down
from cluster.onenode.kubectl import apply, kubectl
from cluster.onenode.place import NODE, Place
from support.binaries import binary, build, folder

GPUS = 2
MINIO_IMAGE = "localhost/minio:1"
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.1
_SERVERS = (
    "etcd",
    "apiserver",
    "controller-manager",
    "scheduler",
    "containerd",
    "kubelet",
    "proxy",
    "felix",
)


class StartError(Exception):
    """The cluster did not come up; the message holds the ends of its servers' logs."""


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """One command at a time may start or end the cluster."""
    place.root.parent.mkdir(parents=True, exist_ok=True)
    with place.root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(place: Place, tools: tuple[str, ...]) -> bool:
    """Brings the cluster up; False: it was up already, made of the same parts.

    Raises:
        StartError: a server did not become ready.
        MissingError: a binary cannot be built.
    """
    for name in tools:
        build(name)
    wanted = _identity(tools)
    if _is_up(place, wanted):
        return False
    down(place)
    try:
        _start(place)
    except (StartError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        logs = processes.describe(place, dict.fromkeys(_SERVERS, ""))
        raise StartError(
            f"the cluster did not come up: {error}\n{said}\n{logs}"
        ) from error
    place.ready.write_text(wanted)
    return True


def _is_up(place: Place, wanted: str) -> bool:
    return (
        network.exists()
        and place.ready.is_file()
        and place.ready.read_text() == wanted
        and all(processes.alive(place, name) for name in _SERVERS)
    )


def _identity(tools: tuple[str, ...]) -> str:
    """A digest of what the cluster is made of: binaries and the code of this folder."""
    digest = hashlib.sha256()
    for name in tools:
        digest.update(folder(name).name.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _start(place: Place) -> None:
    place.root.mkdir(parents=True)
    place.root.chmod(0o711)
    network.make()
    credentials.make(place)
    settings.write(place)
    processes.start(place, "etcd", servers.etcd(place))
    processes.start(place, "containerd", servers.containerd(place))
    processes.start(place, "apiserver", servers.apiserver(place))
    _await(place, "the API server", lambda: kubectl(place, "get", "--raw", "/readyz"))
    processes.start(place, "controller-manager", servers.controller_manager(place))
    processes.start(place, "scheduler", servers.scheduler(place))
    _load_own_images(place)
    _start_network(place)
    processes.start(place, "kubelet", servers.kubelet(place))
    kinds = "--for=condition=Ready"
    _await(place, "the node", lambda: kubectl(place, "wait", kinds, f"node/{NODE}"))
    _fake_gpus(place)
    apply(place, *dns.objects())
    kubectl(place, "-n", "kube-system", "rollout", "status", "deploy/coredns")


def _start_network(place: Place) -> None:
    definitions = folder("calico") / "crd"
    kubectl(place, "apply", "--server-side", "-f", str(definitions))
    kubectl(place, "wait", "--for=condition=Established", "crd", "--all")
    apply(
        place,
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "ClusterInformation",
            "metadata": {"name": "default"},
            "spec": {"datastoreReady": True},
        },
    )
    processes.start(place, "proxy", servers.proxy(place))
    processes.start(place, "felix", servers.felix(place))


def _load_own_images(place: Place) -> None:
    made = place.root / "images"
    made.mkdir()
    for name, program in (
        (settings.PAUSE, "pause"),
        (dns.IMAGE, "coredns"),
        (MINIO_IMAGE, "minio"),
    ):
        images.load(place, images.archive(made / program, name, binary(program)))
        (made / program).unlink()


def _fake_gpus(place: Place) -> None:
    """Graphics cards that are not there; the scheduler counts them like real ones."""
    counted = {"nvidia.com/gpu": str(GPUS)}
    patch = {"status": {"capacity": counted, "allocatable": counted}}
    kubectl(
        place,
        *("patch", "node", NODE, "--subresource=status", "--type=merge"),
        *("-p", json.dumps(patch)),
    )


def _await(place: Place, what: str, ask: Callable[[], object]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            ask()
        except subprocess.SubprocessError as error:
            dead = [n for n in processes.names(place) if not processes.alive(place, n)]
            if dead or time.monotonic() > until:
                ended = f"; ended: {', '.join(dead)}" if dead else ""
                raise StartError(f"{what} is not ready{ended}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return
