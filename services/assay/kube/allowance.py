"""How fast one process may ask the API server: a burst at once, then so many a second.

A loop that went wrong, or a thousand Jobs at once, must not crowd out the cluster's other callers.
`Transport` takes from it before each request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Allowance:
    """A token bucket that may be overdrawn: who comes when it is empty is told how long to wait."""

    def __init__(
        self,
        rate: float = 20.0,
        burst: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts full.

        Args:
            rate: requests a second in the long run.
            burst: requests that may come at once.
            clock: seconds that never go back.
        """
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Counts one request in; returns the seconds that it has to wait."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            self._left -= 1
            return max(0.0, -self._left / self._rate)
