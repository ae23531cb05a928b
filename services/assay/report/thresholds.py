"""Scores that a run must reach: `assay report` checks them for pipelines that stop where a model got worse.

A score that is withheld, or that a failed task never had, reaches nothing: what is not known must not
let a release pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.domain.errors import ConfigError
from assay.report.headline import headline_metrics
from assay.report.terminal import clean

Report = Mapping[str, Any]

_OPTION = "--threshold"
_FORM = "write DATASET=VALUE, DATASET/METRIC=VALUE or DATASET/SPLIT/METRIC=VALUE"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one dataset's figure must reach, with every model.

    Attributes:
        metric: its name, or split/name; empty: the first headline figure.
    """

    dataset: str
    metric: str
    least: float


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of one task held against a threshold.

    Attributes:
        figure: how the figure is called; `found` is None where it is not known.
        why: in words, why it is missed; empty: it is reached.
    """

    model: str
    dataset: str
    figure: str
    least: float
    found: float | None
    why: str

    @property
    def reached(self) -> bool:
        """Whether the figure is at least what it must be."""
        return not self.why

    @property
    def line(self) -> str:
        """On one line, for a log."""
        name = f"{self.model}/{self.dataset} {self.figure}"
        if self.reached:
            return f"reached: {name} {self.found:.10g} >= {self.least:.10g}"
        return f"missed: {name}: {self.why}"


def parse_threshold(text: str) -> Threshold:
    """Reads what stands behind `--threshold`.

    Raises:
        ConfigError: it is no threshold.
    """
    name, sign, value = text.rpartition("=")
    dataset, _, metric = name.partition("/")
    try:
        least = float(value)
    except ValueError:
        least = math.nan
    if not sign or not dataset or not math.isfinite(least):
        raise ConfigError(_OPTION, f"{text!r} is no threshold", _FORM)
    return Threshold(dataset, metric, least)


def check(report: Report, thresholds: Sequence[Threshold]) -> list[Check]:
    """Holds a report's figures against thresholds.

    Raises:
        ConfigError: a threshold names a dataset or a figure that this run does not have, or lies outside
            the figure's scale: it would pass or fail for ever.
    """
    return [found for each in thresholds for found in _checked(report, each)]


def _checked(report: Report, threshold: Threshold) -> Iterator[Check]:
    tasks = [t for t in report["tasks"] if t["dataset"] == threshold.dataset]
    if not tasks:
        known = ", ".join(sorted({clean(task["dataset"]) for task in report["tasks"]}))
        raise ConfigError(
            _OPTION,
            f"{threshold.dataset!r} is no dataset of this run",
            f"name one of {known}",
        )
    for task in tasks:
        metrics = task["metrics"]
        if not metrics:
            why = task["withheld"] or task["message"] or "it has no score"
            yield _missed(task, threshold, clean(why))
            continue
        for metric in _named(metrics, threshold):
            yield _held(task, metric, threshold)


def _named(metrics: Sequence[Report], threshold: Threshold) -> Sequence[Report]:
    if not threshold.metric:
        return headline_metrics(metrics)[:1]
    found = [
        metric
        for metric in metrics
        if threshold.metric in {metric["name"], f"{metric['split']}/{metric['name']}"}
    ]
    if not found:
        names = ", ".join(dict.fromkeys(clean(metric["name"]) for metric in metrics))
        raise ConfigError(
            _OPTION,
            f"{threshold.dataset} has no figure {threshold.metric!r}",
            f"name one of {names[:500]}",
        )
    return found


def _held(task: Report, metric: Report, threshold: Threshold) -> Check:
    low, high = metric["scale"]
    if (low is not None and threshold.least < low) or (
        high is not None and threshold.least > high
    ):
        raise ConfigError(
            _OPTION,
            f"{threshold.least:g} is outside the scale of {threshold.dataset}/{clean(metric['name'])}",
            f"it goes from {low:g} to {high:g}",
        )
    value, split = metric["value"], str(metric["split"])
    shown = "" if split.lower() in {"", "none"} else f" [{clean(split)}]"
    figure = clean(metric["name"]) + shown
    if value is None:
        why = clean(task["withheld"]) or "it is withheld"
        return _missed(task, threshold, why, figure)
    short = "" if value >= threshold.least else f"{value:.10g} < {threshold.least:.10g}"
    return Check(
        clean(task["model"]),
        clean(task["dataset"]),
        figure,
        threshold.least,
        value,
        short,
    )


def _missed(task: Report, threshold: Threshold, why: str, figure: str = "") -> Check:
    return Check(
        clean(task["model"]),
        clean(task["dataset"]),
        figure or clean(threshold.metric) or "score",
        threshold.least,
        None,
        why,
    )
