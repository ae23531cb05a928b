"""The peer: real VLMEvalKit in a venv of its own, made once per digest of its locked requirements.

The parity tests and the benchmark call it. The peer shares no code with Assay: the scripts it runs
stand in `peer/` and import nothing of ours, so that agreement between the two means something.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LOCKS = (_ROOT / "requirements/peer.txt", _ROOT / "requirements/vlmeval.txt")
SCRIPT = Path(__file__).with_name("peer") / "run_vlmevalkit.py"


@dataclass(frozen=True)
class PeerRun:
    """What one run of the peer left behind."""

    folder: Path
    facts: Mapping[str, object]

    def files(self, dataset: str) -> list[Path]:
        """Upstream's result files of one dataset (no `status.json`)."""
        model = str(self.facts["model_name"])
        return sorted((self.folder / model).glob(f"{model}_{dataset}*"))


class PeerUnavailableError(Exception):
    """The peer's environment cannot be made on this machine; the message says why."""


def peer_python() -> Path:
    """The peer's interpreter; makes its environment when there is none.

    Raises:
        PeerUnavailableError: pip could not install the locked requirements.
    """
    digest = hashlib.sha256(
        b"".join(lock.read_bytes() for lock in _LOCKS) + sys.version.encode()
    ).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "assay-peer"
    home.mkdir(parents=True, exist_ok=True)
    place = home / digest
    with (home / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _make(place)
    return place / "bin" / "python"


def _make(place: Path) -> None:
    """A venv is tied to its path, so it is made in place; `complete` is written last."""
    shutil.rmtree(place, ignore_errors=True)
    python = str(place / "bin/python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [*pip, "--require-hashes", "-r", str(_LOCKS[0])],
        [*pip, "--require-hashes", "--no-deps", "-r", str(_LOCKS[1])],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise PeerUnavailableError(
                f"cannot make VLMEvalKit's environment in {place}: {' '.join(said)}"
            )
    (place / "complete").touch()


def run_peer(
    folder: Path,
    *,
    lmu_data: Path,
    datasets: list[str],
    model: Mapping[str, object],
    more_models: Sequence[Mapping[str, object]] = (),
    nproc: int = 4,
    retry: int = 6,
    limit: int | None = None,
    drop_failed: bool = False,
    skip_sleep: bool = True,
    timeout: float = 600.0,
    script: Path = SCRIPT,
    environment: Mapping[str, str] = {},
) -> PeerRun:
    """Runs VLMEvalKit's own inference and `evaluate()` and returns what it left.

    Args:
        folder: a fresh folder; upstream's files appear in `<folder>/<model name>/`.
        lmu_data: where the TSVs are; upstream puts its pictures there too.
        datasets: names, in order.
        model: the model of the EvalScope file, as the user writes it.
        more_models: run after the first, on the same datasets.
        nproc: requests in flight.
        retry: attempts; overrides the model's own, as upstream does.
        limit: the first N rows.
        drop_failed: evaluate a second time, in `remaining/`, without the rows whose request failed and
            those that upstream counts together with one of them.
        skip_sleep: leave out upstream's random pauses; they cannot change a result.
        timeout: seconds for the whole run.
        script: what is run there.
        environment: variables that upstream reads.

    Raises:
        PeerUnavailableError: there is no environment to run it in.
        RuntimeError: the peer failed; the message holds the end of what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = {
        "datasets": datasets,
        "models": [dict(each) for each in (model, *more_models)],
        "nproc": nproc,
        "retry": retry,
        "limit": limit,
        "folder": str(folder),
        "drop_failed": drop_failed,
        "skip_sleep": skip_sleep,
    }
    (folder / "job.json").write_text(json.dumps(job))
    # A scrubbed environment: VERBOSE, http_proxy and their like change what upstream does.
    scrubbed = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LMUData": str(lmu_data),
        "PYTHONHASHSEED": "0",
        **environment,
    }
    with (folder / "peer.log").open("wb") as log:
        code = subprocess.run(
            [str(peer_python()), str(script), str(folder / "job.json")],
            env=scrubbed,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        ).returncode
    if code != 0:
        said = (folder / "peer.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"the peer ended with {code} in {folder}:\n{said}")
    return PeerRun(folder, json.loads((folder / "facts.json").read_text()))
