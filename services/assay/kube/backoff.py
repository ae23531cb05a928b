"""How long to wait before asking again: longer each time, never twice the same, never not at all."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits that double up to a limit, each cut by a random share so that many callers spread."""

    def __init__(
        self,
        first: float = 1.0,
        limit: float = 45.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Starts at the first wait.

        Args:
            first: seconds of the first wait.
            limit: no wait is longer.
            chance: numbers in [0, 1).
        """
        self._first = first
        self._limit = limit
        self._chance = chance
        self._failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait now: between half and all of the current wait.

        Args:
            at_least: what the other side asked for.
        """
        # The exponent is bounded: a watch may fail for weeks.
        whole = min(self._limit, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least, whole * (0.5 + self._chance() / 2))

    def reset(self) -> None:
        """Begins anew: things went well for a while."""
        self._failures = 0
