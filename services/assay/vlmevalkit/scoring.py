"""The sealed scoring child: imports VLMEvalKit, seals itself, then reads a task and scores it.

The scorer's supervisor runs it as `SealedJob(module="assay.vlmevalkit.scoring", ...)`. Its folder holds
`lmu/<dataset>.tsv` (a collection's is a tar of its members' tables) and `predictions.jsonl` (one
`{"id", "text" | "reason"}` per row); the document on standard input is `{"dataset", "model", "judge",
"limit", "predictions_only"}`. It answers with lines: `rows` in dataset order, then `done`, or `error`.
Files to publish are moved into `out/`.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import mimetypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from assay.domain.errors import AssayError
from assay.domain.sample import UnscoredReason
from assay.domain.score import Verdict
from assay.seal.child import Outlet, read_input, seal
from assay.vlmevalkit import (
    scoring_collections,
    scoring_passes,
    scoring_plumbing,
    shim,
)
from assay.vlmevalkit.scoring_passes import Answer, Scored

ROWS_PER_LINE = 200
CELL_LIMIT = 65_536
"""Characters of one cell that are passed on; upstream's own files cut at half of that."""

_VERSIONS = ("ms-vlmeval", "pillow", "pandas", "numpy", "openpyxl", "xlsxwriter")


def main() -> None:
    """Imports, seals, scores."""
    shim.install()
    os.environ["LMUData"] = str(Path("lmu").resolve())  # noqa: SIM112 - upstream's spelling
    # Upstream's progress bars, one per row where it is asked about rows alone.
    os.environ["TQDM_DISABLE"] = "1"
    scoring_plumbing.install()
    scoring_collections.install()
    # What the xlsx readers and writers would look up outside the interpreter, behind the seal.
    mimetypes.init()
    versions = _versions()
    # Same values as with Arrow's strings, and a row costs half as much to take out.
    pd.set_option("mode.string_storage", "python")
    # Millions of small objects, no cycles worth finding, and a process that soon ends.
    gc.disable()
    outlet = seal()
    try:
        document = json.loads(read_input())
        scoring_collections.unpack(document["dataset"], Path("lmu"))
        task = scoring_passes.ScoringTask(
            dataset=document["dataset"],
            model=document["model"],
            judge=document["judge"],
            limit=document["limit"],
            answers=list(_answers(Path("predictions.jsonl"))),
        )
        wanted = (
            scoring_passes.collect
            if document.get("predictions_only")
            else scoring_passes.score
        )
        _tell(outlet, wanted(task, Path()), versions)
    except AssayError as error:
        outlet.send({"error": {"message": error.message, "cure": error.cure}})


def _answers(path: Path) -> Iterator[Answer]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            told = json.loads(line)
            reason = told.get("reason")
            yield Answer(
                sample_id=told["id"],
                text=told.get("text"),
                reason=UnscoredReason(reason) if reason else None,
            )


def _tell(outlet: Outlet, scored: Scored, versions: dict[str, str]) -> None:
    rows = [_row(verdict) for verdict in scored.verdicts]
    for start in range(0, len(rows), ROWS_PER_LINE):
        outlet.send({"rows": rows[start : start + ROWS_PER_LINE]})
    published = Path("out")
    published.mkdir()
    for path in scored.files:
        path.rename(published / path.name)
    metrics = [
        {
            "name": metric.name,
            "split": metric.split,
            "value": metric.value,
            "scale": list(metric.scale),
            "n": metric.n,
            "upstream": metric.upstream_value,
            "upstream_reason": metric.upstream_reason,
            "bounds": metric.bounds and list(metric.bounds),
        }
        for metric in scored.metrics
    ]
    done = {"metrics": metrics, "withheld": scored.withheld, "versions": versions}
    outlet.send({"done": done})


def _row(verdict: Verdict) -> list[object]:
    """Reason, score and the three texts; id and prediction are the supervisor's own."""
    cells = (verdict.extracted, verdict.target, verdict.category)
    texts = [None if cell is None else cell[:CELL_LIMIT] for cell in cells]
    return [verdict.reason, verdict.score, *texts]


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _VERSIONS}
    return {**found, "python": platform.python_version()}


if __name__ == "__main__":
    main()
