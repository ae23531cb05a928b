"""Assay and the peer on the same datasets against the same endpoint: how both are run.

The parity tests call it. What is compared is read from the files both sides left, never from objects
(`parity_results`).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from support.awkward_rows import AwkwardDataset
from support.parity_endpoint import ParityEndpoint
from support.parity_results import AssayRun, Both
from support.peer_environment import PeerUnavailableError, peer_python, run_peer

SERVED = "org/My.Model-7B"
PARAMETERS = {"temperature": 0.0, "img_size": -1, "max_tokens": 64, "top_p": 0.5}
"""`top_p` is unknown to upstream and must reach the body."""

_SEVERAL = Path(__file__).with_name("run_with_workers.py")

Models = Sequence[tuple[str, Mapping[str, object]]]
"""What is served, and the parameters a user writes beside it."""


def run_assay(
    folder: Path,
    config: Mapping[str, object],
    *,
    workers: int = 1,
    cache: Path | None = None,
    timeout: float = 600.0,
) -> AssayRun:
    """`assay run` on a file made of `config`, in a process of its own.

    Args:
        folder: for the file and the run.
        config: the file's content.
        workers: infer processes a model.
        cache: where prepared datasets are kept; None: a cache of the run's own.
        timeout: seconds for the whole run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "eval.yaml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    run_dir = folder / "run"
    assay = str(Path(sys.executable).with_name("assay"))
    several = [sys.executable, str(_SEVERAL), str(file), str(run_dir), str(workers)]
    done = subprocess.run(
        [assay, "run", str(file), "--run-dir", str(run_dir)]
        if workers == 1
        else several,
        env=os.environ | {"ASSAY_CACHE": str(cache or folder / "cache")},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return AssayRun(run_dir, done.returncode, done.stdout + done.stderr)


def skip_without_peer() -> None:
    """Skips the test where the peer cannot be installed, with the reason."""
    try:
        peer_python()
    except PeerUnavailableError as error:
        pytest.skip(str(error))


def run_both(
    folder: Path,
    endpoint: ParityEndpoint,
    tables: Mapping[str, Sequence[AwkwardDataset]],
    *,
    models: Models = ((SERVED, PARAMETERS),),
    limit: int | None = None,
    failures: bool = False,
) -> Both:
    """The peer and Assay side by side; each with its own pictures and its own address.

    Args:
        folder: a fresh one.
        endpoint: what both ask.
        tables: the files of each dataset, by its name.
        models: asked about every dataset.
        limit: the first N rows.
        failures: some requests fail: Assay reports a score in spite of them, the peer leaves them out.
    """
    skip_without_peer()
    lmu_data = folder / "lmu"
    lmu_data.mkdir(parents=True)
    paths: dict[str, Path] = {}
    for table in (each for several in tables.values() for each in several):
        paths[table.name] = table.write(lmu_data)
        endpoint.replies |= table.replies
    written = [
        {"name": "CustomAPIModel", "type": served, **parameters}
        for served, parameters in models
    ]
    theirs = [model | {"api_base": endpoint.url("peer")} for model in written]
    # `wait` scales the pause before a second attempt and nothing else.
    own = {"api_base": endpoint.url("assay"), "wait": 0.05}
    config = eval_file(
        folder / "outputs",
        [model | own for model in written],
        list(tables),
        paths,
        limit=limit,
    )
    if failures:
        config["coverage_threshold"] = 0.5
    with ThreadPoolExecutor(1, thread_name_prefix="peer") as pool:
        running = pool.submit(
            run_peer,
            folder / "peer",
            lmu_data=lmu_data,
            datasets=list(tables),
            model=theirs[0],
            more_models=theirs[1:],
            nproc=8,
            retry=2,
            limit=limit,
            drop_failed=failures,
        )
        assay = run_assay(folder / "assay", config)
        return Both(running.result(), assay, endpoint)


def eval_file(
    work_dir: Path,
    models: Sequence[Mapping[str, object]],
    datasets: Sequence[str],
    files: Mapping[str, Path],
    *,
    limit: int | None = None,
) -> dict[str, object]:
    """The EvalScope file a user would write for these datasets and TSVs."""
    evaluation: dict[str, object] = {
        "model": [dict(model) for model in models],
        "data": list(datasets),
        "mode": "all",
        "retry": 2,
        "nproc": 8,
        "judge": "exact_matching",
    }
    if limit:
        evaluation["limit"] = limit
    return {
        "work_dir": str(work_dir),
        "eval_backend": "VLMEvalKit",
        "eval_config": evaluation,
        "dataset_sources": {
            name: {"path": str(path), "md5": _md5(path)} for name, path in files.items()
        },
    }


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
