"""The settings in which two evaluations differ; `compare` asks, since they may explain what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.html_view import flat

_ABSENT = "not set"


@dataclass(frozen=True, slots=True)
class Setting:
    """One that differs: where it stands, and what it is on either side."""

    of: str
    name: str
    a: str
    b: str


def settings_that_differ(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    *,
    models: tuple[str, str],
    datasets: Sequence[str],
) -> list[Setting]:
    """Of the run, its versions, the two models, and the datasets that both have.

    Args:
        a: A's `report.json`.
        b: B's `report.json`.
        models: the key of A's model, and of B's.
        datasets: the names to look at.
    """
    parts_a, parts_b = a["provenance"], b["provenance"]
    found = [
        *_differ("run", a["settings"], b["settings"]),
        *_differ("versions", parts_a["versions"], parts_b["versions"]),
        *_differ("model", parts_a["models"][models[0]], parts_b["models"][models[1]]),
    ]
    for name in datasets:
        found += _differ(
            name, _of_task(a, models[0], name), _of_task(b, models[1], name)
        )
    return found


def _of_task(report: Mapping[str, Any], model: str, dataset: str) -> dict[str, Any]:
    """What of a task may explain a difference; its own digest follows from the rest."""
    task = next(
        t for t in report["tasks"] if (t["model"], t["dataset"]) == (model, dataset)
    )
    digests = task["digests"]
    return {
        "source digest": digests["source"],
        "prepared digest": digests["prepared"],
        "samples": task["counts"]["total"],
        "judge": task["judge"]["name"],
        "scored with": task["provenance"],
    }


def _differ(of: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Setting]:
    of_a, of_b = dict(flat(a)), dict(flat(b))
    for name in {**of_a, **of_b}:
        pair = of_a.get(name, _ABSENT), of_b.get(name, _ABSENT)
        if pair[0] != pair[1]:
            yield Setting(of, name, *pair)
