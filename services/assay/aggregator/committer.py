"""Group commit: completions of one task become one segment, and are acknowledged when it is stored.

The record comes before the count. One PUT is in flight at a time, so segments are dense; one whose fate
is not known is repeated with the same key and bytes until it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from assay.aggregator.ledger import Place
from assay.domain.completion import Completion
from assay.domain.errors import (
    AssayError,
    NotLeaderError,
    StoreFullError,
    StoreUnavailableError,
    UnavailableError,
)
from assay.domain.lease import CommitOutcome
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.leadership import Leadership
from assay.store.objects import ObjectStore
from assay.store.segments import Record, encode_segment

GROUP_COUNT = 64
GROUP_SECONDS = 0.2
"""A group is written when it holds so many answers, or when its first has waited so long."""
_REPEAT_SECONDS = 0.5


class Ledger(Protocol):
    """What knows which records count."""

    @property
    def open_count(self) -> int:
        """Samples that an answer may still come for."""
        ...

    def has(self, ordinal: int, turn: int = 0) -> bool:
        """Whether records about it can count."""
        ...

    def would_win(self, completion: Completion) -> bool:
        """Whether a record of it, written now, would count."""
        ...

    def fold(self, completion: Completion, place: Place) -> bool:
        """Takes a durable record in; says whether it counts."""
        ...


@dataclass(frozen=True, slots=True)
class Track:
    """Where a task's segments go in one epoch."""

    run_id: str
    task: TaskId
    epoch: int


@dataclass(slots=True)
class _Waiting:
    records: list[Record]
    future: asyncio.Future[list[CommitOutcome]]


@dataclass(slots=True)
class _Segment:
    """A group on its way into the store; `data` never changes once it has a number."""

    seq: int
    data: bytes
    records: list[Record]
    offsets: list[int]
    waiting: list[_Waiting] = field(default_factory=list)


class Committer:
    """Writes the segments of one task in one epoch."""

    def __init__(
        self,
        track: Track,
        ledger: Ledger,
        *,
        store: ObjectStore,
        leadership: Leadership,
        executor: Executor,
        committed: Callable[[TaskId, Sequence[tuple[Completion, Place]]], None],
    ) -> None:
        """Makes a committer; `run` does its work.

        Args:
            track: names the segments.
            ledger: told of every record, once it is durable.
            store: where segments go.
            leadership: asked after each PUT, before each acknowledgement.
            executor: where PUTs block.
            committed: told which records of the task are durable now, and where they stand.
        """
        self._track = track
        self._ledger = ledger
        self._store = store
        self._leadership = leadership
        self._executor = executor
        self._committed = committed
        self._queue: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._unsettled: _Segment | None = None
        self._next_seq = 0

    @property
    def epoch(self) -> int:
        """The epoch whose segments it writes."""
        return self._track.epoch

    @property
    def settled_count(self) -> int:
        """Segments of this epoch whose records count: seq 0 to this number, exclusive."""
        return self._next_seq - (self._unsettled is not None)

    async def commit(
        self, worker_id: str, completions: Sequence[Completion]
    ) -> list[CommitOutcome]:
        """Returns when the completions are durable.

        Raises:
            NotLeaderError: this process may not acknowledge any more.
            StoreFullError: nothing was acknowledged; the same completions may be sent again.
            UnavailableError: going away.
        """
        if self._closing:
            raise UnavailableError(f"cannot commit to {self._track.task}: going away")
        known = [self._already(completion) for completion in completions]
        fresh = [
            c for c, outcome in zip(completions, known, strict=True) if not outcome
        ]
        written: list[CommitOutcome] = []
        if fresh:
            future = asyncio.get_running_loop().create_future()
            records = [Record(completion, worker_id) for completion in fresh]
            self._queue.append(_Waiting(records, future))
            self._arrived.set()
            written = await future
        following = iter(written)
        return [outcome or next(following) for outcome in known]

    def _already(self, completion: Completion) -> CommitOutcome | None:
        """What can be answered without writing: no such sample, or a durable record beats it."""
        if not self._ledger.has(completion.ordinal, completion.turn):
            return CommitOutcome.REFUSED
        return None if self._ledger.would_win(completion) else CommitOutcome.LOST

    async def run(self) -> None:
        """Writes groups until closed and empty.

        Raises:
            NotLeaderError: somebody else has the run.
        """
        try:
            while self._queue or not self._closing:
                if self._queue:
                    await self._gather()
                    await self._flush()
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        finally:
            self._closing = True

    def close(self) -> None:
        """Lets what has arrived be written, then ends `run`."""
        self._closing = True
        self._arrived.set()

    async def _gather(self) -> None:
        """Waits for a group: enough answers, or enough time."""
        until = time.monotonic() + GROUP_SECONDS
        while not self._closing and not self._complete():
            self._arrived.clear()
            left = until - time.monotonic()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                return

    def _complete(self) -> bool:
        """Whether a group need not wait for company: it is large, or nobody is left to join it."""
        return self._waiting_count() >= min(GROUP_COUNT, self._ledger.open_count)

    def _waiting_count(self) -> int:
        return sum(len(waiting.records) for waiting in self._queue)

    async def _flush(self) -> None:
        """Writes one segment; a number that may have been used is settled before another is."""
        if self._unsettled is None:
            self._unsettled = self._next_segment()
        segment = self._unsettled
        try:
            await self._put(segment)
        except StoreFullError as error:
            self._fail(segment.waiting, error)
            segment.waiting = []
            queued, self._queue = self._queue, []
            self._fail(queued, error)
            return
        except AssayError as error:
            queued, self._queue = self._queue, []
            self._fail(segment.waiting + queued, error)
            raise
        self._unsettled = None
        self._settle(segment)

    def _next_segment(self) -> _Segment:
        waiting, self._queue = self._queue, []
        records = [record for each in waiting for record in each.records]
        data, offsets = encode_segment(
            self._track.epoch, self._next_seq, int(time.time()), records
        )
        segment = _Segment(self._next_seq, data, records, offsets, waiting)
        self._next_seq += 1
        return segment

    async def _put(self, segment: _Segment) -> None:
        track = self._track
        key = keys.segment(track.run_id, track.task, track.epoch, segment.seq)
        loop = asyncio.get_running_loop()
        while True:
            if not self._leadership.held():
                raise NotLeaderError(f"cannot write {key}: the claim has passed on")
            try:
                await loop.run_in_executor(
                    self._executor, self._store.put, key, segment.data
                )
            except StoreUnavailableError as error:
                structlog.get_logger().warning("store did not answer", error=str(error))
                await asyncio.sleep(error.retry_after or _REPEAT_SECONDS)
                continue
            break
        if not self._leadership.held():
            raise NotLeaderError(f"cannot acknowledge {key}: the claim has passed on")

    def _settle(self, segment: _Segment) -> None:
        epoch, seq = self._track.epoch, segment.seq
        settled = [
            (record.completion, Place(epoch, seq, offset))
            for offset, record in zip(segment.offsets, segment.records, strict=True)
        ]
        outcomes = iter([self._folded(said, place) for said, place in settled])
        self._committed(self._track.task, settled)
        for waiting in segment.waiting:
            answer = [next(outcomes) for _ in waiting.records]
            if not waiting.future.done():
                waiting.future.set_result(answer)

    def _folded(self, completion: Completion, place: Place) -> CommitOutcome:
        won = self._ledger.fold(completion, place)
        return CommitOutcome.WON if won else CommitOutcome.LOST

    def _fail(self, waiting: Sequence[_Waiting], error: AssayError) -> None:
        for each in waiting:
            if not each.future.done():
                each.future.set_exception(error)
