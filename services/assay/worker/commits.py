"""Hands completions in, in batches as they land, and keeps each until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from assay.domain.completion import Completion
from assay.domain.errors import AssayError
from assay.domain.lease import CommitOutcome
from assay.domain.task import TaskId
from assay.worker.contact import Contact, Timing
from assay.worker.held import Key

_log = structlog.get_logger(__name__)

BATCH = 32
"""Completions that are worth a call at once."""
_MOST = 256
_MOST_BYTES = 8 * 1024 * 1024


class CommitClient(Protocol):
    """The part of WorkClient that stores completions."""

    async def commit(
        self, task: TaskId, completions: Sequence[Completion]
    ) -> tuple[CommitOutcome, ...]:
        """As `assay.rpc.work_client.WorkClient.commit`."""
        ...


class _Lane:
    """The completions of one task that are not acknowledged, oldest first."""

    def __init__(self, task: TaskId) -> None:
        self.task = task
        self.items: deque[Completion] = deque()
        self.filled = asyncio.Event()
        self.enough = asyncio.Event()

    def batch(self) -> list[Completion]:
        chosen: list[Completion] = []
        size = 0
        for item in self.items:
            size += len(item.text or "") * 4
            if chosen and (len(chosen) == _MOST or size > _MOST_BYTES):
                break
            chosen.append(item)
        return chosen


class Committer:
    """One lane per task, each with one commit on its way; `add` never waits and never drops."""

    def __init__(
        self,
        client: CommitClient,
        contact: Contact,
        timing: Timing,
        on_acknowledged: Callable[[Key, CommitOutcome], None],
    ) -> None:
        self._client = client
        self._contact = contact
        self._timing = timing
        self._on_acknowledged = on_acknowledged
        self._lanes: dict[TaskId, _Lane] = {}
        self._new: asyncio.Queue[_Lane] = asyncio.Queue()
        self._none_pending = asyncio.Event()
        self._none_pending.set()
        self.pending = 0
        """Completions not acknowledged yet."""
        self.committed = 0
        """Completions acknowledged since the start."""

    def add(self, task: TaskId, completion: Completion) -> None:
        """Takes a completion; it is committed as soon as it has company or has waited `flush`."""
        lane = self._lanes.get(task)
        if lane is None:
            lane = self._lanes[task] = _Lane(task)
            self._new.put_nowait(lane)
        lane.items.append(completion)
        self.pending += 1
        self._none_pending.clear()
        lane.filled.set()
        if len(lane.items) >= BATCH:
            lane.enough.set()

    def hurry(self) -> None:
        """Commits what there is without waiting for company: none will come."""
        for lane in self._lanes.values():
            lane.enough.set()

    async def all_acknowledged(self) -> None:
        """Returns when every completion is acknowledged."""
        await self._none_pending.wait()

    async def run(self) -> None:
        """Commits until cancelled.

        Raises:
            UnauthenticatedError: this worker was started wrongly.
            UnavailableError: the aggregator was silent for longer than patience lasts.
        """
        async with asyncio.TaskGroup() as lanes:
            while True:
                lanes.create_task(self._serve(await self._new.get()))

    async def _serve(self, lane: _Lane) -> None:
        while True:
            await lane.filled.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.flush):
                    await lane.enough.wait()
            await self._send(lane, lane.batch())
            if not lane.items:
                lane.filled.clear()
            if len(lane.items) < BATCH:
                lane.enough.clear()

    async def _send(self, lane: _Lane, batch: list[Completion]) -> None:
        failures = 0
        while True:
            try:
                outcomes = await self._client.commit(lane.task, batch)
                break
            except AssayError as error:
                failures += 1
                await asyncio.sleep(self._contact.failed(error, failures))
        self._contact.heard()
        for completion, outcome in zip(batch, outcomes, strict=True):
            lane.items.popleft()
            self.pending -= 1
            self.committed += 1
            if outcome is CommitOutcome.REFUSED:
                _log.error(
                    "the aggregator does not know a sample it leased",
                    task=str(lane.task),
                    ordinal=completion.ordinal,
                )
            key = lane.task, completion.ordinal, completion.turn
            self._on_acknowledged(key, outcome)
        if not self.pending:
            self._none_pending.set()
