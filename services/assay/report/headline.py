"""Which of a task's figures sum it up; the terminal, pages, exports and the aggregator's views ask here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_METRICS = 3
_HEADLINES = (
    ("overall",),
    ("perception", "reasoning"),
    ("aacc", "facc", "qacc"),
    ("final score", "final score norm"),
    ("average", "total", "score", "acc"),
)
"""Names of summary rows in upstream's tables (MCQ and VQA, MME, HallusionBench, OCRBench, others)."""


def headline_metrics(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that summarise a task, of all splits or of the one called Overall; else the first rows."""
    whole = [m for m in metrics if str(m["split"]).lower() == "overall"] or metrics
    for names in _HEADLINES:
        found = [m for m in whole if str(m["name"]).lower() in names]
        if found:
            return found
    return list(whole[:MOST_METRICS])


def figure(value: float | None, high: float | None) -> str:
    """A figure as it is shown: three digits where the most is 1, else two."""
    if value is None:
        return "withheld"
    return f"{value:.3f}" if high is not None and high <= 1 else f"{value:.2f}"


def scale_words(low: float | None, high: float | None) -> str:
    """What a figure can be: ` of 100`, ` (-10 to 100)`; nothing where it has no bound."""
    if high is None:
        return ""
    return f" of {high:g}" if low == 0 else f" ({low:g} to {high:g})"
