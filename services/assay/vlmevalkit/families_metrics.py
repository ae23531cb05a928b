"""Upstream's score table as metrics: one per split and column, with its scale and how many rows made it.

Called by the scoring passes with the table `evaluate()` returned and the prediction table as upstream
read it back (its columns name the splits and categories in upstream's own spelling).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.score import Metric
from assay.vlmevalkit.families import MME, MULTIPLE_CHOICE, Family

_WHOLE = ("Overall", "none")
_MME_SUMS: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "perception": (
        2000.0,
        (
            "OCR",
            "artwork",
            "celebrity",
            "color",
            "count",
            "existence",
            "landmark",
            "position",
            "posters",
            "scene",
        ),
    ),
    "reasoning": (
        800.0,
        (
            "code_reasoning",
            "commonsense_reasoning",
            "numerical_calculation",
            "text_translation",
        ),
    ),
}
"""MME's two totals: the most they can be, and the categories in them."""

_GROUPED = {"fAcc": "HallusionBench", "qAcc": "HallusionBench"}
"""Figures that need every row of a figure or question, so only complete splits have them."""


def metrics_of(
    family: Family,
    dataset: str,
    scores: Any,
    table: Any,
    unscored: Collection[int] = (),
) -> list[Metric]:
    """The metrics of one pass, from what `evaluate()` returned.

    `table` is that pass's prediction table as upstream read it back; `unscored` are its rows without a
    verdict.

    Raises:
        ScorerError: upstream returned something that is no table.
    """
    if not hasattr(scores, "columns"):
        raise ScorerError(
            f"upstream's score of {dataset} is no table: {type(scores).__name__}"
        )
    rows = _Rows(table, frozenset(unscored))
    found = []
    for record in scores.to_dict("records"):
        split = str(record.pop("split", "none"))
        for column, value in record.items():
            name = str(column)
            found.append(
                Metric(
                    name=name,
                    split=split,
                    value=_number(value),
                    scale=_scale(family, dataset, name),
                    n=rows.count(family, split, name),
                )
            )
    # Upstream takes splits out of a set: their order means nothing, so it is made the same every time.
    return sorted(found, key=lambda metric: (metric.split not in _WHOLE, metric.split))


def withheld_where_incomplete(
    family: Family, dataset: str, whole: list[Metric], rest: list[Metric], gaps: Gaps
) -> list[Metric]:
    """The aggregate pass's metrics, less those that unscored rows have emptied or taken apart.

    `whole`, the metrics of the pass over every row, says which figures there are; `rest` are those
    without the unscored rows.
    """
    known = {(metric.split, metric.name): metric for metric in rest}
    emptied = {
        metric.name for metric in whole if (metric.split, metric.name) not in known
    }
    result = []
    for metric in whole:
        kept = known.get((metric.split, metric.name))
        spoilt = (
            kept is None
            or _group_is_open(dataset, metric, gaps)
            or (family is MME and _sum_lacks(metric.name, emptied))
        )
        if spoilt:
            result.append(
                Metric(
                    name=metric.name,
                    split=metric.split,
                    value=None,
                    scale=metric.scale,
                    n=kept.n if kept else 0,
                )
            )
        elif kept is not None:
            result.append(kept)
    return result


class Gaps:
    """Which splits of the whole table hold unscored rows."""

    def __init__(self, table: Any, unscored: Collection[int]) -> None:
        self._all = _Rows(table, frozenset())
        self._rest = _Rows(table, frozenset(unscored))

    def within(self, split: str) -> bool:
        """Whether a row of `split` is unscored."""
        return self._all.in_group(split) != self._rest.in_group(split)


def _group_is_open(dataset: str, metric: Metric, gaps: Gaps) -> bool:
    word = _GROUPED.get(metric.name)
    return word is not None and word in dataset and gaps.within(metric.split)


def _sum_lacks(name: str, emptied: set[str]) -> bool:
    return name in _MME_SUMS and bool(emptied & set(_MME_SUMS[name][1]))


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _scale(family: Family, dataset: str, name: str) -> tuple[float, float]:
    if family is MULTIPLE_CHOICE:
        return (0.0, 1.0)
    if family is MME:
        return (0.0, _MME_SUMS[name][0] if name in _MME_SUMS else 200.0)
    if "VSR" in dataset and name == "f1_score":
        return (0.0, 1.0)
    return (0.0, 100.0)


class _Rows:
    """Counts scored rows by split and category, as upstream's own tables group them."""

    def __init__(self, table: Any, unscored: frozenset[int]) -> None:
        from vlmeval.dataset.utils import multiple_choice  # noqa: PLC0415

        self._short = multiple_choice.MMB_abbrs
        columns = {str(name).lower(): list(table[name]) for name in table.columns}
        self._columns = {
            name: [set(self._words(name, cell)) for cell in columns[name]]
            for name in ("split", "category", "l2-category")
            if name in columns
        }
        self._scored = [row for row in range(len(table)) if row not in unscored]

    def _words(self, column: str, cell: Any) -> list[str]:
        text = str(cell)
        # POPE writes several categories into one cell.
        return [text, *text.split(",")] if column == "category" else [text]

    def in_group(self, name: str) -> int:
        """Scored rows whose split, category or l2-category is `name`; `Overall`: all."""
        if name in _WHOLE:
            return len(self._scored)
        columns = self._columns.values()
        return sum(any(name in cells[row] for cells in columns) for row in self._scored)

    def count(self, family: Family, split: str, name: str) -> int:
        """Rows behind one figure; 0: not known."""
        if family is MME and name in _MME_SUMS:
            return sum(self.in_group(each) for each in _MME_SUMS[name][1])
        if family is not MULTIPLE_CHOICE:
            # A figure over a split's rows, or, in one-row tables, over the rows its column names.
            return (
                self.in_group(split) if split not in _WHOLE else self._of_column(name)
            )
        within = self._columns.get("split") if split != "none" else None
        rows = [r for r in self._scored if within is None or split in within[r]]
        if name == "Overall":
            return len(rows)
        long = {name, *(full for full, short in self._short.items() if short == name)}
        groups = [
            self._columns[c] for c in ("category", "l2-category") if c in self._columns
        ]
        return sum(any(long & cells[row] for cells in groups) for row in rows)

    def _of_column(self, name: str) -> int:
        named = self.in_group(name)
        return named or len(self._scored)
