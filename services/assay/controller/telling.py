"""What an EvalRun's loop tells people: its status where it differs, and Events of what has changed in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from assay.controller.conditions import EvalRunStatus
from assay.controller.evalrun import EvalRun
from assay.controller.status import event, notices, status_of
from assay.controller.words import Sight
from assay.controller.writing import Writer

TICK_SECONDS = 15.0
"""A run is looked at at least so often: a pod that does not begin shows in nothing but time."""

STATUS_SECONDS = 10.0
"""Between writes of a status in which only figures changed."""

CHANGE_SECONDS = 1.0
"""Between writes of a status in which a condition changed."""


class Teller:
    """Writes the status of one EvalRun, never faster than people read."""

    def __init__(self, writer: Writer, reporter: str) -> None:
        """Has told nothing yet.

        Args:
            writer: writes to the API server.
            reporter: of Events: the controller's pod.
        """
        self._writer = writer
        self._reporter = reporter
        self._written_at = float("-inf")

    async def tell(self, item: EvalRun, sight: Sight) -> float:
        """Writes the status if it is another and due; returns the seconds after which to look again.

        Raises:
            NotLeaderError: another controller may lead by now.
            AssayError: as the API server answers.
        """
        told, now = item.told(), datetime.now(UTC)
        status = status_of(sight, told, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        if status == told:
            return TICK_SECONDS
        apart = CHANGE_SECONDS if _facts(status) != _facts(told) else STATUS_SECONDS
        early = self._written_at + apart - time.monotonic()
        if early > 0:
            return min(early, TICK_SECONDS)
        # Events first: whoever has to repeat this makes the same ones again, which are one by their names.
        at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for notice in notices(told, status):
            await self._writer.event(
                event(notice, item.metadata, reporter=self._reporter, now=at)
            )
        await self._writer.status(item, status)
        self._written_at = time.monotonic()
        return TICK_SECONDS


def _facts(status: EvalRunStatus) -> tuple[object, ...]:
    """What of a status people wait for."""
    told = [(c.type, c.status, c.reason) for c in status.conditions or ()]
    return status.run_id, status.state, status.observed_generation, told
