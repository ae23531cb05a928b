"""The samples of one task that nobody holds; kept by the book of a queue's leases."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_REQUESTS = 2**63
"""Numbers that a judge's requests may have."""


@dataclass(slots=True)
class Pool:
    """The samples of one task that nobody holds: those from `cursor` on, and those given back."""

    total: int
    is_open: Callable[[int], bool]
    cursor: int = 0
    returned: list[int] = field(default_factory=list)
    leased: dict[int, str] = field(default_factory=dict)

    def take(self, count: int) -> list[int]:
        """Up to `count` open samples in dataset order, those that were given back first."""
        taken: list[int] = []
        while self.returned and len(taken) < count:
            self._keep(heapq.heappop(self.returned), taken)
        while self.cursor < self.total and len(taken) < count:
            self._keep(self.cursor, taken)
            self.cursor += 1
        return taken

    def give_back(self, ordinal: int) -> None:
        """Notes that nobody holds a sample any more."""
        if ordinal < self.cursor and self.is_open(ordinal):
            heapq.heappush(self.returned, ordinal)

    def _keep(self, ordinal: int, taken: list[int]) -> None:
        if (
            self.is_open(ordinal)
            and ordinal not in self.leased
            and (not taken or taken[-1] != ordinal)
        ):
            taken.append(ordinal)


@dataclass(slots=True)
class AskedPool(Pool):
    """Requests that come while the run goes on, under numbers that are theirs from anywhere.

    Any number may be announced by a worker; handed out is only what somebody asks.
    """

    is_asked: Callable[[int], bool] = lambda _: True

    def give_back(self, ordinal: int) -> None:
        """Notes that nobody holds a request any more."""
        if self.is_asked(ordinal) and self.is_open(ordinal):
            heapq.heappush(self.returned, ordinal)
