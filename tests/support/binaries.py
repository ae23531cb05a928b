"""Servers that tests run against for real, built from Go modules that `tools/` pins.

`make` calls this as a command before tests that need them; tests and the test cluster ask `binary` where
one lies. What was built stays in a cache outside the tree, under the digest of what it was built from: a
clean checkout builds nothing again, and a changed pin never meets an old binary.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"
_PINS = ("go.mod", "go.sum", "tools.go")
_BUILD_SECONDS = 3000
_KUBERNETES = (
    "k8s.io/component-base/version.gitVersion=v1.34.4",
    "k8s.io/component-base/version.gitMajor=1",
    "k8s.io/component-base/version.gitMinor=34",
    "k8s.io/component-base/version.gitTreeState=clean",
)


class MissingError(Exception):
    """A binary that was not built yet, or cannot be built on this machine."""


@dataclass(frozen=True)
class Tool:
    """One folder of `tools/`.

    Attributes:
        packages: what is built, by the name of the binary.
        stamps: variables that the linker sets, for programs that say their own version.
    """

    packages: dict[str, str]
    stamps: Sequence[str] = ()


def _kubernetes(*names: str) -> dict[str, str]:
    return {name: f"k8s.io/kubernetes/cmd/{name}" for name in names}


ALL = {
    "minio": Tool({"minio": "github.com/minio/minio"}),
    "etcd": Tool({"etcd": "go.etcd.io/etcd/server/v3"}),
    "helm": Tool({"helm": "helm.sh/helm/v3/cmd/helm"}),
    "coredns": Tool({"coredns": "github.com/coredns/coredns"}),
    "kubernetes": Tool(
        _kubernetes(
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
        _KUBERNETES,
    ),
    "calico": Tool(
        {
            "calico": "github.com/projectcalico/calico/cni-plugin/cmd/calico",
            "calico-felix": "github.com/projectcalico/calico/felix/cmd/calico-felix",
        }
    ),
}


def binary(name: str) -> Path:
    """Where a binary lies.

    Raises:
        MissingError: it was not built yet.
    """
    for tool_name, tool in ALL.items():
        if name in tool.packages:
            path = folder(tool_name) / name
            if path.is_file():
                return path
            raise MissingError(
                f"{name} is not built: `make tools TOOLS={tool_name}` (needs Go)"
            )
    raise MissingError(f"no folder of tools/ builds {name}")


def folder(tool_name: str) -> Path:
    """The cache folder of a tool as it is pinned now."""
    digest = hashlib.sha256(repr(ALL[tool_name]).encode())
    for pin in _PINS:
        digest.update((TOOLS / tool_name / pin).read_bytes())
    return _cache() / f"{tool_name}-{digest.hexdigest()[:16]}"


def build(tool_name: str) -> float:
    """Builds a tool unless it is there; returns the seconds that took.

    Raises:
        MissingError: there is no Go here, or it refused.
    """
    target = folder(tool_name)
    start = time.monotonic()
    with _alone(target):
        if not target.is_dir():
            _build(tool_name, target)
    return time.monotonic() - start


def _build(tool_name: str, target: Path) -> None:
    if shutil.which("go") is None:
        raise MissingError(
            f"{tool_name} cannot be built: there is no Go on this machine"
        )
    tool = ALL[tool_name]
    stamps = "".join(f" -X {stamp}" for stamp in tool.stamps)
    # Whole or absent, whenever this is killed: the folder gets its name at the end.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as parts:
        made = Path(parts) / "made"
        for name, package in tool.packages.items():
            command = ["go", "build", "-mod=readonly", "-trimpath"]
            command += ["-ldflags", f"-s -w{stamps}", "-o", str(made / name), package]
            done = subprocess.run(
                command,
                cwd=TOOLS / tool_name,
                env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
                check=False,
            )
            if done.returncode:
                raise MissingError(f"{name} cannot be built:\n{done.stderr[-2000:]}")
        made.rename(target)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "assay-tools"


def main(names: Sequence[str]) -> int:
    """Builds what is named, says how long each took, and fails with the first that cannot be built."""
    for name in names or list(ALL):
        if name not in ALL:
            sys.stderr.write(f"error: no tool {name}: there are {', '.join(ALL)}\n")
            return 2
        try:
            seconds = build(name)
        except MissingError as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stdout.write(f"{name}: {folder(name)} ({seconds:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
