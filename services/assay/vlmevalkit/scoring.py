"""The sealed scoring child: imports VLMEvalKit, seals itself, then reads a task and scores it.

The scorer's supervisor runs it as `SealedJob(module="assay.vlmevalkit.scoring", ...)`. Its folder holds
`lmu/<dataset>.tsv` (a collection's is a tar of its members' tables) and `predictions.jsonl` (one
`{"id", "text" | "reason"}` per row); the document on standard input is `{"dataset", "model", "judge",
"limit", "predictions_only"}`. It answers with lines: `rows` in dataset order, then `done`, or `error`.
Files to publish are moved into `out/`.

Where a judge model decides, the document has `judging`: `{"model", "slots", "settings"}`, and
`answers.jsonl` holds the letters of earlier. The child then asks with lines `ask` and `equal` and gets a
letter for each (`scoring_tape`); `heard` lines tell which requests each row made.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import mimetypes
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from assay.domain.errors import AssayError
from assay.domain.sample import UnscoredReason
from assay.domain.score import Verdict
from assay.seal.child import Outlet, read_lines, seal
from assay.vlmevalkit import (
    scoring_collections,
    scoring_exhausted,
    scoring_judge,
    scoring_passes,
    scoring_plumbing,
    shim,
)
from assay.vlmevalkit.scoring_evaluate import Answer, ScoringTask
from assay.vlmevalkit.scoring_passes import Scored
from assay.vlmevalkit.scoring_tape import Tape

ROWS_PER_LINE = 200
THREAD_BYTES = 1024 * 1024
CELL_LIMIT = 65_536
"""Characters of one cell that are passed on; upstream's own files cut at half of that."""

_VERSIONS = ("ms-vlmeval", "pillow", "pandas", "numpy", "openpyxl", "xlsxwriter")


def prepare() -> None:
    """Imports all that scoring needs, and puts our plumbing in upstream's place; before the seal."""
    shim.install()
    os.environ["LMUData"] = str(Path("lmu").resolve())  # noqa: SIM112 - upstream's spelling
    # Upstream's progress bars, one per row where it is asked about rows alone.
    os.environ["TQDM_DISABLE"] = "1"
    scoring_plumbing.install()
    scoring_collections.install()
    scoring_exhausted.install()
    # What the xlsx readers and writers would look up outside the interpreter, behind the seal.
    mimetypes.init()
    # Same values as with Arrow's strings, and a row costs half as much to take out.
    pd.set_option("mode.string_storage", "python")
    # Millions of small objects, no cycles worth finding, and a process that soon ends.
    gc.disable()


def main() -> None:
    """Imports, seals, scores."""
    prepare()
    versions = _versions()
    outlet = seal()
    try:
        lines = read_lines()
        document = json.loads(next(lines))
        judging = document.get("judging")
        tape = tape_of(outlet, lines, judging) if judging else None
        scoring_collections.unpack(document["dataset"], Path("lmu"))
        task = ScoringTask(
            dataset=document["dataset"],
            model=document["model"],
            judge=document["judge"],
            limit=document["limit"],
            answers=list(_answers(Path("predictions.jsonl"))),
            tape=tape,
            slots=judging["slots"] if judging else 1,
            judge_settings=judging["settings"] if judging else {},
        )
        wanted = (
            scoring_passes.collect
            if document.get("predictions_only")
            else scoring_passes.score
        )
        _tell(outlet, wanted(task, Path()), versions)
    except AssayError as error:
        outlet.send({"error": {"message": error.message, "cure": error.cure}})


def tape_of(
    outlet: Outlet,
    lines: Iterator[bytes],
    judging: Mapping[str, Any],
    otherwise: Callable[[Mapping[str, Any]], None] | None = None,
) -> Tape:
    """The tape, with upstream's judge clients reading from it; other letters go to `otherwise`."""
    with Path("answers.jsonl").open("rb") as stream:
        tape = Tape(outlet.send, map(json.loads, stream))
    # A waiting row needs little room, and there may be hundreds.
    threading.stack_size(THREAD_BYTES)
    tape.listen(lines, otherwise)
    scoring_judge.install(tape, judging["model"])
    return tape


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
    for row, several in sorted(scored.heard.items()):
        told = [[heard.key, json.dumps(heard.body)] for heard in several]
        outlet.send({"heard": told, "row": row})
    done = {
        "metrics": metrics,
        "withheld": scored.withheld,
        "versions": versions,
        "exhausted": scored.exhausted,
    }
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
