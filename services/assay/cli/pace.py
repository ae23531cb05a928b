"""How fast a task goes and how long it will take, from the counts seen so far."""

from __future__ import annotations

from collections import deque

from assay.domain.task import TaskCounts

_WINDOW_SECONDS = 30.0


def done_of(counts: TaskCounts) -> int:
    """Samples that have an answer or a reason."""
    return counts.predicted + counts.scored + counts.unscored


class Pace:
    """The speed of one task over the last half minute; what was there at the start is not counted."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def saw(self, now: float, done: int) -> None:
        """Takes a count in."""
        if self._seen and done < self._seen[-1][1]:
            # A retry makes samples pending again.
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - _WINDOW_SECONDS:  # noqa: PLR2004 - a span has two ends
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Samples per second; 0: not known."""
        (first, start), (last, end) = self._seen[0], self._seen[-1]
        return (end - start) / (last - first) if last > first else 0.0

    def words(self, total: int) -> str:
        """Rate and time left, as far as they are known."""
        rate = self.per_second
        if rate <= 0:
            return ""
        left = (total - self._seen[-1][1]) / rate
        return f"{rate:.1f}/s, {duration(left)} left" if left > 0 else f"{rate:.1f}/s"


def duration(seconds: float) -> str:
    """Seconds in words of at most two units."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {rest:02d} s"
    return f"{rest} s"
