"""Two evaluated models side by side, as a document; `assay compare` prints it or has it drawn.

Figures are compared as they were reported, and the samples behind them one by one: a difference of two
scores means little without its interval, and the interval needs the same samples on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.report.compare_samples import Samples, scaled
from assay.report.compare_settings import settings_that_differ
from assay.report.html_samples import SampleTable, read_samples
from assay.report.paired import (
    CONFIDENCE,
    METHOD,
    paired_difference,
)

SCHEMA = "assay.compare/v1"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two models: its run's folder and report, and its key in it."""

    run_dir: Path
    report: Mapping[str, Any]
    model: str

    @property
    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """By dataset."""
        tasks = self.report["tasks"]
        return {task["dataset"]: task for task in tasks if task["model"] == self.model}

    def table(self, dataset: str) -> SampleTable | None:
        """The samples of one of its tasks; None: it has none.

        Raises:
            CorruptError: as `read_samples`.
        """
        name = self.tasks[dataset]["samples"]
        return read_samples(self.run_dir, name) if name else None

    @property
    def named(self) -> Json:
        """What it is, for the document."""
        run = self.report["run"]
        return {"run": run["id"], "name": run["name"], "model": self.model}


def comparison(pairs: Sequence[tuple[Side, Side]]) -> Json:
    """What differs between A and B, for every pair of models.

    Raises:
        CorruptError: a sample table cannot be read.
    """
    return {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "method": METHOD,
        "pairs": [_pair(a, b) for a, b in pairs],
    }


def _pair(a: Side, b: Side) -> Json:
    names = [*a.tasks, *(name for name in b.tasks if name not in a.tasks)]
    shared = [name for name in names if name in a.tasks and name in b.tasks]
    return {
        "a": a.named,
        "b": b.named,
        "settings": [
            asdict(setting)
            for setting in settings_that_differ(
                a.report, b.report, models=(a.model, b.model), datasets=shared
            )
        ],
        "datasets": [_dataset(a, b, name) for name in shared],
        "only_a": [name for name in names if name not in b.tasks],
        "only_b": [name for name in names if name not in a.tasks],
    }


def _dataset(a: Side, b: Side, name: str) -> Json:
    task_a, task_b = a.tasks[name], b.tasks[name]
    both = Samples.of(task_a, task_b, a.table(name), b.table(name))
    return {
        "dataset": name,
        "same_data": both.same_data,
        "states": [task_a["state"], task_b["state"]],
        "withheld": [task_a["withheld"], task_b["withheld"]],
        "metrics": [
            _metric(*metrics, (task_a, task_b), both)
            for metrics in _shared(task_a["metrics"], task_b["metrics"])
        ],
        "samples": {"compared": len(both.rows), "not_comparable": both.not_comparable},
        "agreement": both.agreement(),
    }


def _shared(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    """Every figure of either, beside the other's of equal split and name."""
    of_a = {(m["split"], m["name"]): m for m in a}
    of_b = {(m["split"], m["name"]): m for m in b}
    for key in {**of_a, **of_b}:
        yield of_a.get(key), of_b.get(key)


def _metric(
    a: Mapping[str, Any] | None,
    b: Mapping[str, Any] | None,
    tasks: tuple[Mapping[str, Any], Mapping[str, Any]],
    both: Samples,
) -> Json:
    known = a or b or {}
    value_a, value_b = (None if m is None else m["value"] for m in (a, b))
    apart = None if value_a is None or value_b is None else value_b - value_a
    return {
        "name": known["name"],
        "split": known["split"],
        "scale": known["scale"],
        "a": value_a,
        "b": value_b,
        "difference": apart,
        "paired": None if apart is None else _paired(a, b, tasks, both),
    }


def _paired(
    a: Mapping[str, Any] | None,
    b: Mapping[str, Any] | None,
    tasks: tuple[Mapping[str, Any], Mapping[str, Any]],
    both: Samples,
) -> Json | None:
    """The difference over the samples behind both figures, on the figures' scale; None: not known."""
    if a is None or b is None or a["scale"] != b["scale"]:
        return None
    return scaled(paired_difference(both.pairs_behind((a, b), tasks)), a["scale"][1])
