"""Runs that have ended: nothing is held of them, but somebody may have what is unscored asked again.

One listing of the store's runs, now and then, is all that is asked about them; it takes no run over. Their
loops are woken when one of them goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from assay.domain.errors import AssayError
from assay.domain.report import RunState
from assay.domain.snapshot import RunSummary

LOOK_SECONDS = 15.0
"""Between listings; longer where there are very many runs."""

_RUNS_A_SECOND = 20
"""A run that the aggregator does not hold costs it two small reads."""

_GO_ON = frozenset({RunState.RUNNING, RunState.SUPERSEDED})

_log = structlog.get_logger(__name__)


class Resting:
    """Which ended runs go on again."""

    def __init__(
        self,
        runs: Callable[[], AsyncIterator[RunSummary]],
        every: float = LOOK_SECONDS,
    ) -> None:
        """Looks at nothing yet.

        Args:
            runs: lists all runs of the store.
            every: seconds between listings, at least.
        """
        self._runs = runs
        self._every = every
        self._woken: dict[str, Callable[[], None]] = {}
        self._going_on: set[str] = set()
        self._some = asyncio.Event()

    def rest(self, run_id: str, wake: Callable[[], None]) -> bool:
        """Whether a run that has ended stays so, as far as is known; its loop is woken when it does not."""
        if run_id in self._going_on:
            return False
        self._woken[run_id] = wake
        self._some.set()
        return True

    def leave(self, run_id: str) -> None:
        """Somebody looks after the run again, or nobody wants to know of it any more."""
        self._woken.pop(run_id, None)
        self._going_on.discard(run_id)
        if not self._woken:
            self._some.clear()

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(self._every)
            seen = 0
            try:
                async for summary in self._runs():
                    seen += 1
                    self._look(summary)
            except AssayError as error:
                _log.warning("cannot look at runs that ended", error=str(error))
            await asyncio.sleep(max(seen / _RUNS_A_SECOND - self._every, 0.0))

    def _look(self, summary: RunSummary) -> None:
        wake = self._woken.get(summary.run_id)
        if wake is not None and summary.state in _GO_ON:
            self._going_on.add(summary.run_id)
            wake()
