"""Assay and the peer on the same datasets against the same endpoint, and how their results are compared.

The parity tests call it; what is compared is read from the files both sides left, never from objects.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
import yaml

from support.awkward_tsvs import AwkwardDataset
from support.parity_endpoint import ParityEndpoint
from support.peer_environment import (
    PeerRun,
    PeerUnavailableError,
    peer_python,
    run_peer,
)

SERVED = "org/My.Model-7B"
PARAMETERS = {"temperature": 0.0, "img_size": -1, "max_tokens": 64, "top_p": 0.5}
"""`top_p` is unknown to upstream and must reach the body."""


@dataclass(frozen=True)
class AssayRun:
    """What one `assay run` left behind."""

    folder: Path
    code: int
    said: str
    key: str

    def report(self) -> Mapping[str, object]:
        """`report.json`."""
        return json.loads((self.folder / "report.json").read_text())

    def task(self, dataset: str) -> Mapping[str, object]:
        """The report's entry for one dataset."""
        tasks = self.report()["tasks"]
        return next(task for task in tasks if task["dataset"] == dataset)

    def samples(self, dataset: str) -> list[Mapping[str, object]]:
        """The rows of the sample table."""
        path = self.folder / "samples" / self.key / f"{dataset}.parquet"
        return pq.read_table(path).to_pylist()

    def files(self, dataset: str) -> dict[str, Path]:
        """Upstream's files of one dataset, by name."""
        found = (self.folder / self.key).glob(f"{self.key}_{dataset}*")
        return {path.name: path for path in found}


@dataclass(frozen=True)
class Both:
    """The two sides after they ran on the same datasets."""

    peer: PeerRun
    assay: AssayRun
    endpoint: ParityEndpoint

    def peer_samples(self, dataset: str) -> Mapping[str, Mapping[str, object]]:
        """The peer's raw predictions and verdicts, by index."""
        path = self.peer.folder / f"{dataset}.samples.json"
        return json.loads(path.read_text())

    def peer_files(self, dataset: str, folder: str = "") -> dict[str, Path]:
        """The peer's files of one dataset by name, without pickles."""
        key = self.assay.key
        found = (self.peer.folder / folder / key).glob(f"{key}_{dataset}*")
        return {path.name: path for path in found if path.suffix != ".pkl"}


def run_assay(
    folder: Path,
    config: Mapping[str, object],
    *,
    key: str,
    arguments: tuple[str, ...] = (),
    timeout: float = 300.0,
) -> AssayRun:
    """`assay run` on a file made of `config`, in a process of its own, with a cache of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "eval.yaml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    run_dir = folder / "run"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("assay")), "run", str(file)),
            *("--run-dir", str(run_dir), *arguments),
        ],
        env=os.environ | {"ASSAY_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return AssayRun(run_dir, done.returncode, done.stdout + done.stderr, key)


def run_both(
    folder: Path,
    endpoint: ParityEndpoint,
    datasets: list[AwkwardDataset],
    *,
    served: str = SERVED,
    parameters: Mapping[str, object] = PARAMETERS,
    limit: int | None = None,
    failures: bool = False,
) -> Both:
    """The peer first, then Assay; each with its own pictures and its own address.

    Where the peer cannot be installed the test is skipped, with the reason.
    """
    try:
        peer_python()
    except PeerUnavailableError as error:
        pytest.skip(str(error))
    lmu_data = folder / "lmu"
    lmu_data.mkdir(parents=True)
    paths = {made.name: made.write(lmu_data) for made in datasets}
    for made in datasets:
        endpoint.replies |= made.replies
    model = {"name": "CustomAPIModel", "type": served, **parameters}
    peer = run_peer(
        folder / "peer",
        lmu_data=lmu_data,
        datasets=list(paths),
        model=model | {"api_base": endpoint.url("peer")},
        nproc=8,
        retry=2,
        limit=limit,
        drop_failed=failures,
    )
    # `wait` scales the pause before a second attempt and nothing else.
    ours = model | {"api_base": endpoint.url("assay"), "wait": 0.05}
    config = eval_file(folder / "outputs", ours, paths, limit=limit)
    if failures:
        config["coverage_threshold"] = 0.5
    key = str(peer.facts["model_name"])
    return Both(peer, run_assay(folder / "assay", config, key=key), endpoint)


def eval_file(
    work_dir: Path,
    model: Mapping[str, object],
    datasets: Mapping[str, Path],
    *,
    limit: int | None = None,
) -> dict[str, object]:
    """The EvalScope file a user would write for these TSVs."""
    evaluation: dict[str, object] = {
        "model": [dict(model)],
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
            name: {"path": str(path), "md5": _md5(path)}
            for name, path in datasets.items()
        },
    }


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def content(path: Path) -> object:
    """A result file by content: an xlsx file carries the time it was made."""
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        try:
            return {
                sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)]
                for sheet in book.worksheets
            }
        finally:
            book.close()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.reader(stream))
    return path.read_bytes()
