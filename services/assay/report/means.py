"""Which samples a figure is the mean of; bounds and comparisons are only drawn where that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MEANS = {"overall", "acc", "aacc"}
"""Names under which upstream gives the share of right answers."""
_NO_MEAN = {"precision", "recall", "f1", "f1_score"}
_ROUNDING = 0.00006
"""Upstream rounds some of its figures to two places of a hundred."""


def samples_behind(
    metric: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]],
    scores: Sequence[float | None],
    categories: Sequence[str | None],
) -> list[int] | None:
    """The rows whose scores from 0 to 1 the figure is the mean of, unscored ones included.

    None: it is not seen to be such a mean. A figure whose name or split is that of a category is looked at
    as one of that category.

    Args:
        metric: of `report.json`.
        beside: all figures of its task: they show what kind of table it is.
        scores: of the sample table; None: unscored.
        categories: of the sample table, beside them.
    """
    rows = _candidates(metric, beside, categories)
    found = [score for row in rows if (score := scores[row]) is not None]
    low, high = metric["scale"]
    value = metric["value"]
    if not found or value is None or low != 0 or not high:
        return None
    if min(found) < 0 or max(found) > 1 or metric["n"] not in {0, len(found)}:
        return None
    is_mean = abs(value / high - sum(found) / len(found)) <= _ROUNDING
    return rows if is_mean else None


def _candidates(
    metric: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]],
    categories: Sequence[str | None],
) -> list[int]:
    name = str(metric["name"])
    names = {str(other["name"]).lower() for other in beside}
    if name.lower() in _MEANS and not (name.lower() == "overall" and names & _NO_MEAN):
        split = str(metric["split"])
        of_split = [row for row, category in enumerate(categories) if category == split]
        return of_split or list(range(len(categories)))
    return [row for row, category in enumerate(categories) if category == name]
