"""A histogram that belongs to what it measures, and goes when that goes.

The client library's own live as long as the process: a service that outlives thousands of runs counts by
run, and hands Prometheus the families when it asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds for requests to models: from a small one nearby to a long answer of a busy one."""


class Tally:
    """Counts observations by upper bound."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        """Has seen nothing.

        Args:
            bounds: upper bounds, inclusive, rising; one without end is added.
        """
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0
        """Sum of all observations."""

    def observe(self, value: float) -> None:
        """Counts one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and how many lie at or below it, as `HistogramMetricFamily` takes them."""
        found, below = [], 0
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for name, count in zip(names, self._counts, strict=True):
            below += count
            found.append((name, float(below)))
        return found
