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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"
_PINS = ("go.mod", "go.sum", "tools.go")
_BUILD_SECONDS = 3000
_CALICO = "github.com/projectcalico/calico"
_OPERATOR = "github.com/prometheus-operator/prometheus-operator"
_KUBERNETES = (
    "k8s.io/component-base/version.gitVersion=v1.34.4",
    "k8s.io/component-base/version.gitMajor=1",
    "k8s.io/component-base/version.gitMinor=34",
    "k8s.io/component-base/version.gitTreeState=clean",
)
_HELM = (
    "helm.sh/helm/v3/internal/version.version=v3.22.0",
    # What it takes a cluster to be where it is not asked: `helm template`, `helm lint`.
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34",
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1",
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34",
)


class MissingError(Exception):
    """A binary that was not built yet, or cannot be built on this machine."""


@dataclass(frozen=True)
class Tool:
    """One folder of `tools/`.

    Attributes:
        packages: what is built, by the name of the binary.
        stamps: variables that the linker sets, for programs that say their own version.
        copies: folders of modules that are wanted beside the binaries: (module, folder) by name.
    """

    packages: dict[str, str]
    stamps: Sequence[str] = ()
    copies: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def _kubernetes(*names: str) -> dict[str, str]:
    return {name: f"k8s.io/kubernetes/cmd/{name}" for name in names}


ALL = {
    "minio": Tool({"minio": "github.com/minio/minio"}),
    "etcd": Tool({"etcd": "go.etcd.io/etcd/server/v3"}),
    "helm": Tool({"helm": "helm.sh/helm/v3/cmd/helm"}, _HELM),
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
    "pause": Tool({"pause": "."}),
    "calico": Tool(
        {
            "calico": f"{_CALICO}/cni-plugin/cmd/calico",
            "calico-felix": f"{_CALICO}/felix/cmd/calico-felix",
        },
        copies={"crd": (_CALICO, "libcalico-go/config/crd")},
    ),
    "prometheus-operator": Tool(
        {}, copies={"crd": (_OPERATOR, "example/prometheus-operator-crd")}
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
            words = ["build", "-mod=readonly", "-trimpath"]
            words += ["-ldflags", f"-s -w{stamps}", "-o", str(made / name), package]
            _go(tool_name, words)
        for name, (module, inner) in tool.copies.items():
            _go(tool_name, ["mod", "download", module])
            source = _go(tool_name, ["list", "-m", "-f", "{{.Dir}}", module]).strip()
            shutil.copytree(Path(source) / inner, made / name)
        made.rename(target)


def _go(tool_name: str, words: Sequence[str]) -> str:
    done = subprocess.run(
        ["go", *words],
        cwd=TOOLS / tool_name,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise MissingError(f"{tool_name} cannot be built:\n{done.stderr[-2000:]}")
    return done.stdout


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
