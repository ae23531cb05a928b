"""What the workers of one queue say of their endpoint, put together: it is usable if anybody can use it."""

from __future__ import annotations

from dataclasses import dataclass

from assay.domain.lease import EndpointCondition


@dataclass(frozen=True, slots=True)
class _Said:
    condition: EndpointCondition
    at: float


@dataclass(frozen=True, slots=True)
class EndpointView:
    """The endpoint's condition and since when it has been like this, on the caller's clock."""

    condition: EndpointCondition
    since: float


class EndpointBoard:
    """The last word of each worker of one queue."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        self._view: EndpointView | None = None

    def tell(self, worker: str, condition: EndpointCondition, now: float) -> bool:
        """Takes a worker's word in; returns whether the whole changed."""
        self._said[worker] = _Said(condition, now)
        return self._refresh(now)

    def forget(self, worker: str, now: float) -> bool:
        """Drops a worker that has gone; returns whether the whole changed."""
        if self._said.pop(worker, None) is None or not self._said:
            # The last word stays: a crashing worker does not make an endpoint unknown again.
            return False
        return self._refresh(now)

    def view(self) -> EndpointView | None:
        """None: no worker has said anything yet."""
        return self._view

    def _refresh(self, now: float) -> bool:
        usable = [s for s in self._said.values() if s.condition.usable]
        latest = max(usable or self._said.values(), key=lambda said: said.at)
        before = self._view
        if before is not None and before.condition == latest.condition:
            return False
        since = now
        if before is not None and before.condition.usable == latest.condition.usable:
            since = before.since
        self._view = EndpointView(latest.condition, since)
        return True
