"""Tools that judge rendered manifests, in an environment of their own: they ask for far more than Assay does.

The chart's tests call them. The environment is made once per digest of its lock, outside the tree.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LOCK = Path(__file__).resolve().parents[2] / "requirements/charts.txt"


class ChecksUnavailableError(Exception):
    """The environment cannot be made on this machine; the message says why."""


def _bin() -> Path:
    """The environment's programs; makes it when there is none.

    Raises:
        ChecksUnavailableError: pip could not install the lock.
    """
    told = _LOCK.read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "assay-chart-checks"
    home.mkdir(parents=True, exist_ok=True)
    place = home / hashlib.sha256(told).hexdigest()[:16]
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _make(place)
    return place / "bin"


def _make(place: Path) -> None:
    """A venv is tied to its path, so it is made in place; `complete` is written last."""
    shutil.rmtree(place, ignore_errors=True)
    python = str(place / "bin/python")
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [python, *install, "--require-hashes", "-r", str(_LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise ChecksUnavailableError(
                f"cannot make the environment of the chart's checks in {place}: {' '.join(said)}"
            )
    (place / "complete").touch()


def checkov(folder: Path) -> dict[str, Any]:
    """What checkov says of every manifest in a folder, by the rules that come with it."""
    words = ["--framework", "kubernetes", "--output", "json", "--compact"]
    words += ["--soft-fail", "--skip-download"]
    return dict(json.loads(_run("checkov", "--directory", str(folder), *words)))


def strictly_valid(version: str, manifests: Sequence[Path]) -> str:
    """What a version of Kubernetes has against manifests; empty: nothing. It knows no EvalRuns."""
    words = ["--strict", "--quiet", "--no-warn", "-k", version]
    try:
        return _run("kubernetes-validate", *words, *map(str, manifests))
    except AssertionError as error:
        return str(error)


def _run(program: str, *words: str) -> str:
    """What it prints.

    Raises:
        AssertionError: it failed; the message is its own.
    """
    done = subprocess.run(
        [_bin() / program, *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout
