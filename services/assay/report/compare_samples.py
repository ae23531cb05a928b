"""The samples of two tasks laid beside each other; `compare` asks for their differences and agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assay.report.html_samples import SampleTable
from assay.report.means import samples_behind
from assay.report.paired import (
    Interval,
    agreement,
    cohens_kappa,
    paired_difference,
)

Json = dict[str, Any]
Key = tuple[str, int]
"""A sample: its id, and which of those with this id it is."""


class Samples:
    """The samples of two tasks that can be laid beside each other, and how many cannot."""

    def __init__(
        self, tables: tuple[SampleTable, SampleTable] | None, *, same_data: bool
    ) -> None:
        self.same_data = same_data
        self.rows: list[tuple[int, int]] = []
        self.not_comparable: dict[str, int] = {}
        self._tables = tables

    @classmethod
    def of(
        cls,
        task_a: Mapping[str, Any],
        task_b: Mapping[str, Any],
        table_a: SampleTable | None,
        table_b: SampleTable | None,
    ) -> Samples:
        """Lays two tables beside each other, by sample."""
        digests = [task["digests"]["source"] for task in (task_a, task_b)]
        same = digests[0] == digests[1] != ""
        if table_a is None or table_b is None:
            return cls(None, same_data=same)
        found = cls((table_a, table_b), same_data=same)
        keys_a, keys_b = _keys(table_a), _keys(table_b)
        if not same:
            found.not_comparable["another dataset"] = max(len(keys_a), len(keys_b))
            return found
        reasons = Counter(
            reason
            for key in {**keys_a, **keys_b}
            if (reason := found.lay(keys_a.get(key), keys_b.get(key)))
        )
        found.not_comparable.update(sorted(reasons.items()))
        return found

    def lay(self, row_a: int | None, row_b: int | None) -> str:
        """Takes one sample in; returns why it cannot be compared, empty: it can."""
        if row_a is None or row_b is None:
            return "only in B" if row_a is None else "only in A"
        missing = [
            score is None for score in (self._scores(0)[row_a], self._scores(1)[row_b])
        ]
        if not any(missing):
            self.rows.append((row_a, row_b))
            return ""
        if all(missing):
            return "without a verdict in both"
        return f"without a verdict in {'A' if missing[0] else 'B'}"

    def pairs(self) -> list[tuple[float, float]]:
        """Both scores of every sample."""
        return self._pairs(self.rows)

    def pairs_behind(
        self,
        metrics: Sequence[Mapping[str, Any]],
        tasks: Sequence[Mapping[str, Any]],
    ) -> list[tuple[float, float]]:
        """Both scores of every sample that both figures are the means of; none where they are no means."""
        if self._tables is None:
            return []
        rows = [
            samples_behind(
                metric,
                task["metrics"],
                table.columns["score"],
                table.columns["category"],
            )
            for metric, task, table in zip(metrics, tasks, self._tables, strict=True)
        ]
        a, b = (set(found or ()) for found in rows)
        return self._pairs([(x, y) for x, y in self.rows if x in a and y in b])

    def _pairs(self, rows: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        a, b = self._scores(0), self._scores(1)
        return [(a[row_a], b[row_b]) for row_a, row_b in rows]

    def agreement(self) -> Json | None:
        """Where both are right, and how many predictions are equal; None: there is nothing to compare."""
        if self._tables is None or not self.rows:
            return None
        pairs = self.pairs()
        said = [table.columns["prediction"] for table in self._tables]
        kappa = cohens_kappa(pairs)
        means = [sum(scores) / len(pairs) for scores in zip(*pairs, strict=True)]
        return {
            "mean_score": {
                "a": means[0],
                "b": means[1],
                "paired": scaled(paired_difference(pairs), 1),
            },
            **asdict(agreement(pairs)),
            "higher_a": sum(a > b for a, b in pairs),
            "higher_b": sum(b > a for a, b in pairs),
            "same_score": sum(a == b for a, b in pairs),
            "cohens_kappa": kappa,
            "cohens_kappa_reason": "every score is the same" if kappa is None else "",
            "same_prediction": sum(said[0][a] == said[1][b] for a, b in self.rows),
        }

    def _scores(self, side: int) -> list[Any]:
        assert self._tables is not None
        return self._tables[side].columns["score"]


def _keys(table: SampleTable) -> dict[Key, int]:
    """Rows by sample; the parts of a collection may use an id again."""
    seen: Counter[str] = Counter()
    found = {}
    for row, name in enumerate(table.columns["sample_id"]):
        found[name, seen[name]] = row
        seen[name] += 1
    return found


def scaled(interval: Interval | None, high: float) -> Json | None:
    """A paired difference of scores from 0 to 1 on the scale of a figure; None: there is none."""
    if interval is None:
        return None
    return {
        "n": interval.n,
        "difference": interval.difference * high,
        "low": None if interval.low is None else interval.low * high,
        "high": None if interval.high is None else interval.high * high,
    }
