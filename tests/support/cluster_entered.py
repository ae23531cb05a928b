"""Brings the cluster for tests up and goes into its network, from inside a test session.

`make test` asks for it with ASSAY_TEST_CLUSTER=start, so that one session holds all tests, those of the
cluster last; what is missing for it is what they are skipped with. `make test-cluster` enters before pytest
starts, and sets it to 1. Otherwise no cluster is touched: never somebody's by accident.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from images.build import version

from cluster.onenode.needs import missing
from cluster.onenode.place import NAMESPACE, here
from support.binaries import binary

ROOT = Path(__file__).parents[2]
_VARIABLE = "ASSAY_TEST_CLUSTER"
_UNTIL = "ASSAY_TEST_CLUSTER_UNTIL"
"""Seconds since 1970 after which there is no time left for these tests."""

_HANDLE = Path("/run/netns") / NAMESPACE
_ITSELF = Path("/proc/thread-self/ns/net")
_NEW_NETWORK = 0x40000000
_IMAGES = ("worker", "judge", "control", "scorer", "digits")
_IMAGE_SECONDS = 900
_UP_SECONDS = 1500
_LOAD_SECONDS = 300
_DOWN_SECONDS = 120


@dataclass
class _Session:
    """What this session did, to be undone at its end."""

    tried: bool = False
    refused: str = f"{_VARIABLE} is not set: `make test-cluster` starts a cluster (root, Linux, Go)"
    outside: int | None = None
    ours: bool = False


_SESSION = _Session()


class _CannotError(Exception):
    """The cluster cannot be had here; the text says why."""


def refused() -> str:
    """Why tests of the cluster do not run; empty: they do."""
    return "" if os.environ.get(_VARIABLE) == "1" else _SESSION.refused


def enter() -> None:
    """Starts the cluster and goes into its network, if that is asked for; once."""
    if os.environ.get(_VARIABLE) != "start" or _SESSION.tried:
        return
    _SESSION.tried = True
    # A kubeconfig that happens to be set is not ours.
    os.environ.pop("KUBECONFIG", None)
    try:
        _prepare()
    except _CannotError as error:
        _SESSION.refused = f"no cluster for tests here: {error}"
        return
    _SESSION.outside = os.open(_ITSELF, os.O_RDONLY)
    _go_into(_HANDLE)
    tools = [str(binary(name).parent) for name in ("kubectl", "helm")]
    os.environ["PATH"] = os.pathsep.join([*tools, os.environ["PATH"]])
    os.environ["KUBECONFIG"] = str(here().kubeconfig())
    os.environ[_VARIABLE] = "1"


def leave() -> None:
    """Comes back, and takes the cluster away if this session started it."""
    if _SESSION.outside is None:
        return
    _set(_SESSION.outside)
    os.close(_SESSION.outside)
    _SESSION.outside = None
    del os.environ["KUBECONFIG"]
    if _SESSION.ours:
        _run("cluster.onenode", "down", seconds=_DOWN_SECONDS)


def _prepare() -> None:
    if lacks := missing():
        raise _CannotError("; ".join(lacks))
    until = os.environ.get(_UNTIL)
    if until and time.time() > float(until):
        raise _CannotError("the time for it was used up by what came before")
    _run("images.build", "--base", "local", *_IMAGES, seconds=_IMAGE_SECONDS)
    _SESSION.ours = "came up" in _run("cluster.onenode", "up", seconds=_UP_SECONDS)
    names = [f"localhost/assay/{name}:{version()}" for name in _IMAGES]
    _run("cluster.onenode", "load", *names, seconds=_LOAD_SECONDS)


def _run(module: str, *words: str, seconds: float) -> str:
    """What a command of ours prints.

    Raises:
        _CannotError: it failed, or took too long; what it started is gone with it.
    """
    command = [sys.executable, "-m", module, *words]
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _CannotError(
            f"{module} {words[0]} took more than {seconds:.0f} s"
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise _CannotError(f"{module} {words[0]} failed: {said}")
    return done.stdout


def _go_into(handle: Path) -> None:
    descriptor = os.open(handle, os.O_RDONLY)
    try:
        _set(descriptor)
    finally:
        os.close(descriptor)


def _set(descriptor: int) -> None:
    """Moves this thread, and whatever it starts from now on.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "cannot change the network namespace")
