"""How many requests to keep in flight when the endpoint cannot take as many as it may get; pure.

Additive increase, multiplicative decrease, judged over a round (as many outcomes as were in flight). A few
refusals among many answers are noise, not pressure: cutting down for each would starve the slots that the
endpoint does serve. Under pressure the limit falls to the share that got through.
"""

from __future__ import annotations

_PRESSURE_SHARE = 0.15
"""Share of a round that must be refused, or too slow, before the limit falls."""
_OUTAGE_SHARE = 0.9
"""Above this the share that got through says nothing about what the server can take."""
_STEPS = 16
"""Rounds from nothing to the most."""
_SLOW_SHARE = 0.5
"""Of the time-out: slower answers are about to be lost to it."""


class AdaptiveLimit:
    """The limit for one worker: at most what the aggregator grants, less while the endpoint refuses."""

    def __init__(self, timeout: float) -> None:
        self._slow = timeout * _SLOW_SHARE
        self._most = 0
        self._window = 0.0
        self._landed = 0
        self._refused = 0
        self._since = float("-inf")
        self._near = float("inf")

    @property
    def most(self) -> int:
        """What the aggregator grants."""
        return self._most

    @property
    def present(self) -> int:
        """Requests that may be in flight now."""
        return min(self._most, max(1, int(self._window)))

    def grant(self, most: int) -> None:
        """Takes over what the aggregator grants; an unreduced limit follows it up at once."""
        if self._window >= self._most:
            self._window = float(most)
        self._most = most
        self._window = min(self._window, float(most))

    def landed(
        self, *, started: float, now: float, overloaded: bool, latency: float
    ) -> None:
        """Counts one outcome of a request that was sent at `started`."""
        if started < self._since:
            return  # sent under the former, larger limit: says nothing about this one
        self._landed += 1
        self._refused += overloaded or latency > self._slow
        if self._landed < self.present:
            return
        share = self._refused / self._landed
        self._landed = self._refused = 0
        if share > _PRESSURE_SHARE:
            through = self._window * (1.0 - share)
            self._near = through if share < _OUTAGE_SHARE else self._window
            self._window = max(1.0, through, self._window * 0.5)
            self._since = now
        elif self._window < self._most:
            step = max(1.0, self._most / _STEPS) if self._window < self._near else 1.0
            self._window = min(float(self._most), self._window + step)
