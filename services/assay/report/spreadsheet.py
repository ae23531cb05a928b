"""Figures and samples of a run as CSV; `assay report --csv` and `--samples-csv` write it.

Much of it is text of models and datasets, and spreadsheets run text as a formula where it begins like
one: such cells get an apostrophe in front, as OWASP advises ("CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.report.html_samples import read_samples

Report = Mapping[str, Any]

_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
"""What a formula can begin with; the last four are their full-width forms."""

_FIGURES = (
    *("run", "model", "dataset", "state", "split", "metric", "value"),
    *("scale_low", "scale_high", "n", "bounds_low", "bounds_high", "upstream_value"),
    *("total", "scored", "unscored", "coverage", "judge", "withheld", "task_digest"),
)
_SAMPLES = (
    *("sample_id", "state", "reason", "prediction", "target", "extracted", "score"),
    "category",
)


def defused(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers, nothing stays nothing."""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def figures_csv(report: Report) -> bytes:
    """One line per figure; a task without any has one that says why."""
    return _csv(
        _FIGURES, (line for task in report["tasks"] for line in _of(report, task))
    )


def samples_csv(run_dir: Path, report: Report) -> bytes:
    """One line per sample of every task.

    Raises:
        CorruptError: a sample table cannot be read.
    """
    return _csv(("model", "dataset", *_SAMPLES), _sample_lines(run_dir, report))


def _of(report: Report, task: Report) -> Iterator[Sequence[object]]:
    counts = task["counts"]
    before = (
        report["run"]["id"],
        *(task[key] for key in ("model", "dataset", "state")),
    )
    after = (
        *(counts[key] for key in ("total", "scored", "unscored")),
        task["coverage"],
        task["judge"]["name"],
        task["withheld"],
        task["digests"]["task"],
    )
    for metric in task["metrics"]:
        bounds = metric.get("bounds") or (None, None)
        figure = (
            *(metric[key] for key in ("split", "name", "value")),
            *metric["scale"],
            metric["n"],
            *bounds,
            metric.get("upstream_value"),
        )
        yield (*before, *figure, *after)
    if not task["metrics"]:
        yield (*before, *([None] * (len(_FIGURES) - len(before) - len(after))), *after)


def _sample_lines(run_dir: Path, report: Report) -> Iterator[Sequence[object]]:
    for task in report["tasks"]:
        if task["samples"]:
            columns = read_samples(run_dir, task["samples"]).columns
            for row in zip(*(columns[name] for name in _SAMPLES), strict=True):
                yield (task["model"], task["dataset"], *row)


def _csv(names: Sequence[str], lines: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(names)
    for line in lines:
        table.writerow([defused(cell) for cell in line])
    return out.getvalue().encode("utf-8", errors="replace")
